"""Threads and requests: those of start-up are frozen with the machine and are there in
each request, those of a request go with it, and one of them is the request's."""

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from support.guests import Guest
from support.pthreads import threaded

from skerry.message import Request
from skerry.native import Snapshot, Vm, Warming
from skerry.wanted import Fetched

pytestmark = pytest.mark.core
GET = Request(b"GET", b"/", b"test", b"Host: test\r\n")
SEVEN = Request(b"GET", b"/7", b"test", b"Host: test\r\n")


@pytest.fixture
def program(guest) -> Callable[..., Guest]:
    return threaded(guest)


# Workers that main makes; do_work(n) has one of them compute n * n.
POOL = r"""
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t asked = PTHREAD_COND_INITIALIZER;
static pthread_cond_t done = PTHREAD_COND_INITIALIZER;
static long question, answer, jobs;
static int answers; /* the worker answers the request itself */
static volatile int waiting, behind;
static void *work(void *arg)
{
    pthread_mutex_lock(&lock);
    for (;;) {
        waiting++;
        while (!question)
            pthread_cond_wait(&asked, &lock);
        waiting--;
        answer = question * question;
        question = 0;
        jobs++;
        if (answers) {
            reply("worker %ld, jobs %ld, behind %d", answer, jobs, behind);
            behind++;
        }
        pthread_cond_signal(&done);
    }
}
static long do_work(long n)
{
    pthread_mutex_lock(&lock);
    question = n;
    answer = 0;
    pthread_cond_signal(&asked);
    while (!answer)
        pthread_cond_wait(&done, &lock);
    pthread_mutex_unlock(&lock);
    return answer;
}
static void begin(void)
{
    for (int i = 0; i < 8; i++)
        spawn(work, 0);
    while (waiting < 8)
        sched_yield();
}
"""
SERVED = "START { begin(); do_work(1); } HANDLE {"
ASKS = (
    POOL
    + SERVED
    + 'const long made = do_work(atoi(url + 1)); reply("%ld %ld", made, jobs); }'
)


def test_workers_made_at_the_start_serve_requests(program):
    """... and know nothing of the requests before."""
    vm = program(ASKS)
    assert [vm.text(f"/{n}") for n in (2, 3, 4, 5)] == ["4 2", "9 2", "16 2", "25 2"]
    assert vm.vm.differing_pages() == 0


def test_workers_are_there_in_another_process(program):
    """... whose snapshot is made of the bytes and the memory that export() gives."""
    vm = program(ASKS)
    data, fd = vm.snapshot.export()
    with (
        Snapshot.attach(data, os.dup(fd), None) as other,
        Vm(other, vm.console, 10.0, hold=True) as clone,
    ):
        for _ in range(3):
            assert clone.serve(SEVEN).body == b"49 2"
            clone.reset()


def test_workers_serve_after_requests_that_nobody_has_made(program):
    vm = program(ASKS, warmup=Warming(3, "GET", "/7", ""))
    assert [vm.text("/2"), vm.text("/3")] == ["4 5", "9 5"]


def test_threads_that_wait_or_have_ended_cost_a_plain_request_nothing(program):
    waits = program(POOL + SERVED + 'reply("plain"); }')
    ended = program(
        "static void *end(void *arg) { return 0; }"
        'START { result_of(spawn(end, 0)); } HANDLE { reply("plain"); }'
    )
    for vm in (waits, ended):
        assert [vm.text(), vm.text()] == ["plain"] * 2
        assert vm.exits == (1, 0)


# --- What goes on in a request ---

RUNNING = r"""
static volatile long count;
static void *run(void *arg)
{
    for (;;)
        count++;
}
START { spawn(run, 0); while (!count); }
HANDLE {
    const long before = count;
    while (count == before) /* by turns */
        ;
    const long then = count;
    pass(1); /* as we wait */
    reply("%d", count > then);
}
"""


def test_a_thread_that_could_run_goes_on_in_each_request(program):
    vm = program(RUNNING)
    assert [vm.text() for _ in range(4)] == ["1"] * 4
    assert vm.vm.differing_pages() == 0


SLEEPING = r"""
static volatile long begun, woken;
static long now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}
static void *nap(void *arg)
{
    begun = now();
    pass(600);
    woken = now();
    return 0;
}
static long left;
START { spawn(nap, 0); while (!begun) sched_yield(); left = 600 - (now() - begun); }
HANDLE {
    const long before = now();
    while (!woken)
        pass(1);
    reply("%d", woken - before >= left / 2);
}
"""


def test_the_time_of_a_sleeping_thread_stands_still_between_requests(program):
    vm = program(SLEEPING)
    time.sleep(0.7)
    assert [vm.text(), vm.text()] == ["1"] * 2


def test_a_request_with_threads_is_handed_back_and_goes_on_elsewhere(program):
    vm = program(RUNNING.replace("pass(1)", "for (int i = 0; i < 20; i++) pass(1)"))
    answers = []
    with (
        Vm(vm.snapshot, vm.console, 60.0, 0.001) as clone,
        ThreadPoolExecutor(1) as other,
    ):
        assert clone.serve(GET) is None
        while not answers:
            answers += filter(None, [other.submit(clone.resume).result()])
    assert answers[0].body == b"1"


OTHER = r"""
static volatile int ready;
static void on_get_here(const char *url, const char *arg)
{
    reply("%ld of %ld", syscall(SYS_gettid), (long)getpid());
}
static void *serve(void *arg)
{
    set_backend_get(on_get_here);
    wait_for_requests();
}
START { spawn(serve, 0); pthread_exit(0); }
HANDLE {}
"""


def test_another_thread_than_the_first_may_wait_for_requests(program):
    vm = program(OTHER)
    assert [vm.text(), vm.text()] == ["2 of 1"] * 2


# --- Who answers ---


def test_another_thread_may_answer(program):
    vm = program(POOL + SERVED + 'answers = 1; do_work(3); reply("own"); }')
    assert [vm.text() for _ in range(3)] == ["worker 9, jobs 2, behind 0"] * 3


def test_a_thread_that_has_answered_goes_on_where_nothing_is_put_back(program):
    """... behind its answer, beside the next callback."""
    own = POOL + SERVED + "if (url[1]) { answers = 1; do_work(3); } "
    own += 'while (behind < jobs - 1) pass(1); reply("%d", behind); }'
    vm = program(own, ephemeral=False, hold=False)
    told = [vm.text("/worker"), vm.text(), vm.text()]
    assert told == ["worker 9, jobs 2, behind 0", "1", "1"]


LOOP = r"""
int main(void)
{
    struct kvm_request request;
    begin();
    for (long n = 1;; n++) {
        wait_for_requests_paused(&request);
        answers = request.url[1] != 0;
        const long made = do_work(n);
        if (!answers)
            reply("own %ld, jobs %ld", made, jobs);
    }
}
#define main unused
"""


@pytest.mark.parametrize("ephemeral", [True, False])
def test_programs_that_go_on_behind_their_wait_have_workers(guest, ephemeral):
    source = LOOP.replace("#define main unused", "")
    start = threaded(lambda text, **more: guest(HEADER + text, whole=True, **more))
    vm = start(POOL + source, ephemeral=ephemeral, hold=ephemeral)
    own, theirs = "own {}, jobs {}", "worker {}, jobs {}, behind {}"
    told = [vm.text(), vm.text("/w"), vm.text("/w"), vm.text()]
    if ephemeral:
        first = own.format(1, 1), theirs.format(1, 1, 0)
        assert told == [*first, first[1], first[0]]
    else:
        middle = theirs.format(4, 2, 0), theirs.format(9, 3, 1)
        assert told == [own.format(1, 1), *middle, own.format(16, 4)]


HEADER = r"""
#include "kvm_api.h"
#define reply(...) do { char text_[4096]; \
    int len_ = snprintf(text_, sizeof text_, __VA_ARGS__); \
    backend_response(200, "text/plain", 10, text_, (size_t)len_); } while (0)
"""

STREAM = r"""
static struct streaming_content piece(void *arg, size_t max, size_t written, size_t all)
{
    static char text[16];
    struct streaming_content made = {text, 5};
    snprintf(text, sizeof text, "%05ld", do_work(100 + written));
    return made;
}
static void stream(void) { begin_streaming_response(200, "a/b", 3, 15, piece, 0); }
static void *begin_there(void *arg) { stream(); return 0; }
"""


def test_pieces_of_a_response_are_made_with_workers(program):
    vm = program(POOL + STREAM + SERVED + "stream(); }")
    assert [vm.text(), vm.text()] == ["100001102512100"] * 2


FETCH = r"""
static char page[64];
static void *run(void *arg) { for (;;) asm volatile("pause"); }
static void *fetch(void *arg)
{
    struct curl_op op = {.content = page, .content_length = sizeof page};
    return (void *)(sys_fetch("/page", 5, 0, &op) ?: (long)op.content_length);
}
START { spawn(run, 0); }
HANDLE { const long len = result_of(spawn(fetch, 0)); reply("%ld %s", len, page); }
"""


def test_a_thread_may_fetch(program):
    page = Fetched(0, 200, b"text/plain", b"", b"fetched")
    vm = program(FETCH, fetch=lambda wanted: page)
    assert [vm.text(), vm.text()] == ["7 fetched"] * 2


# --- What fails ---


def failure(vm: Guest) -> str:
    """Of a request that fails; one that works still does."""
    assert vm.get("/fail").status == 500
    reason = vm.failure
    assert vm.text() == "fine"
    return reason


def test_only_the_callbacks_thread_may_begin_a_stream(program):
    fails = "if (url[1]) result_of(spawn(begin_there, 0)); "
    vm = program(POOL + STREAM + SERVED + fails + 'reply("fine"); }')
    assert failure(vm) == (
        "begin_streaming_response in another thread than the callback's"
    )


def test_a_callback_whose_thread_ends_fails(program):
    vm = program(POOL + SERVED + 'if (url[1]) pthread_exit(0); reply("fine"); }')
    assert failure(vm) == "the callback's thread ended without a response"


ALONE = r"""
static volatile long count;
static void *run(void *arg)
{
    while (!arg || count < 1000)
        count++;
    *(volatile int *)0 = 1;
}
static void on_error(const char *url, const char *arg, const char *exception)
{
    const long before = count;
    pass(20);
    reply("%ld %s", count - before, exception);
}
START { set_on_error(on_error); spawn(run, 0); }
HANDLE { spawn(run, 1); for (;;) sched_yield(); }
"""


def test_a_thread_that_crashes_fails_the_request_and_on_error_runs_alone(program):
    vm = program(ALONE)
    for _ in range(2):
        text = vm.text()
        assert text.startswith("0 page fault writing 0x0 at "), text


# --- Storage ---

STORAGE = r"""
static long kept;
static volatile int up;
static void *stay(void *arg)
{
    up = 1;
    for (;;)
        pause_here();
}
static void *count(void *arg) { kept++; return 0; }
static void give(size_t n, struct virtbuffer buf[], size_t res)
{
    kept++;
    storage_return(&kept, sizeof kept);
}
static void make(size_t n, struct virtbuffer buf[], size_t res)
{
    kept += 100;
    spawn(count, 0);
    storage_return(&kept, sizeof kept);
}
static long ask(void *function)
{
    long got = 0;
    const long len = storage_call(function, 0, 0, &got, sizeof got);
    return len < 0 ? len : got;
}
static void *ask_there(void *arg) { return (void *)ask(give); }
START {
    result_of(spawn(count, 0));
    spawn(stay, 0);
    while (!up)
        sched_yield();
}
HANDLE {
    const long there = result_of(spawn(ask_there, 0)), made = ask(make);
    reply("%ld %ld %ld", there, made, ask(give));
}
""".replace("pause_here()", "pass(1000)")


def test_threads_in_storage_are_for_start_up_only(program):
    """A thread of a request may call storage; storage may make none, and says so."""
    vm = program(STORAGE, storage=True)
    assert [vm.text(), vm.text()] == ["2 -1 3", "4 -1 5"]
    lines = "\n".join(line for _, line in vm.lines())
    assert "makes a thread in storage: they are for start-up only" in lines
