"""Time and memory: a program gets so much and no more; the next request is right."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from support.clones import FAILED, ask

from skerry import native
from skerry.message import Request, Response

pytestmark = pytest.mark.core

GENEROUS = 60.0  # seconds: what is stopped at its limit is stopped long before

# /WHAT? What the program does before it answers "fine".
LOOPS = r"""
static volatile int never;
static void loop(void) { while (!never) asm volatile("pause"); }
static void tight(void) { asm volatile("1: jmp 1b"); }
static void call_by_number(void) { while (!never) sys_is_storage(); }
static void system_call(void)
{
    long ret;
    while (!never)
        asm volatile("syscall" : "=a"(ret) : "0"(39l) : "rcx", "r11", "memory");
}
static void write_pages(void)
{
    static char room[1 << 20];
    for (int i = 0; !never; i = (i + 4096) % sizeof room)
        ((volatile char *)room)[i] = 1;
}
static void no_stack(void) { asm volatile("xor %esp, %esp; 1: jmp 1b"); }
static void wild_stack(void) { asm volatile("mov $1, %rsp; shl $63, %rsp; 1: jmp 1b"); }
static void backwards(void) { asm volatile("std; 1: jmp 1b"); }
static void aligned(void)
{
    asm volatile("pushfq; orl $0x40000, (%rsp); popfq; 1: jmp 1b");
}
static void rep(void)
{
    static char room[1 << 16];
    while (!never)
        memset(room, 0, sizeof room);
}
"""
BLOCKED = r"""
#include <signal.h>
#include <unistd.h>
#include <sys/syscall.h>
static void blocked(void)
{
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    for (int i = 1; i < 65; i++)
        signal(i, SIG_IGN);
    loop();
}
static void sleep_long(void) { sleep(1000); }
static void nanosleep_long(void) { syscall(SYS_nanosleep, (long[]){1000, 0}, 0); }
"""
WAYS = [
    *["loop", "tight", "call_by_number", "system_call", "write_pages", "no_stack"],
    *["wild_stack", "backwards", "aligned", "rep", "blocked"],
    *["sleep_long", "nanosleep_long"],
]
CHOOSE = "".join(f'if (!strcmp(url, "/{way}")) {way}();\n' for way in WAYS)
LOOPING = LOOPS + BLOCKED + "START {} HANDLE {" + CHOOSE + 'reply("fine"); }'


# --- Time ---


@pytest.mark.parametrize("way", WAYS)
def test_a_request_that_does_not_end_is_stopped_at_its_limit(guest, way):
    vm = guest(LOOPING, limit=0.1)
    begin = time.monotonic()
    answer = vm.get("/" + way)
    assert (answer.status, answer.body) == FAILED
    assert 0.1 <= time.monotonic() - begin < GENEROUS
    assert vm.failure == "time limit reached"
    assert vm.discarded
    assert vm.text("/good") == "fine"


BUSY = r"""
#include <time.h>
static long now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}
/* Works for (ms) milliseconds. */
static void busy(long ms)
{
    for (const long end = now() + ms; now() < end;)
        ;
}
"""


def test_every_request_has_the_whole_limit(guest):
    vm = guest(BUSY + 'START {} HANDLE { busy(400); reply("fine"); }', limit=2.0)
    assert [vm.text() for _ in range(6)] == ["fine"] * 6


ON_ERROR = (
    LOOPS
    + r"""
static int left;
static void on_error(const char *url, const char *arg, const char *exception)
{
    if (strstr(url, "both"))
        loop();
    reply("error: %s, %d", exception, left);
}
START { set_on_error(on_error); }
HANDLE {
    left = 1;
    if (url[1])
        loop();
    reply("fine, %d", left);
}
"""
)


def test_on_error_answers_for_a_request_over_its_limit(guest):
    vm = guest(ON_ERROR, limit=0.1)
    answer = vm.get("/loop")
    assert answer.body == b"error: time limit reached, 1"
    assert (answer.status, vm.failure) == (200, "time limit reached")
    assert vm.text() == "fine, 1"


def test_an_on_error_that_loops_too_is_stopped(guest):
    vm = guest(ON_ERROR, limit=0.1)
    begin = time.monotonic()
    answer = vm.get("/both")
    assert (answer.status, answer.body) == FAILED
    assert vm.failure == "time limit reached"
    assert 1.0 <= time.monotonic() - begin < GENEROUS, "on_error has a second"
    assert vm.text() == "fine, 1"


def test_many_requests_in_threads_are_each_stopped(guest):
    vm = guest(LOOPING, limit=0.2)
    clones = [vm.clone() for _ in range(4)]
    threads = [threading.Thread(target=ask, args=(one, "/loop")) for one in clones]
    begin = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert time.monotonic() - begin < GENEROUS
    assert [one.reason for one in clones] == ["time limit reached"] * 4
    for one in clones:
        one.close()
    assert vm.text("/good") == "fine"


# --- The inline budget ---

INLINE = 0.001
SLOW = (
    BUSY
    + r"""
static int counter;
static void slow(size_t n, struct virtbuffer buf[], size_t res)
{
    busy(*(long *)buf[0].data);
    counter++;
    storage_return(&counter, sizeof counter);
}
START {}
HANDLE {
    const long ms = atol(strchr(url + 1, '/') + 1);
    double sum = 0;
    char host[32] = "", method[8] = "";
    int stored = 0;
    http_append_str(RESPONSE, "X-Before: 1");
    if (url[1] == 'b')
        busy(ms);
    if (url[1] == 's')
        storage_call(slow, &ms, sizeof ms, &stored, sizeof stored);
    if (url[1] == 'z')
        nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
    if (url[1] == 'f')
        for (long i = 1; i < ms * 1000000; i++)
            sum += 1.0 / i;
    http_append_str(RESPONSE, "X-After: 1");
    http_find_str(REQUEST, "host", host, sizeof host);
    sys_http_method(method, sizeof method);
    reply("%s %s %s %d %.12f", url, host, method, stored, sum);
}
"""
)
HEAD = b"Content-Type: text/plain\r\nX-Before: 1\r\nX-After: 1\r\n"


def serve(vm, url: str) -> Response | None:
    """The answer to a GET of (url), or None if it takes longer than the budget."""
    return vm.serve(Request(b"GET", url.encode(), b"", b"Host: test\r\n", b"", b""))


def resume_elsewhere(vm) -> bytes:
    """The body of the answer that another thread has carried to its end."""
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(vm.resume).result()
    assert (answer.status, answer.head) == (200, HEAD), vm.reason
    return answer.body


@pytest.fixture
def inline(guest):
    """A clone with an inline budget of a millisecond; storage is there."""
    vm = guest(SLOW, storage=True, limit=GENEROUS, storage_time=GENEROUS)
    with native.Vm(vm.snapshot, vm.console, GENEROUS, INLINE, vm.storage) as clone:
        yield clone


def test_a_slow_request_gives_the_thread_back_and_ends_in_another(inline):
    for _ in range(2):
        assert serve(inline, "/b/100") is None
        assert resume_elsewhere(inline) == b"/b/100 Host: test GET 0 0.000000000000"


def test_registers_move_with_a_slow_request(guest):
    vm = guest(SLOW, storage=True, limit=GENEROUS)
    undisturbed = vm.text("/f/20").encode()
    with native.Vm(vm.snapshot, vm.console, GENEROUS, INLINE, vm.storage) as clone:
        assert serve(clone, "/f/20") is None
        assert resume_elsewhere(clone) == undisturbed


def test_a_quick_request_follows_a_slow_one(inline):
    assert serve(inline, "/b/100") is None
    resume_elsewhere(inline)
    answer = serve(inline, "/q/0") or inline.resume()
    assert answer.body == b"/q/0 Host: test GET 0 0.000000000000"


def test_a_request_that_sleeps_gives_the_thread_back(inline):
    begin = time.monotonic()
    assert serve(inline, "/z/2000") is None
    assert time.monotonic() - begin < 1.5
    assert resume_elsewhere(inline).startswith(b"/z/2000 ")
    assert time.monotonic() - begin >= 2.0


def test_a_slow_request_is_still_stopped_at_its_limit(guest):
    vm = guest(LOOPING)
    with native.Vm(vm.snapshot, vm.console, 0.2, INLINE) as clone:
        begin = time.monotonic()
        assert serve(clone, "/loop") is None
        assert clone.resume().status == 500
        assert 0.2 <= time.monotonic() - begin < GENEROUS
        assert (clone.reason, clone.discard) == ("time limit reached", True)


def test_on_error_may_run_in_the_thread_that_resumes(guest):
    vm = guest(ON_ERROR)
    with native.Vm(vm.snapshot, vm.console, 0.2, INLINE) as clone:
        assert serve(clone, "/loop") is None
        assert clone.resume().body == b"error: time limit reached, 1"


def test_other_clones_answer_while_a_slow_request_runs(guest):
    vm = guest(
        r"""
        static volatile int *flag;
        START { flag = SHM_ALLOC_TYPE(int); }
        HANDLE {
            while (strcmp(url, "/wait") == 0 && !*flag)
                asm volatile("pause");
            *flag = 1;
            reply("%s", url);
        }
        """,
        shared_memory=2,
        limit=GENEROUS,
    )
    with (
        native.Vm(vm.snapshot, vm.console, GENEROUS, INLINE) as slow,
        ThreadPoolExecutor(1) as pool,
    ):
        assert serve(slow, "/wait") is None
        resumed = pool.submit(slow.resume)
        assert vm.text("/go") == "/go"
        assert resumed.result().body == b"/wait"


# --- Memory ---

WRITES = r"""
static volatile char room[24 << 20];
static void on_error(const char *url, const char *arg, const char *exception)
{
    reply("error");
}
START { set_on_error(on_error); }
/* /FROM/PAGES: writes so many pages, from a page on, and tells if they were all 0. */
HANDLE {
    const long from = atol(url + 1), pages = atol(strchr(url + 1, '/') + 1);
    int old = 0;
    for (long i = from; i < from + pages; i++) {
        old += room[i * 4096];
        room[i * 4096] = 1;
    }
    reply("%d", old);
}
"""
PAGES = 256  # in a MB


def test_a_request_may_write_as_much_as_is_configured_and_no_more(guest):
    vm = guest(WRITES, max_request_memory=4)
    good = f"/0/{3 * PAGES + PAGES // 2}"
    for pages in (4 * PAGES + 1, 5 * PAGES, 12 * PAGES, 24 * PAGES):
        assert vm.text(good) == "0"
        assert vm.get(f"/0/{pages}").body == b"error"
        assert "max_request_memory (4 MB)" in vm.failure
        assert vm.discarded
    assert vm.text(good) == "0"


# Start-up's file has 3 MB; a request fills one of its own, pipes, or start-up's.
HOLDS = r"""
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
static char some[1 << 16];
static int kept;
static long fill(int file, long bytes)
{
    long done = 0;
    for (long n; done < bytes && (n = write(file, some, sizeof some)) > 0; done += n)
        ;
    return done;
}
static void on_error(const char *url, const char *arg, const char *exception)
{
    reply("error");
}
START
{
    set_on_error(on_error);
    kept = memfd_create("kept", 0);
    fill(kept, 3 << 20);
}
HANDLE {
    int ends[2], file = url[1] == 'k' ? kept : memfd_create("own", 0);
    long done = 0;
    for (int i = 0; url[1] == 'p' && i < 15; i++)
        done += pipe(ends) < 0 ? 0 : fill(ends[1], 1 << 16);
    done += fill(file, atol(url + 2) << 10);
    reply("%ld", done >> 10);
}
"""


@pytest.mark.parametrize("warmup", [0, 2])
def test_what_the_host_keeps_for_a_request_counts_as_its_memory(guest, warmup):
    vm = guest(
        HOLDS, max_request_memory=2, warmup=native.Warming(warmup, "GET", "/o1024", "")
    )
    for url in ("/o2048", "/k2048", "/p1088"):
        assert vm.get(url).body == b"error"
        assert vm.failure == "wrote more than max_request_memory (2 MB)"
        assert vm.discarded
    for url, kilobytes in {"/o1024": 1024, "/k1024": 1024, "/p640": 1600}.items():
        assert [vm.text(url) for _ in range(3)] == [str(kilobytes)] * 3


def test_reading_is_not_writing(guest):
    vm = guest(
        r"""
        static char room[40 << 20];
        START { memset(room, 1, 20 << 20); }
        HANDLE {
            long sum = 0;
            for (size_t i = 0; i < sizeof room; i += 4096)
                sum += ((volatile char *)room)[i];
            reply("%ld", sum);
        }
        """,
        max_request_memory=1,
    )
    assert [vm.text(), vm.text()] == ["5120", "5120"]


def test_a_request_is_not_charged_for_what_others_wrote(guest):
    vm = guest(WRITES, max_request_memory=1)
    for part in (0, 1, 2, 3, 0, 2, 1, 3):
        assert vm.text(f"/{part * 200}/200") == "0"


def test_memory_until_malloc_gives_up_is_one_requests_problem(guest):
    vm = guest(
        r"""
        START {}
        HANDLE {
            long got = 0;
            while (url[1] && malloc(1 << 20))
                got++;
            reply("%ld", got);
        }
        """,
        max_memory=32,
        max_request_memory=32,
    )
    for _ in range(2):
        assert 8 <= int(vm.text("/all")) <= 32
        assert vm.text("/") == "0"


@pytest.mark.parametrize("touch", [1, 4096])
def test_memory_that_is_used_until_it_ends_fails_or_is_told(guest, touch):
    vm = guest(
        r"""
        START {}
        HANDLE {
            char *block;
            long got = 0;
            for (; url[1] && (block = malloc(1 << 20)); got++)
                memset(block, 1, 1 << 20);
            reply("%ld", got);
        }
        """,
        max_memory=32,
        max_request_memory=32 if touch == 1 else 16,
    )
    answer = vm.get("/all")
    assert answer.status == (200 if touch == 1 else 500), vm.failure
    assert vm.text("/") == "0"
