"""Threads: ordinary programs find what they know from Linux, at the start and in a
request. There is one vCPU, so nothing here depends on how fast it is."""

from collections.abc import Callable

import pytest
from support.clones import FAILED
from support.guests import Guest
from support.pthreads import threaded

pytestmark = pytest.mark.core


@pytest.fixture
def program(guest) -> Callable[..., Guest]:
    return threaded(guest)


# --- Made, joined, synchronized ---

COUNT = r"""
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static __thread long mine = 5;
static long all;
static void *count(void *arg)
{
    for (int i = 0; i < 100; i++) {
        pthread_mutex_lock(&lock);
        const long was = all;
        if (i % 10 == 0)
            sched_yield();
        all = was + 1;
        mine++;
        pthread_mutex_unlock(&lock);
    }
    return (void *)(mine + (long)arg);
}
static long sum(void)
{
    pthread_t thread[4];
    long results = 0;
    for (int i = 0; i < 4; i++)
        thread[i] = spawn(count, i * 1000);
    for (int i = 0; i < 4; i++)
        results += result_of(thread[i]);
    return results;
}
static long at_start;
START { at_start = sum(); }
HANDLE { const long now = sum(); reply("%ld %ld %ld %ld", at_start, now, all, mine); }
"""


@pytest.mark.parametrize("compiler", ["gcc", "musl-gcc"])
def test_threads_are_made_and_joined_share_memory_and_have_their_own(program, compiler):
    vm = program(COUNT, compiler=compiler)
    assert [vm.text() for _ in range(3)] == ["6420 6420 800 5"] * 3
    assert vm.snapshot.unknown_syscalls == 0, vm.lines()


def test_a_mutex_that_would_lend_its_holder_a_priority_is_one(program):
    vm = program(
        COUNT.replace("START {", "START { lend();").replace(
            "static long at_start;",
            """static long at_start;
            static void lend(void)
            {
                pthread_mutexattr_t kind;
                pthread_mutexattr_init(&kind);
                pthread_mutexattr_setprotocol(&kind, PTHREAD_PRIO_INHERIT);
                if (pthread_mutex_init(&lock, &kind))
                    abort();
            }""",
        )
    )
    assert [vm.text() for _ in range(3)] == ["6420 6420 800 5"] * 3
    assert vm.snapshot.unknown_syscalls == 0, vm.lines()


NAMES = r"""
#include <sys/prctl.h>
static void *called(void *arg)
{
    char name[16];
    prctl(PR_GET_NAME, name);
    if (strcmp(name, "first"))
        return (void *)1;
    prctl(PR_SET_NAME, "second");
    sched_yield();
    prctl(PR_GET_NAME, name);
    return (void *)(strcmp(name, "second") ? 2l : 0l);
}
START { prctl(PR_SET_NAME, "first"); }
HANDLE
{
    char name[16];
    const long wrong = result_of(spawn(called, 0));
    prctl(PR_GET_NAME, name);
    prctl(PR_SET_NAME, "another");
    reply("%ld %s", wrong, name);
}
"""


def test_a_thread_has_a_name_of_its_own_and_a_request_forgets_what_it_is_called(
    program,
):
    vm = program(NAMES)
    assert [vm.text() for _ in range(3)] == ["0 first"] * 3


MEETING = r"""
#define ROUNDS 20
#define MEMBERS 5
static pthread_barrier_t barrier;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int arrived[ROUNDS], wrong, turn;
static void *meet(void *arg)
{
    for (int i = 0; i < ROUNDS; i++) {
        __atomic_add_fetch(&arrived[i], 1, __ATOMIC_SEQ_CST);
        pthread_barrier_wait(&barrier);
        wrong += arrived[i] != MEMBERS;
    }
    pthread_mutex_lock(&lock);
    while (turn != (long)arg)
        pthread_cond_wait(&changed, &lock);
    turn++;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
    return 0;
}
START {}
HANDLE {
    pthread_t thread[MEMBERS];
    pthread_barrier_init(&barrier, NULL, MEMBERS);
    for (int i = MEMBERS; i-- > 0;)
        thread[i] = spawn(meet, i);
    for (int i = 0; i < MEMBERS; i++)
        result_of(thread[i]);
    reply("%d wrong, %d turns", wrong, turn);
}
"""


def test_barriers_and_condition_variables_keep_threads_in_step(program):
    assert program(MEETING).text() == "0 wrong, 5 turns"


MANY = r"""
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static void *wait(void *arg)
{
    pthread_mutex_lock(&gate);
    pthread_mutex_unlock(&gate);
    return arg;
}
static int made, error;
static long sum;
static void make_all(void)
{
    pthread_t thread[100];
    pthread_mutex_lock(&gate);
    for (made = 0; made < 100 && (thread[made] = spawn(wait, made)); made++)
        ;
    error = errno;
    pthread_mutex_unlock(&gate);
    sum = 0;
    for (int i = 0; i < made; i++)
        sum += result_of(thread[i]);
}
START {}
HANDLE {
    make_all();
    make_all();
    reply("%d %s %ld", made, strerrorname_np(error), sum);
}
"""


def test_a_program_can_make_64_threads_and_is_told_of_the_65th(program):
    """... and each request can, and find them gone."""
    vm = program(MANY)
    assert [vm.text() for _ in range(3)] == [f"64 EAGAIN {sum(range(64))}"] * 3
    assert vm.vm.differing_pages() == 0


# --- Turns ---

SPINNING = r"""
static volatile int stop, seen;
static void *spin(void *arg)
{
    while (!stop)
        seen = 1;
    return 0;
}
static void *call(void *arg)
{
    while (!stop)
        seen = 1, syscall(SYS_getppid);
    return 0;
}
static void *ask(void *arg)
{
    while (!stop)
        seen = 1, kvm_api_call(KVM_API_IS_STORAGE, 0, 0, 0, 0);
    return 0;
}
static void *wake(void *arg)
{
    while (!stop)
        seen = 1, syscall(SYS_futex, &stop, 1, 1, 0, 0, 0);
    return 0;
}
static void *doze(void *arg)
{
    while (!stop)
        seen = 1, pass(1);
    return 0;
}
static work_function *const ways[] = {spin, call, ask, wake, doze};
START {}
HANDLE {
    const pthread_t thread = spawn(ways[atoi(url + 1)], 0);
    while (!seen) /* it has its turn though we spin */
        ;
    pass(1);
    seen = 0;
    while (!seen)
        ;
    stop = 1; /* we have ours though it spins */
    result_of(thread);
    reply("stopped");
}
"""


@pytest.mark.parametrize("way", ["spin", "call", "ask", "wake", "doze"])
def test_a_thread_that_spins_does_not_starve_others(program, way):
    number = ["spin", "call", "ask", "wake", "doze"].index(way)
    assert program(SPINNING).text(f"/{number}") == "stopped"


REGISTERS = r"""
#include <asm/prctl.h>
#include <xmmintrin.h>
#define ROUNDS 40
static volatile long turns; /* who was here last, and how often it has changed */
static int has_avx;
struct lanes { uint64_t word[64] __attribute__((aligned(32))); };
#define EACH(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) \
    X(13) X(14) X(15)
#define LOAD_Y(n) "vmovdqa 32*" #n "(%0), %%ymm" #n "\n"
#define STORE_Y(n) "vmovdqa %%ymm" #n ", 32*" #n "(%0)\n"
#define LOAD_X(n) "movdqa 32*" #n "(%0), %%xmm" #n "\n"
#define STORE_X(n) "movdqa %%xmm" #n ", 32*" #n "(%0)\n"
#define CHANGED(n) "xmm" #n,
/* All vector registers hold (in) until another thread has been here, by force if (spin)
 * or because we let it. Rounding and GS base are each thread's own as well. */
static int holds(long me, int spin)
{
    struct lanes in, out;
    for (int i = 0; i < 64; i++)
        in.word[i] = me * 0x0101010101010101 + i;
    out = in;
    const long seen = turns;
    turns = seen / 8 * 8 + 8 + me;
    const long mine = turns;
    if (has_avx)
        asm volatile(EACH(LOAD_Y) "1: test %2, %2; jnz 2f; mov $24, %%eax; syscall;"
            "2: pause; cmp %1, (%3); je 1b\n" EACH(STORE_Y)
            :: "r"(&out), "r"(mine), "r"((long)spin), "r"(&turns)
            : "memory", "rax", "rcx", "r11", EACH(CHANGED) "cc");
    else
        asm volatile(EACH(LOAD_X) "1: test %2, %2; jnz 2f; mov $24, %%eax; syscall;"
            "2: pause; cmp %1, (%3); je 1b\n" EACH(STORE_X)
            :: "r"(&out), "r"(mine), "r"((long)spin), "r"(&turns)
            : "memory", "rax", "rcx", "r11", EACH(CHANGED) "cc");
    return memcmp(&in, &out, sizeof in) == 0;
}
static const int roundings[] = {_MM_ROUND_UP, _MM_ROUND_DOWN, _MM_ROUND_NEAREST};
static volatile int running;
static void *work(void *arg)
{
    const long me = (long)arg;
    long good = 0;
    uint64_t base;
    _MM_SET_ROUNDING_MODE(roundings[me]);
    syscall(SYS_arch_prctl, ARCH_SET_GS, 0x1000 * me);
    while (running < 3)
        sched_yield();
    for (int i = 0; i < ROUNDS; i++) {
        good += holds(me, i % 2);
        syscall(SYS_arch_prctl, ARCH_GET_GS, &base);
        good += _MM_GET_ROUNDING_MODE() == roundings[me] && base == 0x1000 * me;
    }
    __atomic_sub_fetch(&running, 1, __ATOMIC_SEQ_CST);
    while (running) /* so that nobody waits for us to come by */
        turns = turns / 8 * 8 + 8 + me, sched_yield();
    return (void *)good;
}
START { has_avx = __builtin_cpu_supports("avx"); }
HANDLE {
    pthread_t thread[3];
    long good = 0;
    for (int i = 0; i < 3; i++)
        thread[i] = spawn(work, i);
    running = 3;
    for (int i = 0; i < 3; i++)
        good += result_of(thread[i]);
    reply("%ld of %d", good, 3 * 2 * ROUNDS);
}
"""


def test_vector_registers_rounding_and_bases_are_each_threads_own(program):
    assert program(REGISTERS).text() == "240 of 240"


# --- Time ---

TIMES = r"""
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t never = PTHREAD_COND_INITIALIZER;
static struct timespec end;
static int is_late(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return now.tv_sec > end.tv_sec ||
           (now.tv_sec == end.tv_sec && now.tv_nsec >= end.tv_nsec);
}
static void *sleep_till(void *arg)
{
    const int error = clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &end, NULL);
    return (void *)(long)(error == 0 && is_late(CLOCK_MONOTONIC));
}
static int wait_till(clockid_t clock)
{
    clock_gettime(clock, &end);
    end.tv_sec += (end.tv_nsec + 20000000) / 1000000000;
    end.tv_nsec = (end.tv_nsec + 20000000) % 1000000000;
    pthread_mutex_lock(&lock);
    const int error = pthread_cond_clockwait(&never, &lock, clock, &end);
    pthread_mutex_unlock(&lock);
    return error == ETIMEDOUT && is_late(clock);
}
START {}
HANDLE {
    pthread_t thread[20];
    int good = wait_till(CLOCK_REALTIME) + wait_till(CLOCK_MONOTONIC);
    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec++;
    for (int i = 0; i < 20; i++)
        thread[i] = spawn(sleep_till, 0);
    for (int i = 0; i < 20; i++)
        good += result_of(thread[i]);
    reply("%d, %d", good, is_late(CLOCK_MONOTONIC));
}
"""


def test_many_threads_sleep_at_the_same_time(program):
    vm = program(TIMES)
    assert vm.text() == "22, 1"
    assert vm.exits[0] < 2000, "nobody runs in vain"


# --- The end ---

DEATHS = r"""
static pthread_mutex_t robust;
static void *hold(void *arg)
{
    pthread_mutex_lock(&robust);
    pass(arg ? 20 : 0);
    return 0;
}
static int take(int waits)
{
    pthread_mutexattr_t kind;
    pthread_mutexattr_init(&kind);
    pthread_mutexattr_setrobust(&kind, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&robust, &kind);
    const pthread_t thread = spawn(hold, waits);
    if (waits)
        sched_yield();
    else
        result_of(thread);
    const int error = pthread_mutex_lock(&robust);
    return error == EOWNERDEAD && pthread_mutex_consistent(&robust) == 0 &&
           pthread_mutex_unlock(&robust) == 0 && pthread_mutex_lock(&robust) == 0;
}
START {}
HANDLE { const int before = take(0); reply("%d %d", before, take(1)); }
"""


@pytest.mark.parametrize("compiler", ["gcc", "musl-gcc"])
def test_who_takes_a_robust_mutex_is_told_that_its_owner_has_died(program, compiler):
    assert program(DEATHS, compiler=compiler).text() == "1 1"


DEADLOCK = r"""
static pthread_mutex_t one = PTHREAD_MUTEX_INITIALIZER;
static void *block(void *arg)
{
    pthread_mutex_lock(&one);
    return 0;
}
START {}
HANDLE {
    pthread_mutex_lock(&one);
    if (url[1])
        result_of(spawn(block, 0));
    reply("fine");
}
"""


def test_threads_that_wait_for_each_other_fail_the_request_and_say_so(program):
    vm = program(DEADLOCK)
    answer = vm.get("/deadlock")
    assert (answer.status, answer.body) == FAILED
    assert vm.failure == "deadlock: all threads wait for each other"
    assert vm.text() == "fine"


IDENTITY = r"""
static long tid, other;
static void *tell(void *arg)
{
    tid = syscall(SYS_gettid);
    other = syscall(SYS_tgkill, getpid(), tid, 0);
    return (void *)(long)getpid();
}
START {}
HANDLE {
    const pthread_t thread = spawn(tell, 0);
    const long pid = result_of(thread), gone = syscall(SYS_tgkill, pid, tid, 0);
    reply("%d %d %ld %s", pid == getpid(), tid != syscall(SYS_gettid), other,
        gone ? strerrorname_np(errno) : "0");
}
"""


def test_a_thread_has_an_id_of_its_own_in_the_one_process(program):
    assert program(IDENTITY).text() == "1 1 0 ESRCH"


# --- C++ ---

CPP = r"""
#include <atomic>
#include <future>
#include <mutex>
#include <numeric>
#include <stdexcept>
#include <thread>
#include <vector>
static std::once_flag once;
static std::atomic<int> times;
static int fail() { throw std::runtime_error("thrown in a thread"); }
static std::string work()
{
    std::vector<int> part(8);
    std::vector<std::thread> threads;
    for (int i = 0; i < 8; i++)
        threads.emplace_back([&part, i] {
            std::call_once(once, [] { times++; });
            part[i] = i * i;
        });
    for (auto &thread : threads)
        thread.join();
    auto sum = std::async(std::launch::async, [&part] {
        return std::accumulate(part.begin(), part.end(), 0);
    });
    auto failed = std::async(std::launch::async, fail);
    std::string text = std::to_string(sum.get()) + " " + std::to_string(times);
    try {
        failed.get();
    } catch (const std::exception &e) {
        text += std::string(" ") + e.what();
    }
    return text;
}
START {}
HANDLE { reply("%s", work().c_str()); }
"""


def test_threads_of_cpp_work(program):
    """std::thread, std::async, std::call_once, and an exception from one to another."""
    vm = program(CPP, compiler="g++", limit=300.0)
    assert [vm.text(), vm.text()] == ["140 1 thrown in a thread"] * 2
