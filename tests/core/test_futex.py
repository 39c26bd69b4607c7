"""Futexes and the calls about threads answer as Linux does. One program makes many,
good and bad; it runs on this Linux and in a guest."""

import pytest
from support.guests import compile_guest
from support.oracle import MAIN, SHOW, differing, on_linux, results
from support.pthreads import FLAGS, PTHREADS

pytestmark = pytest.mark.core

# One line a call: "CALL = RESULT", the result a number or a name of an error. Sleepers
# have a number each; the line of a group of wakes is what they were woken in.
PROGRAM = (
    SHOW
    + PTHREADS
    + r"""
#include <linux/futex.h>
#include <limits.h>
#include <sys/mman.h>
#define PRIVATE FUTEX_PRIVATE_FLAG
#define WALL FUTEX_CLOCK_REALTIME
#define UNALIGNED ((void *)9)
#define ANY 0xffffffffu
static int word, other;
static const int constant[2048] __attribute__((aligned(4096))) = {5};

/* --- Alone --- */

static void alone(void)
{
    struct timespec soon = {0, 1000000}, wrong = {0, 1000000000}, past = {1, 0};
    struct timespec negative = {-1, 0}, none = {0, 0};
    word = 5;
    other = 0;
    TRY(futex, &word, FUTEX_WAKE, 1);
    TRY(futex, &word, FUTEX_WAKE | PRIVATE, INT_MAX);
    TRY(futex, &word, FUTEX_WAKE, 0);
    TRY(futex, &word, FUTEX_WAKE, -1);
    TRY(futex, &word, FUTEX_WAKE | WALL, 1);
    TRY(futex, BAD, FUTEX_WAKE, 1);
    TRY(futex, BAD, FUTEX_WAKE | PRIVATE, 1);
    TRY(futex, HIGH, FUTEX_WAKE | PRIVATE, 1);
    TRY(futex, UNALIGNED, FUTEX_WAKE, 1);
    TRY(futex, UNALIGNED, FUTEX_WAKE | PRIVATE, 1);
    TRY(futex, &constant, FUTEX_WAKE | PRIVATE, 1);
    TRY(futex, &word, FUTEX_WAKE_BITSET, 1, 0, 0, 0);
    TRY(futex, &word, FUTEX_WAKE_BITSET, 1, 0, 0, 1);
    TRY(futex, UNALIGNED, FUTEX_WAKE_BITSET, 1, 0, 0, 0);
    TRY(futex, &word, FUTEX_WAIT, 4, 0);
    TRY(futex, &word, FUTEX_WAIT, 4, &soon);
    TRY(futex, &word, FUTEX_WAIT, 5, &soon);
    TRY(futex, &word, FUTEX_WAIT | PRIVATE, 5, &soon);
    TRY(futex, &word, FUTEX_WAIT, 5, &none);
    TRY(futex, &word, FUTEX_WAIT, 5, &wrong);
    TRY(futex, &word, FUTEX_WAIT, 4, &wrong);
    TRY(futex, &word, FUTEX_WAIT, 5, &negative);
    TRY(futex, &word, FUTEX_WAIT, 5, BAD);
    TRY(futex, BAD, FUTEX_WAIT, 5, BAD);
    TRY(futex, BAD, FUTEX_WAIT, 5, &soon);
    TRY(futex, BAD, FUTEX_WAIT | PRIVATE, 5, &soon);
    TRY(futex, HIGH, FUTEX_WAIT | PRIVATE, 5, &soon);
    TRY(futex, UNALIGNED, FUTEX_WAIT, 5, &soon);
    TRY(futex, UNALIGNED, FUTEX_WAIT, 5, BAD);
    TRY(futex, &constant, FUTEX_WAIT | PRIVATE, 5, &soon);
    TRY(futex, &constant, FUTEX_WAIT | PRIVATE, 4, &soon);
    TRY(futex, &word, FUTEX_WAIT | WALL, 5, &soon);
    TRY(futex, &word, FUTEX_WAIT_BITSET, 5, &past, 0, ANY);
    TRY(futex, &word, FUTEX_WAIT_BITSET | WALL, 5, &past, 0, ANY);
    TRY(futex, &word, FUTEX_WAIT_BITSET | WALL, 4, &past, 0, ANY);
    TRY(futex, &word, FUTEX_WAIT_BITSET, 5, &past, 0, 0);
    TRY(futex, &word, FUTEX_WAIT_BITSET, 5, &wrong, 0, 0);
    TRY(futex, UNALIGNED, FUTEX_WAIT_BITSET, 5, 0, 0, 0);
    TRY(futex, &word, FUTEX_REQUEUE, 1, 1, &other);
    TRY(futex, &word, FUTEX_REQUEUE, -1, 1, &other);
    TRY(futex, &word, FUTEX_REQUEUE, 1, -1, &other);
    TRY(futex, &word, FUTEX_REQUEUE, 1, 1, BAD);
    TRY(futex, &word, FUTEX_REQUEUE | PRIVATE, 1, 1, BAD);
    TRY(futex, &word, FUTEX_REQUEUE, 1, 1, UNALIGNED);
    TRY(futex, BAD, FUTEX_REQUEUE, 1, 1, &other);
    TRY(futex, UNALIGNED, FUTEX_REQUEUE, 1, 1, &other);
    TRY(futex, &word, FUTEX_CMP_REQUEUE, 1, 1, &other, 4);
    TRY(futex, &word, FUTEX_CMP_REQUEUE, 1, 1, &other, 5);
    TRY(futex, BAD, FUTEX_CMP_REQUEUE | PRIVATE, 1, 1, &other, 5);
    TRY(futex, &word, FUTEX_CMP_REQUEUE | PRIVATE, 1, 1, BAD, 5);
    TRY(futex, &word, 99, 0, 0, 0, 0);
    TRY(futex, &word, FUTEX_FD, 0, 0, 0, 0);
}

/* --- Wake and change --- */

#define CHANGE(op, with, compare, value) \
    (other = 5, show("change " #op " " #with " if " #compare " " #value, \
        result(syscall(SYS_futex, &word, FUTEX_WAKE_OP | PRIVATE, 1, 1, &other, \
            FUTEX_OP((op), (with), (compare), (value))))), IS(other))

static void changes(void)
{
    CHANGE(FUTEX_OP_SET, 7, FUTEX_OP_CMP_EQ, 5);
    CHANGE(FUTEX_OP_ADD, 7, FUTEX_OP_CMP_NE, 5);
    CHANGE(FUTEX_OP_ADD, -7, FUTEX_OP_CMP_LT, -5);
    CHANGE(FUTEX_OP_OR, 2, FUTEX_OP_CMP_LE, 5);
    CHANGE(FUTEX_OP_ANDN, 1, FUTEX_OP_CMP_GT, 5);
    CHANGE(FUTEX_OP_XOR, 4, FUTEX_OP_CMP_GE, 5);
    CHANGE(FUTEX_OP_SET | FUTEX_OP_OPARG_SHIFT, 4, FUTEX_OP_CMP_EQ, 5);
    CHANGE(FUTEX_OP_OR | FUTEX_OP_OPARG_SHIFT, 31, FUTEX_OP_CMP_EQ, 5);
    CHANGE(5, 7, FUTEX_OP_CMP_EQ, 5);
    CHANGE(FUTEX_OP_ADD, 7, 9, 5);
    TRY(futex, &word, FUTEX_WAKE_OP, 1, 1, BAD, 0);
    TRY(futex, &word, FUTEX_WAKE_OP | PRIVATE, 1, 1, BAD, 0);
    TRY(futex, &word, FUTEX_WAKE_OP | PRIVATE, 1, 1, &constant, 0);
    TRY(futex, &word, FUTEX_WAKE_OP, 1, 1, UNALIGNED, 0);
    TRY(futex, UNALIGNED, FUTEX_WAKE_OP, 1, 1, &other, 0);
}

/* --- Together --- */

struct sleeper { int *on; unsigned bits; long result; pthread_t thread; };
static struct sleeper sleepers[6];
static void *fall_asleep(void *arg)
{
    struct sleeper *s = arg;
    const int op = FUTEX_WAIT_BITSET | PRIVATE;
    s->result = result(syscall(SYS_futex, s->on, op, 5, 0, 0, s->bits));
    return 0;
}
static int asleep_on(int *futex)
{
    return syscall(SYS_futex, futex, FUTEX_REQUEUE | PRIVATE, 0, INT_MAX, futex);
}
/* Six sleep on (word), one behind the other; number n has bit n alone. */
static void put_to_sleep(void)
{
    word = other = 5;
    for (int i = 0; i < 6; i++) {
        sleepers[i] = (struct sleeper){&word, 1u << i, 99};
        sleepers[i].thread = spawn(fall_asleep, (long)&sleepers[i]);
        while (asleep_on(&word) != i + 1)
            sched_yield();
    }
}
static void wake_all(void)
{
    syscall(SYS_futex, &word, FUTEX_WAKE | PRIVATE, INT_MAX);
    syscall(SYS_futex, &other, FUTEX_WAKE | PRIVATE, INT_MAX);
    for (int i = 0; i < 6; i++) {
        result_of(sleepers[i].thread);
        IS(sleepers[i].result);
    }
}
/* Who has woken up by now: (count) of them, as bits. */
static int awake(int count)
{
    int bits, have;
    do {
        sched_yield();
        for (int i = bits = have = 0; i < 6; i++)
            if (__atomic_load_n(&sleepers[i].result, __ATOMIC_SEQ_CST) != 99)
                bits |= 1 << i, have++;
    } while (have < count);
    return bits;
}
static void together(void)
{
    put_to_sleep();
    TRY(futex, &word, FUTEX_WAKE | PRIVATE, 2);
    IS(awake(2));
    TRY(futex, &word, FUTEX_WAKE | PRIVATE, 0);
    IS(awake(3));
    TRY(futex, &word, FUTEX_WAKE_BITSET | PRIVATE, 9, 0, 0, 7);
    TRY(futex, &word, FUTEX_WAKE_BITSET | PRIVATE, 9, 0, 0, 48);
    IS(awake(5));
    wake_all();
    put_to_sleep();
    TRY(futex, &word, FUTEX_REQUEUE | PRIVATE, 1, 2, &other);
    IS(awake(1));
    IS(asleep_on(&word));
    IS(asleep_on(&other));
    TRY(futex, &other, FUTEX_WAKE | PRIVATE, 1);
    IS(awake(2));
    TRY(futex, &word, FUTEX_CMP_REQUEUE | PRIVATE, 0, INT_MAX, &other, 4);
    TRY(futex, &word, FUTEX_CMP_REQUEUE | PRIVATE, 0, INT_MAX, &other, 5);
    IS(asleep_on(&other));
    wake_all();
    put_to_sleep();
    TRY(futex, &word, FUTEX_REQUEUE | PRIVATE, 0, 2, &other);
    TRY(futex, &word, FUTEX_WAKE_OP | PRIVATE, 1, 1, &other, FUTEX_OP(0, 1, 1, 5));
    IS(other);
    TRY(futex, &word, FUTEX_WAKE_OP | PRIVATE, 1, 9, &other, FUTEX_OP(0, 5, 0, 1));
    IS(awake(4));
    IS(asleep_on(&word));
    IS(asleep_on(&other));
    wake_all();
}

/* --- Threads --- */

static void *tell_list(void *arg)
{
    long list[2] = {0, 0};
    TRY(get_robust_list, 0, &list[0], &list[1]);
    IS(list[0] != 0);
    IS(list[1]);
    *(long *)arg = list[0];
    return 0;
}
#define SHARED (0x10000 | 0x100 | 0x200 | 0x400 | 0x800)
static void threads(void)
{
    long list = 0, mine[2] = {0, 0}, head[3] = {(long)head, 0, 0};
    result_of(spawn(tell_list, (long)&list));
    TRY(get_robust_list, 0, mine, mine + 1);
    IS(mine[0] != list);
    TRY(get_robust_list, 99999999, mine, mine + 1);
    TRY(get_robust_list, 0, BAD, mine);
    TRY(get_robust_list, 0, mine, BAD);
    TRY(set_robust_list, head, 23);
    TRY(set_robust_list, head, 24);
    TRY(clone, 0x10000, 0, 0, 0, 0);
    TRY(clone, 0x10000 | 0x800, 0, 0, 0, 0);
    TRY(clone, SHARED | 0x80000, 0, 0, 0, -1l);
    TRY(clone, SHARED | 0x20000000, 0, 0, 0, 0);
    TRY(sched_yield);
    TRY(tkill, 99999999, 0);
}

static void try_all(void)
{
    alone();
    changes();
    threads();
    together();
}
"""
    + MAIN
)


@pytest.fixture(scope="module")
def linux():
    """What this Linux answers."""
    return on_linux(compile_guest(PROGRAM, flags=FLAGS))


@pytest.mark.parametrize("when", ["at the start", "in a request"])
def test_futexes_answer_as_linux_does(guest, linux, when):
    vm = guest(PROGRAM, whole=True, flags=FLAGS, arguments=[when])
    assert differing(results(vm.text(f"/{when}")), linux) == {}
