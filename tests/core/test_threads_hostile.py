"""Hostile programs with threads: whatever they do, the request ends with a reason, the
next one is right, and the host is as it was."""

import re
from collections.abc import Callable, Iterator

import pytest
from support.clones import FAILED
from support.guests import PRELUDE, Guest, compile_guest
from support.leaks import Held
from support.pthreads import FLAGS, PTHREADS

pytestmark = pytest.mark.core

# make(flags, stack, ptid, ctid, tls): a thread made by hand; in it the call returns 0.
BY_HAND = r"""
#include <sys/mman.h>
#define SHARED 0x10f00l
#define TLS 0x80000
#define PARENT_TID 0x100000
#define CLEAR_TID 0x200000
#define CHILD_TID 0x1000000
#define BAD ((void *)8)
#define HIGH ((void *)-4096l)
static char stacks[64][4096] __attribute__((aligned(16)));
static const int constant[2048] __attribute__((aligned(4096))) = {5};
static int word;
static volatile int never;
static long make(long flags, void *stack, void *ptid, void *ctid, void *tls)
{
    long ret;
    register void *r10 asm("r10") = ctid;
    register void *r8 asm("r8") = tls;
    asm volatile("syscall; test %%rax, %%rax; jnz 1f; 2: pause; jmp 2b; 1:"
        : "=a"(ret)
        : "0"(56l), "D"(SHARED | flags), "S"(stack), "d"(ptid), "r"(r10), "r"(r8)
        : "rcx", "r11", "memory");
    return ret;
}
"""

# /WHAT: what the program does before it answers "fine".
DEEDS = r"""
static void bomb(void) { for (;;) make(0, stacks[1] + 4096, 0, 0, 0); }
static void *bomb_too(void *arg) { for (;;) spawn(bomb_too, 0); }
static void bombs(void) { bomb_too(0); }
static void same_stack(void) { make(0, 0, 0, 0, 0); for (;;) sched_yield(); }
static void *spin(void *arg) { while (!never); }
static void spinners(void) { while (spawn(spin, 0)); for (;;); }
static void *call(void *arg) { while (!never) syscall(SYS_getppid); }
static void callers(void) { while (spawn(call, 0)); for (;;) syscall(SYS_getppid); }
static void *yield(void *arg) { while (!never) sched_yield(); }
static void yielders(void) { while (spawn(yield, 0)); yield(0); }
static void *wait(void *arg) { for (;;) syscall(SYS_futex, &word, 0, 0, 0); }
static void wakers(void)
{
    while (spawn(wait, 0));
    for (;;) syscall(SYS_futex, &word, 1, 99);
}
static void requeue(void)
{
    while (spawn(wait, 0));
    for (;;) syscall(SYS_futex, &word, 3, 0, 99, &word);
}
static void *nap(void *arg) { for (;;) pass(0); }
static void sleepers(void) { while (spawn(nap, 0)); nap(0); }
static void joined(void) { result_of(pthread_self() ? spawn(wait, 0) : 0); }
static void *crash(void *arg) { *(volatile int *)arg = 1; return 0; }
static void crashes(void) { result_of(spawn(crash, 8)); }
static void *divide(void *arg) { asm("xor %%eax, %%eax; div %%al" ::: "rax"); }
static void divides(void) { result_of(spawn(divide, 0)); }
static void *halt(void *arg) { asm volatile("hlt"); }
static void halts(void) { result_of(spawn(halt, 0)); }
static void *leave(void *arg) { syscall(SYS_exit_group, 3); }
static void leaves(void) { result_of(spawn(leave, 0)); }
static void wild_stack(void)
{
    long ret;
    asm volatile("syscall; test %%rax, %%rax; jnz 1f; push %%rax; 1:"
        : "=a"(ret) : "0"(56l), "D"(SHARED), "S"(HIGH) : "rcx", "r11", "memory");
    for (;;) sched_yield();
}
static void high_stack(void)
{
    long ret;
    asm volatile("syscall; test %%rax, %%rax; jnz 1f; push %%rax; 1:"
        : "=a"(ret) : "0"(56l), "D"(SHARED), "S"(1l << 62) : "rcx", "r11", "memory");
    for (;;) sched_yield();
}
static void *returned(void *arg) { kvm_api_call(KVM_API_RETURNED, 0, 0, 0, 0); }
static void returns(void) { spawn(returned, 0); for (;;) sched_yield(); }
static void *to_trampoline(void *arg) { ((void (*)(void))0x6000)(); }
static void trampoline(void) { spawn(to_trampoline, 0); for (;;) sched_yield(); }
static void *to_stub(void *arg) { for (;;) ((void (*)(void))0x5000)(); }
static void stub(void) { spawn(to_stub, 0); for (;;) sched_yield(); }
static void *wait_again(void *arg) { wait_for_requests(); }
static void waits_again(void) { result_of(spawn(wait_again, 0)); }
static void without_syscall(void)
{
    long ret;
    spawn(spin, 0);
    asm volatile("out %%al, $1" : "=a"(ret) : "0"(24l) : "memory");
}
static void clone_without_syscall(void)
{
    long ret;
    asm volatile("out %%al, $1" : "=a"(ret) : "0"(56l), "D"(SHARED), "S"(0) : "memory");
}
static void *bases(void *arg)
{
    asm volatile("wrgsbase %0; wrfsbase %0; mov %1, %%gs; mov %1, %%fs; 1: jmp 1b"
        :: "r"(0x1234567l), "r"(0));
}
static void selectors(void) { while (spawn(bases, 0)); for (;;); }
"""
TIME, DEAD = "time limit reached", "deadlock: all threads wait for each other"
WAYS = {
    "bomb": TIME,
    "bombs": TIME,
    "same_stack": TIME,
    "spinners": TIME,
    "callers": TIME,
    "yielders": TIME,
    "wakers": TIME,
    "requeue": TIME,
    "sleepers": TIME,
    "selectors": TIME,
    "joined": DEAD,
    "crashes": "page fault writing 0x8",
    "divides": "division by zero",
    "halts": "general protection fault",
    "leaves": "exited with status 3",
    "wild_stack": "fault",
    "high_stack": "fault",
    "returns": "made the trampoline's call",
    "trampoline": "fault|illegal instruction|made the trampoline's call",
    "stub": "",
    "waits_again": "wait_for_requests in a request",
    "without_syscall": "waits in a system call that it made without `syscall`",
    "clone_without_syscall": "makes a thread without `syscall`",
}


def handle(ways: list[str]) -> str:
    """A callback that does what the path says."""
    chosen = "".join(f'if (!strcmp(url, "/{way}")) {way}();\n' for way in ways)
    return "START {} HANDLE {" + chosen + 'reply("fine"); }'


def start(source: str, **options: object) -> Guest:
    text = PTHREADS + BY_HAND + source
    return Guest(compile_guest(PRELUDE + text, "gcc", FLAGS).read_bytes(), **options)


@pytest.fixture(scope="module")
def hostile() -> Iterator[Callable[[str], Guest]]:
    """hostile(way): the program that does all of WAYS, with little time for those that
    do not end, and much for those that do; after it the host holds what it held."""
    source = DEEDS + handle(list(WAYS))
    with start(handle([])) as first:
        first.text()
    before = Held.now()
    with start(source, limit=0.3) as brief, start(source, limit=120.0) as patient:
        yield lambda way: brief if WAYS[way] == TIME else patient
    Held.now().assert_same(before)


@pytest.mark.parametrize("way", WAYS)
def test_hostile_threads_end_with_their_request(hostile, way):
    vm = hostile(way)
    answer = vm.get(f"/{way}")
    assert re.search(WAYS[way], vm.failure), vm.failure
    assert (answer.status, answer.body) == FAILED
    assert vm.text() == "fine"
    assert vm.vm.differing_pages() == 0


def test_a_start_up_of_threads_that_spin_ends_at_its_limit(guest):
    source = DEEDS + "START { spinners(); } HANDLE {}"
    with pytest.raises(Exception, match="main did not reach wait_for_requests"):
        start(source, boot_time=0.5)


# --- Bad addresses, which do no harm ---

ADDRESSES = r"""
static char wrong[4000];
#define EXPECT(value) ((value) ? 0 : sprintf(wrong + strlen(wrong), "%s; ", #value))
static long futex(const void *at, int op, int value, long most, const void *other)
{
    const long ret = syscall(SYS_futex, at, op, value, most, other, 0);
    return ret < 0 ? -errno : ret;
}
static void *list[3];
static void *robust(void *head)
{
    syscall(SYS_set_robust_list, head, 24);
    return 0;
}
static void lists(void)
{
    static void *loop[3], *pair[2][3], *lost[3], *odd[3], *read_only[3];
    void *heads[] = {BAD, HIGH, (void *)constant, loop, pair[0], lost, odd, read_only,
        (char *)loop + 1, 0};
    loop[0] = (void *)&loop[1], loop[1] = &loop[1]; /* never comes back to its head */
    pair[0][0] = pair[1], pair[1][0] = pair[0], pair[0][2] = BAD;
    lost[0] = BAD, lost[1] = (void *)-1l;
    odd[0] = (char *)lost + 1, odd[1] = (void *)(1l << 63);
    read_only[0] = (void *)constant, read_only[2] = HIGH;
    for (int i = 0; i < 10; i++)
        result_of(spawn(robust, (long)heads[i]));
}
static void addresses(void)
{
    char *end = mmap(0, 4096, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (int i = 0; i < 4; i++)
        spawn(wait, 0);
    const void *bad[] = {BAD, HIGH, (void *)0x4000, (void *)0x8000, (void *)(1l << 47)};
    for (int i = 0; i < 5; i++) {
        EXPECT(futex(bad[i], 0, 0, 0, 0) == -EFAULT);
        EXPECT(futex(bad[i], 5, 0, 0, bad[i]) == -EFAULT);
        EXPECT(futex(&word, 5, 0, 0, bad[i]) == -EFAULT);
        EXPECT(futex((char *)bad[i] + 1, 1, 1, 0, 0) == -EINVAL);
    }
    EXPECT(futex(constant, 5, 1, 1, constant) == -EFAULT);
    EXPECT(futex(end + 4094, 0, 0, 0, 0) == -EINVAL);
    EXPECT(make(TLS, 0, 0, 0, (void *)(1l << 47)) == -1);
    EXPECT(make(PARENT_TID, stacks[0] + 4096, BAD, 0, 0) > 1);
    EXPECT(make(PARENT_TID, stacks[0] + 4096, (void *)constant, 0, 0) > 1);
    EXPECT(make(CHILD_TID | CLEAR_TID, stacks[0] + 4096, 0, HIGH, 0) > 1);
    EXPECT(make(TLS, stacks[0] + 4096, 0, 0, (void *)12345) > 1);
    EXPECT(*constant == 5);
    lists();
}
START {} HANDLE { if (url[1]) addresses(); reply("wrong: %s", wrong); }
"""


def test_bad_addresses_of_futexes_threads_and_lists_do_no_harm():
    waiter = "static void *wait(void *arg) { syscall(SYS_futex, &word, 0, 0, 0); }\n"
    with start(waiter + ADDRESSES) as vm:
        for url in ("/bad", "/", "/bad"):
            assert vm.text(url) == "wrong: "
            assert vm.vm.differing_pages() == 0
