"""The storage VM: the same program in a machine that remembers, entered by calls."""

import threading
import time
from collections.abc import Iterator

import pytest
from support.clones import EMULATED, ask, from_threads
from support.guests import PRELUDE, Guest, compile_guest

from skerry import native
from skerry.message import Request
from skerry.native import NativeError, Stream

pytestmark = pytest.mark.core

CALLS = 30 if EMULATED else 300  # of each of several threads

# STORAGE(name) { ... } is a function to be called in storage; CALL(name, src, len, dst,
# room) calls it, and ints are told from ints.
HELPERS = r"""
#define STORAGE(name) \
    static void name(size_t n, struct virtbuffer buf[], size_t res)
#define CALL(name, ...) storage_call(name, __VA_ARGS__)
#define RETURN(x) storage_return(&(x), sizeof(x))
"""
COUNTER = (
    HELPERS
    + r"""
static int counter;
STORAGE(increment) { counter++; RETURN(counter); }
static long count(void)
{
    int now = -1;
    const long len = CALL(increment, 0, 0, &now, sizeof now);
    return len == sizeof now ? now : len;
}
"""
)


def source(*parts: str) -> str:
    """A program of several parts: COUNTER or HELPERS first."""
    return "\n".join(parts)


# --- Start-up ---


def test_storage_starts_first_and_both_know_which_they_are(guest):
    vm = guest(
        r"""
        #include "kvm_api.h"
        static char told[256];
        static void on_get(const char *url, const char *arg)
        {
            backend_response_str(200, "text/plain", told);
        }
        int main(int argc, char **argv)
        {
            sprintf(told, "%d %s %s %s %d %d", argc, argv[0], argv[2],
                    getenv("KVM_TYPE"), IS_STORAGE(), sys_is_storage());
                puts(told);
                fflush(stdout);
            set_backend_get(on_get);
            wait_for_requests();
        }
        """,
        whole=True,
        storage=True,
    )
    storage, request = "3 test storage storage 1 1", "3 test request request 0 0"
    assert [text for _, text in vm.lines()] == [storage, request]
    assert vm.text() == request


def test_the_request_machine_may_call_storage_at_start_up(guest):
    vm = guest(
        source(
            COUNTER,
            r"""
            static long at_start;
            START { if (!IS_STORAGE()) at_start = count(); }
            HANDLE { reply("%ld %ld", at_start, count()); }
            """,
        ),
        storage=True,
    )
    assert [vm.text() for _ in range(3)] == ["1 2", "1 3", "1 4"]


def test_storage_is_never_called_without_being_enabled(guest):
    vm = guest(source(COUNTER, 'START {} HANDLE { reply("%ld", count()); }'))
    assert vm.get().status == 500
    assert "storage is not enabled" in vm.failure


# --- The allow list ---

ALLOW = source(
    HELPERS,
    r"""
    STORAGE(first) { int x = 1; RETURN(x); }
    STORAGE(second) { int x = 2; RETURN(x); }
    START { %s }
    HANDLE {
        int got = 0;
        uint64_t address = strtoul(url + 1, NULL, 0);
        storage_func fn = url[1] == 'f' ? first : second;
        if (address)
            fn = (storage_func)address;
        long len = CALL(fn, NULL, 0, &got, sizeof got);
        reply("%ld %d", len, got);
    }
    """,
)


def test_only_functions_on_the_allow_list_can_be_called(guest):
    vm = guest(ALLOW.replace("%s", "STORAGE_ALLOW(first);"), storage=True)
    assert vm.text("/first") == "4 1"
    for url in ("/second", "/0x6000", "/0x1000", "/0xffffffffffffffff"):
        assert vm.get(url).status == 500
        assert "not on the allow list" in vm.failure
    assert vm.text("/first") == "4 1"


def test_an_empty_allow_list_allows_everything(guest):
    vm = guest(ALLOW.replace("%s", ""), storage=True)
    assert (vm.text("/first"), vm.text("/second")) == ("4 1", "4 2")


def test_the_allow_list_is_complete_with_the_start(guest):
    late = "STORAGE(late) { STORAGE_ALLOW(late); storage_return_nothing(); }"
    vm = guest(
        source(COUNTER, late)
        + r"""
        START {}
        HANDLE {
            STORAGE_ALLOW(late);  /* does nothing in a request */
            long len = CALL(late, NULL, 0, NULL, 0);
            reply("%ld %ld", len, count());
        }
        """,
        storage=True,
    )
    assert vm.text() == "-1 1"


def test_the_allow_list_has_a_limit_that_says_so(guest):
    allow = "for (int i = 0; i < %d; i++) STORAGE_ALLOW(first);"
    assert guest(ALLOW.replace("%s", allow % 256), storage=True).text("/f") == "4 1"
    with pytest.raises(NativeError, match="storage_allow: more than 256 functions"):
        guest(ALLOW.replace("%s", allow % 257), storage=True)


# --- Arguments ---


def test_64_buffers_arrive_whole_and_65_are_refused(guest):
    vm = guest(
        source(
            HELPERS,
            r"""
            STORAGE(sum) {
                long total = 0;
                for (size_t i = 0; i < n; i++)
                    for (size_t at = 0; at < buf[i].len; at++)
                        total += (i + 1) * ((const uint8_t *)buf[i].data)[at];
                RETURN(total);
            }
            START {}
            HANDLE {
                static char text[100];
                memset(text, 1, sizeof text);
                struct virtbuffer in[70];
                for (int i = 0; i < 70; i++)
                    in[i] = (struct virtbuffer){text, i};
                long total = -2;
                long len = storage_callv(sum, strtoul(url + 1, NULL, 0), in, &total, 8);
                reply("%ld %ld", len, total);
            }
            """,
        ),
        storage=True,
    )
    for count in (0, 1, 2, 63, 64):
        assert vm.text(f"/{count}") == f"8 {sum((i + 1) * i for i in range(count))}"
    for count in (65, 70, 1 << 32, 2**64 - 1):
        assert vm.text(f"/{count}") == "-1 -2"
    assert vm.text("/64") == f"8 {sum((i + 1) * i for i in range(64))}"


def test_buffers_are_copies_that_may_be_written_to(guest):
    vm = guest(
        source(
            HELPERS,
            r"""
            STORAGE(scribble) {
                char was = *(char *)buf[0].data;
                memset((void *)buf[0].data, '!', buf[0].len);
                buf[0].len = 0;
                RETURN(was);
            }
            START {}
            HANDLE {
                char mine[] = "abc", was;
                CALL(scribble, mine, 3, &was, 1);
                reply("%s %c", mine, was);
            }
            """,
        ),
        storage=True,
    )
    assert [vm.text(), vm.text()] == ["abc a", "abc a"]


def test_a_function_learns_how_much_its_caller_takes(guest):
    vm = guest(
        source(
            HELPERS,
            r"""
            STORAGE(room) {
                unsigned long told[3] = {n, n ? buf[0].len : 7, res};
                RETURN(told);
            }
            START {}
            HANDLE {
                unsigned long got[12];
                CALL(room, NULL, 0, got, 96);
                reply("%lu %lu %lu", got[0], got[1], got[2]);
            }
            """,
        ),
        storage=True,
    )
    assert vm.text() == "1 0 96"


# --- Results ---

RESULTS = source(
    HELPERS,
    r"""
    static char large[1 << 20];
    /* How much, and by which of the ways. */
    STORAGE(give) {
        const char *way = buf[0].data;
        const size_t len = atol(way + 1);
        if (*way == 'f')
            storage_return(large, len);
        if (*way == 'n')
            kvm_api_call(KVM_API_STORAGE_RETURN, (uint64_t)large, len, 0, 0);
        if (*way == 'e')
            storage_noreturn(large, len);
        if (*way == '0')
            storage_return_nothing();
    }
    static char got[(1 << 20) + 8];
    START { for (int i = 0; i < sizeof large; i++) large[i] = 'a' + i % 23; }
    /* /WAY LENGTH/ROOM. The answer: what the call returned, and how (got) changed. */
    HANDLE {
        const char *room = strchr(url + 1, '/') + 1;
        memset(got, '~', sizeof got);
        char *dst = *room == 'N' ? NULL : got;
        const long ret = CALL(give, url + 1, strlen(url), dst, atol(room));
        long same = 0, touched = 0;
        for (long i = 0; i < sizeof got; i++)
            touched += got[i] != '~';
        while (same < sizeof large && got[same] == large[same])
            same++;
        reply("%ld %ld %ld", ret, touched, same);
    }
    """,
)


@pytest.mark.parametrize("way", ["f", "n", "e"])
def test_the_result_is_what_fits_and_null_takes_its_length(guest, way):
    vm = guest(RESULTS, storage=True)
    sizes = [0, 1, 100, 3967, 3968, 3969, 4096, 70000, 1 << 20]
    for size in sizes:
        assert vm.text(f"/{way}{size}/{1 << 20}") == f"{size} {size} {size}"
        assert vm.text(f"/{way}{size}/NULL") == f"{size} 0 0"
    for size, room in ((100, 0), (100, 99), (5000, 4999), (1 << 20, 1)):
        assert vm.text(f"/{way}{size}/{room}") == f"{room} {room} {room}"


def test_a_result_of_nothing_is_not_no_result(guest):
    vm = guest(RESULTS, storage=True)
    assert vm.text("/0/100") == "0 0 0"
    assert vm.text("/f0/100") == "0 0 0"
    assert vm.text("/x/100") == "-1 0 0"


def test_a_megabyte_goes_in_and_comes_back(guest):
    vm = guest(
        source(
            HELPERS,
            r"""
            static uint8_t in[1 << 20], out[1 << 20];
            STORAGE(invert) {
                for (size_t i = 0; i < buf[0].len; i++)
                    out[i] = ~((const uint8_t *)buf[0].data)[i];
                storage_return(out, buf[0].len);
            }
            START { for (int i = 0; i < sizeof in; i++) in[i] = i * 7 + i / 4096; }
            HANDLE {
                long len = CALL(invert, in, sizeof in, out, sizeof out), good = 0;
                for (int i = 0; i < sizeof in; i++)
                    good += out[i] == (uint8_t)~in[i];
                reply("%ld %ld", len, good);
            }
            """,
        ),
        storage=True,
    )
    assert [vm.text(), vm.text()] == [f"{1 << 20} {1 << 20}"] * 2


def test_arguments_that_do_not_fit_are_refused(guest):
    vm = guest(
        source(
            COUNTER,
            r"""
            static char large[12 << 20];
            START {}
            HANDLE {
                int now;
                long len = CALL(increment, large, atol(url + 1) << 20, &now, 4);
                reply("%ld %ld", len, count());
            }
            """,
        ),
        storage=True,
        max_memory=32,
        max_request_memory=32,
    )
    assert vm.text("/12") == "-1 1"
    assert vm.text("/7") == "4 3"


# --- Functions that fail ---

FAILING = source(
    COUNTER,
    r"""
    STORAGE(fail) {
        char text[64];
        switch (*(const char *)buf[0].data) {
        case 't': __builtin_trap();
        case 'r': *(volatile int *)0;
        case 'w': *(volatile int *)8 = 1;
        case 'd': n = 0; asm volatile("div %%ecx" : : "c"(0), "a"(1) : "rdx");
        case 'h': asm volatile("hlt");
        case 'p': asm volatile("out %al, $2");
        case 's': asm volatile("mov $64, %rsp; push %rax");
        case 'j': asm volatile("jmp *%0" : : "r"(1ul << 63));
        case 'e': exit(0);
        case 'a': abort();
        case 'l': for (;;) asm volatile("");
        case 'n': return;
        case 'W': wait_for_requests();
        case 'G': set_backend_get((kvm_get_func)(void *)fail);
        case 'A': STORAGE_ALLOW(fail);
        case 'R': kvm_api_call(KVM_API_STORAGE_RETURN, 64, 64, 0, 0);
        case 'E': storage_noreturn((void *)64, 64);
        case '1': http_append_str(RESPONSE, "A: b");
        case '2': http_set_str(RESPONSE, "A: b");
        case '3': http_unset_str(REQUEST, "A");
        case '4': http_find_str(REQUEST, "Host", text, sizeof text);
        case '5': http_find_str(RESPONSE, "A", text, sizeof text);
        case '6': http_method(text, sizeof text);
        case '7': backend_response_str(200, "text/plain", "from storage");
        }
        storage_return_nothing();
    }
    START {}
    HANDLE {
        long before = count(), failed = CALL(fail, url + 1, 1, NULL, 0);
        reply("%ld %ld", failed, count() - before);
    }
    """,
)


@pytest.fixture(scope="module")
def failing() -> Iterator[Guest]:
    """FAILING, started once: storage has to go on after every way to fail."""
    elf = compile_guest(PRELUDE + FAILING).read_bytes()
    with Guest(elf, storage=True, storage_time=0.2) as vm:
        yield vm


@pytest.mark.parametrize("how", "trwdhpsjealnWGARE1234567")
def test_a_function_that_fails_is_minus_one_and_storage_goes_on(failing, how):
    failing.console.take()
    assert failing.text("/" + how) == "-1 1"
    assert failing.failure == ""
    assert failing.text("/good") == "0 1", "the next request finds storage as it was"
    lines = failing.console.take()
    noted = [text for stream, text in lines if stream is Stream.HOST]
    assert len(noted) == 1
    assert noted[0].startswith("storage function 0x")


def test_a_wild_function_is_minus_one(guest):
    vm = guest(ALLOW.replace("%s", ""), storage=True)
    wild = ["0x1", "0x1000", "0x5003", "0x7000", "0x8ff8", "0x100000", "0x4000000"]
    for address in [*wild, "0x7fffffffffff", "0x8000000000000000"]:
        assert vm.text("/" + address) == "-1 0"
        assert vm.text("/first") == "4 1"


def test_storage_called_from_storage_is_minus_one(guest):
    vm = guest(
        source(
            COUNTER,
            r"""
            STORAGE(nested) { long got = count(); RETURN(got); }
            START {}
            HANDLE {
                long got = 0, len = CALL(nested, NULL, 0, &got, 8);
                reply("%ld %ld %ld", len, got, count());
            }
            """,
        ),
        storage=True,
    )
    assert [vm.text(), vm.text()] == ["8 -1 1", "8 -1 2"]


def test_a_function_that_loops_is_stopped_at_the_storage_time(guest):
    vm = guest(FAILING, storage=True, storage_time=0.1, limit=60)
    begin = time.monotonic()
    assert vm.text("/l") == "-1 1"
    assert 0.1 <= time.monotonic() - begin < 30
    assert any("time limit reached" in text for _, text in vm.lines())


def test_a_function_that_outlives_its_request_is_stopped_with_it(guest):
    vm = guest(FAILING, storage=True, storage_time=60, limit=0.3)
    begin = time.monotonic()
    assert vm.get("/l").status == 500
    assert vm.failure == "time limit reached"
    assert time.monotonic() - begin < 30
    assert vm.text("/good") == "0 1"


@pytest.mark.parametrize("compiler", ["gcc", "g++"])
def test_a_function_may_go_on_after_its_result_but_not_for_ever(guest, compiler):
    """The header leaves its result in memory, where the host looks once a second."""
    vm = guest(
        source(
            COUNTER,
            r"""
            STORAGE(tidy) {
                RETURN(counter);
                counter += 100;
            }
            #include <unistd.h>
            STORAGE(dawdle) {
                if (*(const char *)buf[0].data == 'n')
                    kvm_api_call(KVM_API_STORAGE_RETURN, (uint64_t)&counter, 4, 0, 0);
                if (*(const char *)buf[0].data == 'h')
                    RETURN(counter);
                if (*(const char *)buf[0].data == 's') {
                    RETURN(counter);
                    sleep(200);
                }
                for (;;)
                    asm volatile("");
            }
            START {}
            HANDLE {
                int got = -1;
                if (url[1])
                    CALL(dawdle, url + 1, 1, NULL, 0);
                else
                    CALL(tidy, NULL, 0, &got, 4);
                reply("%d %ld", got, count());
            }
            """,
        ),
        compiler=compiler,
        storage=True,
        storage_time=300,
        limit=300,
    )
    assert [vm.text(), vm.text()] == ["0 101", "101 202"]
    for number, url in enumerate(("/number", "/header", "/sleep")):
        begin = time.monotonic()
        assert vm.text(url) == f"-1 {203 + number}"
        assert 1 <= time.monotonic() - begin < 60


def test_a_function_that_takes_seconds_may_do_so_before_its_result(guest):
    """... though the host looks for a result meanwhile; also in its own calls."""
    vm = guest(
        source(
            HELPERS,
            r"""
            #include <unistd.h>
            static char text[50000];
            STORAGE(work) {
                const long h = sys_regex_compile("a*+[xy]", 7);
                usleep(1200000);
                long ret = sys_regex_match(h, text, sizeof text);
                RETURN(ret);
            }
            START { memset(text, 'a', sizeof text); }
            HANDLE { long ret = 7; CALL(work, 0, 0, &ret, 8); reply("%ld", ret); }
            """,
        ),
        storage=True,
        storage_time=300,
        limit=300,
    )
    assert vm.text() == "-1"


def test_a_caller_does_not_wait_for_storage_beyond_its_own_limit(guest):
    vm = guest(FAILING, storage=True, storage_time=1.5, limit=60)
    slow = threading.Thread(target=vm.text, args=("/l",))
    with native.Vm(vm.snapshot, vm.console, 0.2, 0.0, vm.storage) as hasty:
        slow.start()
        time.sleep(0.1)
        ask(hasty, "/good")
        still_there = slow.is_alive()
        slow.join()
        assert still_there
        assert (hasty.failed, hasty.reason) == (True, "time limit reached")
    assert vm.text("/good") == "0 1"


# --- What lasts ---


def test_state_lasts_over_requests_clones_and_failed_requests(guest):
    vm = guest(
        source(
            COUNTER,
            r"""
            START {}
            HANDLE {
                long now = count();
                if (strstr(url, "fail"))
                    __builtin_trap();
                reply("%ld %d", now, counter);
            }
            """,
        ),
        storage=True,
    )
    assert [vm.text(), vm.text()] == ["1 0", "2 0"], "the request's own copy stays 0"
    with vm.clone() as other:
        assert ask(other).body == b"3 0"
    assert vm.get("/fail").status == 500
    assert vm.text() == "5 0"


def test_threads_share_one_storage_and_every_call_counts_once(guest):
    vm = guest(
        source(COUNTER, 'START {} HANDLE { reply("%ld", count()); }'), storage=True
    )
    bodies = from_threads(vm, threads=3, requests=CALLS)
    assert sorted(map(int, bodies)) == list(range(1, 3 * CALLS + 1))
    assert vm.text() == str(3 * CALLS + 1)


def test_calls_from_threads_survive_functions_that_fail(guest):
    vm = guest(
        source(
            FAILING.replace("HANDLE", "static void unused(const char *url)").replace(
                "START {}", ""
            ),
            r"""
            START {}
            HANDLE {
                static const char mode = 't';
                long failed = CALL(fail, &mode, 1, NULL, 0);
                reply("%ld %ld", failed, count());
            }
            """,
        ),
        storage=True,
    )
    requests = CALLS // 10
    bodies = from_threads(vm, threads=2, requests=requests)
    assert {body.split()[0] for body in bodies} == {"-1"}
    counts = sorted(int(body.split()[1]) for body in bodies)
    assert counts == list(range(1, 2 * requests + 1))


def test_memory_that_storage_allocates_lasts(guest):
    vm = guest(
        source(
            HELPERS,
            r"""
            struct node { struct node *next; int number; char room[100000]; };
            static struct node *list;
            static int length;
            STORAGE(push) {
                struct node *node = malloc(sizeof *node), *small = malloc(40);
                memset(node, 0xff, sizeof *node);
                memset(small, 0xff, 40);
                if (length % 3 == 0)
                    free(small);
                node->next = list;
                node->number = length++;
                list = node;
                int good = 0;
                for (struct node *at = list; at; at = at->next)
                    good += at->number == length - 1 - good && at->room[99999] == -1;
                if (*(const char *)buf[0].data == '!')
                    __builtin_trap();
                RETURN(good);
            }
            START {}
            HANDLE {
                int good = 0;
                long len = CALL(push, url + 1, 1, &good, sizeof good);
                reply("%ld %d", len, good);
            }
            """,
        ),
        storage=True,
    )
    assert [vm.text() for _ in range(5)] == [f"4 {n}" for n in range(1, 6)]
    assert [vm.text("/!") for _ in range(3)] == ["-1 0"] * 3
    assert vm.text() == "4 6", "what a failed call has allocated is taken back"


def test_registers_of_a_call_do_not_last(guest):
    vm = guest(
        source(
            HELPERS,
            r"""
            STORAGE(registers) {
                unsigned long flags, xmm, r12, r15;
                unsigned mxcsr, control = 0;
                asm volatile("movq %%xmm7, %0; mov %%r12, %1; mov %%r15, %2;"
                             "pushfq; pop %3; stmxcsr %4; fnstcw %5"
                             : "=r"(xmm), "=r"(r12), "=r"(r15), "=r"(flags),
                               "=m"(mxcsr), "=m"(control));
                char text[128];
                int len = sprintf(text, "%lx %lx %lx %lx %x %x", xmm, r12, r15,
                                  flags & 0x40400, mxcsr, control);
                storage_return(text, len + 1);
                unsigned odd = 0x9fc0, word = 0x0f7f;
                asm volatile("ldmxcsr %0; fldcw %1; movq %2, %%xmm7; mov %2, %%r12;"
                             "mov %2, %%r15"
                             : : "m"(odd), "m"(word), "r"(0x5ec4e7ul)
                             : "xmm7", "r12");
                kvm_api_call(KVM_API_STORAGE_NORETURN, (uint64_t)text, len + 1, 0, 0);
            }
            START {}
            HANDLE {
                char text[128] = "";
                CALL(registers, NULL, 0, text, sizeof text);
                reply("%s", text);
            }
            """,
        ),
        storage=True,
    )
    first = vm.text()
    assert "5ec4e7" not in first
    assert [vm.text(), vm.text()] == [first, first]


def test_what_storage_prints_is_told(guest):
    vm = guest(
        source(
            HELPERS,
            r"""
            STORAGE(print) {
                puts("printed in storage");
                fflush(stdout);
                sys_log("logged in storage", 17);
                storage_return_nothing();
            }
            START {}
            HANDLE { reply("%ld", CALL(print, NULL, 0, NULL, 0)); }
            """,
        ),
        storage=True,
    )
    assert vm.text() == "0"
    assert (Stream.STDOUT, "printed in storage") in vm.lines()
    assert (Stream.LOG, "logged in storage") in vm.lines()


# --- Who may call, and what it costs ---


def test_post_request_and_on_error_may_call_storage(guest):
    vm = guest(
        source(
            COUNTER,
            r"""
            static void on_post(const char *url, const char *arg, const char *type,
                                const uint8_t *data, size_t len)
            {
                reply("post %ld", count());
            }
            static void on_error(const char *url, const char *arg, const char *why)
            {
                reply("error %ld", count());
            }
            START { set_backend_post(on_post); set_on_error(on_error); }
            HANDLE { __builtin_trap(); }
            """,
        ),
        storage=True,
    )
    assert vm.get().body == b"error 1"
    assert vm.post(b"x").body == b"post 2"
    assert vm.get().body == b"error 3"


def test_a_storage_call_is_three_exits_of_its_request(guest):
    vm = guest(
        source(
            COUNTER,
            r"""
            START {}
            HANDLE {
                http_append_str(RESPONSE, "X-Before: 1");
                for (int i = 0; i < atoi(url + 1); i++)
                    http_appendf(RESPONSE, "X-Counter: %ld", count());
                reply("x");
            }
            """,
        ),
        storage=True,
    )
    for calls in (1, 1, 2, 5, 0):
        answer = vm.get(f"/{calls}")
        assert answer.head.count(b"X-Counter") == calls
        assert vm.exits == (1 + 2 * calls, calls)


def test_storage_outlives_its_name_and_its_clones_in_any_order(guest):
    vm = guest(
        source(COUNTER, 'START {} HANDLE { reply("%ld", count()); }'), storage=True
    )
    clone = vm.clone()
    vm.storage.close()
    vm.snapshot.close()
    assert [vm.text(), ask(clone).body, vm.text()] == ["1", b"2", "3"]
    vm.vm.close()
    assert clone.serve(Request(b"GET", b"/")).body == b"4"
    clone.close()
