"""Tasks of storage: functions that run there later, without a request that waits."""

import time

import pytest
from support.client import wait_until
from support.guests import Guest

pytestmark = pytest.mark.core

# ADD is a task: it appends its argument to a text in storage, and tells it to read().
# ORDER(...) is the call by number, STOP(id) too.
STORY = r"""
#include <string.h>
static char story[4096];
static void add(size_t n, struct virtbuffer buf[], size_t res)
{
    if (n == 1 && res == 0)
        strncat(story, buf[0].data, buf[0].len);
}
static void tell(size_t n, struct virtbuffer buf[], size_t res)
{
    storage_return(story, strlen(story));
}
static char heard[4096];
static const char *read(void)
{
    long len = storage_call(tell, 0, 0, heard, sizeof heard - 1);
    heard[len < 0 ? 0 : len] = 0;
    return heard;
}
#define ORDER(fn, data, len, start, period) kvm_api_call6(0x10709, \
    KVM_API_WORD(fn), KVM_API_WORD(data), len, start, period, 0)
#define STOP(id) kvm_api_call(0x1070A, id, 0, 0, 0)
"""
READ = 'if (strstr(url, "read")) { reply("%s", read()); return; }'


def run(vm: Guest) -> int:
    """Runs what is due. Returns how many tasks there were."""
    count = 0
    assert vm.storage
    while vm.storage.run_task():
        count += 1
    return count


def counts(vm: Guest) -> tuple[int, int, int]:
    """Tasks that were run, that failed, that wait."""
    assert vm.storage
    found = vm.storage.counts()
    return found.tasks_run, found.tasks_failed, found.tasks_pending


def story(*parts: str) -> str:
    return "\n".join((STORY, *parts))


def said(vm: Guest) -> str:
    return "\n".join(text for _, text in vm.lines())


# --- Asked for by a request ---

ASK = story(
    "START {}",
    "HANDLE {",
    READ,
    r"""
    char text[] = "by number ";
    long number = ORDER(add, text, strlen(text), 0, 0);
    strcpy(text, "changed");
    reply("%ld %ld", number, storage_task(add, "by name ", 8));
    }""",
)


@pytest.mark.parametrize("compiler", ["gcc", "g++"])
def test_a_task_runs_in_storage_after_the_request_with_a_copy_of_its_argument(
    guest, compiler
):
    source = ASK
    if compiler == "g++":
        source = ASK.replace("strncat(story, buf", "strncat(story, (const char *)buf")
    vm = guest(source, compiler=compiler, storage=True)
    assert vm.text("/ask") == "0 0"
    assert (vm.text("/read"), counts(vm)) == ("", (0, 0, 2))
    assert run(vm) == 2
    assert (vm.text("/read"), counts(vm)) == ("by number by name ", (2, 0, 0))
    assert run(vm) == 0


def test_a_task_waits_until_its_time(guest):
    vm = guest(
        story(
            "START {}",
            "HANDLE {",
            READ,
            r"""
            ORDER(add, "later", 5, 2000, 0);
            schedule_storage_task(add, "late ", 5, 0.5f, 0);
            schedule_storage_task(add, "never", 5, 1e30f, 0);
            reply("done");
            }""",
        ),
        storage=True,
    )
    begin = time.monotonic()
    vm.text("/ask")
    assert vm.storage.next_task() <= 0.5
    wait_until(vm.storage.run_task)
    assert time.monotonic() - begin >= 0.5
    assert vm.text("/read") == "late "
    wait_until(vm.storage.run_task)
    assert time.monotonic() - begin >= 2
    assert vm.text("/read") == "late later"
    assert counts(vm) == (2, 0, 1)


TIMER = story(
    "START {}",
    "HANDLE {",
    READ,
    r"""
    long id = atol(strchr(url + 1, '/') + 1);
    if (strstr(url, "number/"))
        reply("%ld", ORDER(add, "x", 1, 0, 50));
    if (strstr(url, "name/"))
        reply("%ld", schedule_storage_task(add, "y", 1, 0.0f, 0.05f));
    if (strstr(url, "stop/"))
        reply("%ld", STOP(id));
    if (strstr(url, "sys/"))
        reply("%ld", sys_stop_storage_task(id));
    reply("%ld", stop_storage_task(id));
    }""",
)


def test_a_timer_runs_again_and_again_until_it_is_stopped(guest):
    vm = guest(TIMER, storage=True)
    assert (vm.text("/number/"), vm.text("/name/")) == ("1", "2")
    wait_until(lambda: run(vm) and len(vm.text("/read")) >= 6)
    assert counts(vm)[1:] == (0, 2)
    assert [vm.text(url) for url in ("/stop/1", "/end/2")] == ["0", "0"]
    before = vm.text("/read")
    assert set(before) == {"x", "y"}
    time.sleep(0.1)
    assert (run(vm), vm.text("/read")) == (0, before)


def test_only_timers_that_there_are_can_be_stopped(guest):
    vm = guest(TIMER, storage=True)
    for url in ("/stop/1", "/sys/1", "/end/0", "/stop/-1", "/end/-9223372036854775808"):
        assert vm.text(url) == "-2"
    assert vm.text("/number/") == "1"
    assert [vm.text("/stop/1"), vm.text("/sys/1")] == ["0", "-2"]
    assert vm.text("/number/") == "2"  # ids are not used again


def test_a_timer_leaves_out_what_it_has_missed(guest):
    vm = guest(TIMER, storage=True)
    vm.text("/number/")
    time.sleep(0.3)
    begin = time.monotonic()
    count = run(vm)
    assert count <= 1 + (time.monotonic() - begin) / 0.05


def test_there_are_at_most_15_timers_and_64_other_tasks(guest):
    vm = guest(
        story(
            "START {}",
            "HANDLE {",
            READ,
            r"""
            int timers = 0, once = 0;
            long last;
            while ((last = ORDER(add, "x", 1, 60000, 60000)) > 0)
                timers++;
            while (ORDER(add, "x", 1, 60000, 0) == 0)
                once++;
            reply("%d %d %ld %ld", timers, once, last,
                  storage_task(add, "x", 1));
            }""",
        ),
        storage=True,
    )
    assert vm.text("/ask") == "15 64 -28 -28"
    assert vm.text("/ask") == "0 0 -28 -28"
    assert counts(vm) == (0, 0, 79)


SIZES = r"""
#include <string.h>
static char bytes[(2 << 20) + 1];
static unsigned long length, sum;
static void take(size_t n, struct virtbuffer buf[], size_t res)
{
    length = buf[0].len;
    for (size_t i = sum = 0; i < length; i++)
        sum += ((unsigned char *)buf[0].data)[i];
}
static void tell(size_t n, struct virtbuffer buf[], size_t res)
{
    unsigned long both[] = {length, sum};
    storage_return(both, sizeof both);
}
START {}
HANDLE {
    unsigned long both[2];
    long len = atol(url + 1);
    memset(bytes, 1, sizeof bytes);
    if (len >= 0)
        reply("%ld", storage_task(take, len ? bytes : NULL, len));
    storage_call(tell, 0, 0, both, sizeof both);
    reply("%lu %lu", both[0], both[1]);
}
"""


def test_an_argument_may_have_2_mb_and_no_more(guest):
    vm = guest(SIZES, storage=True)
    for size in (0, 1, 4097, 2 << 20):
        assert vm.text(f"/{size}") == "0"
        assert run(vm) == 1
        assert vm.text("/-1") == f"{size} {size}"
    for size in ((2 << 20) + 1, 1 << 40, (1 << 63) - 1):
        assert vm.text(f"/{size}") == "-7"


def test_an_argument_has_to_fit_into_the_inbox_of_storage(guest):
    vm = guest(SIZES, storage=True, max_memory=8)
    assert vm.text(f"/{2 << 20}") == "-7"
    assert vm.text(f"/{(2 << 20) - 1024}") == "0"
    assert run(vm) == 1


def test_an_unreadable_argument_fails_the_request(guest):
    vm = guest(
        story("START {}", 'HANDLE { reply("%ld", ORDER(add, 8, 8, 0, 0)); }'),
        storage=True,
    )
    assert vm.get().status == 500
    assert "unreadable argument" in vm.failure


def test_without_storage_there_are_no_tasks(guest):
    vm = guest(
        story(
            "START {}",
            r"""HANDLE { reply("%ld", strstr(url, "stop") ? STOP(1)
                                      : storage_task(add, "x", 1)); }""",
        )
    )
    for url in ("/", "/stop"):
        assert vm.get(url).status == 500
        assert "storage is not enabled" in vm.failure


def test_requests_can_only_order_what_is_on_the_allow_list(guest):
    vm = guest(
        story(
            "static void inner(size_t n, struct virtbuffer *buf, size_t res)",
            '{ strcat(story, "inner"); }',
            "static void outer(size_t n, struct virtbuffer *buf, size_t res)",
            "{ storage_task(inner, 0, 0); }",
            "START { STORAGE_ALLOW(outer); STORAGE_ALLOW(tell); }",
            "HANDLE {",
            READ,
            'reply("%ld", storage_task(strstr(url, "out") ? outer : inner, 0, 0));',
            "}",
        ),
        storage=True,
    )
    assert vm.get("/inner").status == 500
    assert "not on the allow list" in vm.failure
    assert vm.text("/outer") == "0"
    assert run(vm) == 2  # storage itself may call whatever it has
    assert vm.text("/read") == "inner"


# --- Asked for by storage ---

INSIDE = story(
    r"""
static void more(size_t n, struct virtbuffer buf[], size_t res)
{
    const char *how = buf[0].data;
    long number = ORDER(add, "number ", 7, 0, 0);
    long timer = schedule_storage_task(add, "timer ", 6, 0, 60);
    strcat(story, "called ");
    if (strstr(how, "stop"))
        stop_storage_task(timer);
    if (strstr(how, "crash"))
        __builtin_trap();
    if (strstr(how, "silent"))
        return;
    storage_return(&timer, sizeof timer);
}
static void stop(size_t n, struct virtbuffer buf[], size_t res)
{
    long ret = STOP(*(long *)buf[0].data);
    if (n && ((long *)buf[0].data)[1])
        __builtin_trap();
    storage_return(&ret, sizeof ret);
}
START {}
HANDLE {
    long got = 0, id[] = {1, strstr(url, "fail") != NULL};""",
    READ,
    r"""
    long len = strstr(url, "/undo")
        ? storage_call(stop, id, sizeof id, &got, sizeof got)
        : storage_call(more, url, strlen(url) + 1, &got, sizeof got);
    reply("%ld %ld", len, got);
}""",
)


def test_a_storage_function_orders_tasks_with_its_commit(guest):
    vm = guest(INSIDE, storage=True)
    assert (vm.text("/more"), counts(vm)) == ("8 1", (0, 0, 2))
    assert run(vm) == 2
    assert (vm.text("/read"), counts(vm)) == ("called number timer ", (2, 0, 1))


@pytest.mark.parametrize("how", ["crash", "silent"])
def test_what_a_storage_function_orders_that_is_rolled_back_never_runs(guest, how):
    vm = guest(INSIDE, storage=True)
    assert vm.text(f"/{how}") == "-1 0"
    assert (run(vm), vm.text("/read"), counts(vm)) == (0, "", (0, 0, 0))


def test_a_timer_may_be_stopped_by_the_call_that_has_ordered_it(guest):
    vm = guest(INSIDE, storage=True)
    assert (vm.text("/stop"), counts(vm)) == ("8 1", (0, 0, 1))
    assert (run(vm), vm.text("/read")) == (1, "called number ")


def test_a_timer_goes_on_when_the_call_that_stops_it_is_rolled_back(guest):
    vm = guest(INSIDE, storage=True)
    vm.text("/more")
    assert run(vm) == 2
    assert (vm.text("/undo/fail"), counts(vm)[2]) == ("-1 0", 1)
    assert (vm.text("/undo"), counts(vm)[2]) == ("8 0", 0)
    assert vm.text("/undo") == "8 -2"


def test_timers_can_be_exchanged_for_as_many_in_one_call(guest):
    vm = guest(
        story(
            r"""
static long ids[15];
static void exchange(size_t n, struct virtbuffer buf[], size_t res)
{
    long count = 0;
    for (int i = 0; i < 15; i++)
        if (ids[i])
            stop_storage_task(ids[i]);
    for (int i = 0; i < 15; i++)
        count += (ids[i] = ORDER(add, "x", 1, 60000, 60000)) > 0;
    count += ORDER(add, "x", 1, 60000, 60000) > 0;
    storage_return(&count, sizeof count);
}
START {}
HANDLE {
    long count = 0;
    storage_call(exchange, 0, 0, &count, sizeof count);
    reply("%ld", count);
}"""
        ),
        storage=True,
    )
    for _ in range(3):
        assert (vm.text(), counts(vm)[2]) == ("15", 15)


def test_a_task_may_order_tasks_and_stop_itself(guest):
    vm = guest(
        story(
            r"""
static int left = 3;
static long timer;
static void chain(size_t n, struct virtbuffer buf[], size_t res)
{
    strcat(story, "chain ");
    if (--left)
        storage_task(chain, 0, 0);
}
static void once(size_t n, struct virtbuffer buf[], size_t res)
{
    strcat(story, "once ");
    stop_storage_task(timer);
}
START { if (IS_STORAGE()) timer = schedule_storage_task(once, 0, 0, 0, 0.001f); }
HANDLE {""",
            READ,
            'reply("%ld", storage_task(chain, 0, 0)); }',
        ),
        storage=True,
    )
    assert vm.text("/ask") == "0"
    assert run(vm) == 4
    assert vm.text("/read") == "once chain chain chain "
    time.sleep(0.01)
    assert (run(vm), counts(vm)) == (0, (4, 0, 0))


def test_main_of_storage_may_order_tasks_once_for_all_clones(guest):
    vm = guest(
        story(
            r"""
static long first, gone;
START {
    if (!IS_STORAGE())
        return;
    storage_task(add, "once ", 5);
    first = schedule_storage_task(add, "timer ", 6, 0, 60);
    gone = ORDER(add, "gone ", 5, 0, 60000);
    if (STOP(gone) || STOP(gone) != -2)
        abort();
}
HANDLE {""",
            READ,
            "}",
        ),
        storage=True,
    )
    with vm.clone():
        assert run(vm) == 2
    assert (vm.text("/read"), counts(vm)) == ("once timer ", (2, 0, 1))


def test_main_of_the_request_machine_may_order_tasks(guest):
    vm = guest(
        story(
            'START { if (!IS_STORAGE()) storage_task(add, "from main", 9); }',
            "HANDLE {",
            READ,
            "}",
        ),
        storage=True,
    )
    assert run(vm) == 1
    assert vm.text("/read") == "from main"


# --- What fails ---

FAILS = story(
    r"""
static int tries;
static void fail(size_t n, struct virtbuffer buf[], size_t res)
{
    const char *how = buf[0].data;
    strcat(story, "never ");
    storage_task(add, "never ", 6);
    if (strstr(how, "null"))
        *(volatile int *)8 = 1;
    if (strstr(how, "http"))
        http_append_str(RESP, "X-Storage: yes");
    if (strstr(how, "exit"))
        exit(3);
    if (strstr(how, "loop")) {
        kvm_api_call(0x10011, 0, 0, 0, 0);
        storage_return_nothing();
        for (;;)
            __builtin_ia32_pause();
    }
    __builtin_trap();
}
START {}
HANDLE {""",
    READ,
    r"""
    if (strstr(url, "timer"))
        reply("%ld", ORDER(fail, url, strlen(url) + 1, 0, 50));
    if (strstr(url, "0x"))
        reply("%ld", ORDER(strtoul(strstr(url, "0x"), 0, 0), 0, 0, 0, 0));
    reply("%ld", storage_task(fail, url, strlen(url) + 1));
}""",
)


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ("trap", "illegal instruction"),
        ("null", "page fault writing 0x8"),
        ("http", "http_append outside of a request"),
        ("exit", "exited with status 3"),
        ("loop", "time limit"),
        ("0x0", "page fault executing 0x0"),
        ("0xffffffffffffffff", "0xffffffffffffffff"),
    ],
)
def test_a_task_that_fails_leaves_nothing_but_a_line_and_a_count(guest, how, why):
    vm = guest(FAILS, storage=True)
    assert vm.text(f"/{how}") == "0"
    begin = time.monotonic()
    assert run(vm) == 1
    assert how != "loop" or time.monotonic() - begin >= 15
    assert (vm.text("/read"), counts(vm)) == ("", (1, 1, 0))
    assert "storage task 0x" in said(vm)
    assert why in said(vm)
    assert vm.text("/trap") == "0"  # the machine is made anew
    assert (run(vm), counts(vm)) == (1, (2, 2, 0))


def test_a_timer_that_fails_goes_on(guest):
    vm = guest(FAILS, storage=True)
    assert vm.text("/timer") == "1"
    wait_until(lambda: run(vm) and counts(vm)[1] >= 3)
    assert (vm.text("/read"), counts(vm)[2]) == ("", 1)


def test_what_a_task_returns_is_ignored(guest):
    vm = guest(
        story(
            r"""
static void chatty(size_t n, struct virtbuffer buf[], size_t res)
{
    storage_return("ignored", 7);
    strcat(story, "ran ");
}
static void brief(size_t n, struct virtbuffer buf[], size_t res)
{
    strcat(story, "brief ");
    storage_noreturn("ignored", 7);
}
START { if (IS_STORAGE()) { storage_task(chatty, 0, 0); storage_task(brief, 0, 0); } }
HANDLE {""",
            READ,
            "}",
        ),
        storage=True,
    )
    assert run(vm) == 2
    assert (vm.text("/read"), counts(vm)) == ("ran brief ", (2, 0, 0))


def test_a_task_cannot_call_storage(guest):
    vm = guest(
        story(
            r"""
static void nested(size_t n, struct virtbuffer buf[], size_t res)
{
    char text[32];
    sprintf(text, "%ld", storage_call(tell, 0, 0, 0, 0));
    strcat(story, text);
}
START {}
HANDLE {""",
            READ,
            'reply("%ld", storage_task(nested, 0, 0)); }',
        ),
        storage=True,
    )
    vm.text("/ask")
    assert run(vm) == 1
    assert vm.text("/read") == "-1"


def test_who_leaves_runs_no_task_and_leaves_them_to_others(guest):
    vm = guest(ASK, storage=True)
    assert vm.text("/ask") == "0 0"
    vm.storage.stop_tasks()
    assert (run(vm), counts(vm)) == (0, (0, 0, 2))
