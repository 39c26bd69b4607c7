"""Attacks with threads and futexes: words and lists that lead anywhere, bombs."""

from support.hostile import FINE, TIME

ATTACKS = r"""
#include <linux/futex.h>
#include <sched.h>
static int word, other;
static const int constant[2048] __attribute__((aligned(4096))) = {5};
static char stack[8192] __attribute__((aligned(16)));
static long op(void *at, int how, long value, const void *fourth, void *second,
               long third)
{
    return raw(futex, at, how, value, fourth, second, third);
}
static void *waiter(void *arg)
{
    syscall(SYS_futex, arg, 0, *(int *)arg, 0);
    return 0;
}

/* --- Futexes --- */

static void odd_words(void)
{
    char *end = last_page();
    int *last = (int *)(end + 4092);
    char *const bad[] = {BAD, HIGH, KERNEL, end + 4096, (char *)ROOF,
                         (char *)(1l << 63)};
    for (int how = 0; how < 14; how++)
        for (int i = 0; i < LENGTH(bad); i++) {
            EXPECT(op((void *)(bad[i] + 1), how, 1, 0, &other, 1) < 0);
            EXPECT(op((void *)bad[i], how, 1, 0, (void *)bad[i], 1) < 0);
            op((void *)bad[i], how | FUTEX_PRIVATE_FLAG, 1, 0, (void *)bad[i], 1);
        }
    *last = 1;
    EXPECT(op(last, FUTEX_WAIT, 0, 0, 0, 0) == -EAGAIN);
    EXPECT(op(last, FUTEX_WAKE, 1, 0, 0, 0) == 0);
    EXPECT(op(end + 4094, FUTEX_WAIT, 0, 0, 0, 0) == -EINVAL);
    EXPECT(op(last, FUTEX_WAKE_OP, 1, (void *)1, end + 4096, 0) == -EFAULT);
    EXPECT(op(last, FUTEX_WAKE_OP, 1, (void *)1, (void *)constant, 0) == -EFAULT);
    EXPECT(*last == 1 && *constant == 5);
}
/* All operations, compared in all ways, with all arguments that are special. */
static void odd_operations(void)
{
    const long arguments[] = {0, 1, 31, 32, 0x7ff, 0x800, 0xfff};
    for (long how = 0; how < 256; how++)
        for (int i = 0; i < LENGTH(arguments); i++) {
            const long third = how << 28 | (how >> 4) << 24 | arguments[i] << 12 | 5;
            other = 5;
            const long ret = op(&word, FUTEX_WAKE_OP, 1, (void *)1, &other, third);
            EXPECT(ret == 0 || ret == -ENOSYS);
        }
    for (int how = 0; how < 256; how++)
        op(&word, how & ~FUTEX_CLOCK_REALTIME | 1 << 30, 0, 0, &other, 0);
    EXPECT(op(&word, FUTEX_REQUEUE, -1, (void *)1, &other, 0) == -EINVAL);
    EXPECT(op(&word, FUTEX_REQUEUE, 1, (void *)-1l, &other, 0) == -EINVAL);
    EXPECT(op(&word, FUTEX_CMP_REQUEUE, 1, (void *)1, &other, 77) == -EAGAIN);
    EXPECT(op(&word, FUTEX_WAKE, -1, 0, 0, 0) == 0);
    EXPECT(op(&word, FUTEX_WAKE_BITSET, 1, 0, 0, 0) == -EINVAL);
    EXPECT(op(&word, FUTEX_WAIT_BITSET, 0, 0, 0, 0) == -EINVAL);
}
static void odd_times(void)
{
    const struct timespec bad[] = {{-1, 0}, {0, -1}, {0, 1000000000}, {1l << 63, 0},
                                   {0, 1l << 63}, {-1ul >> 1, -1ul >> 1}};
    for (int i = 0; i < LENGTH(bad); i++) {
        EXPECT(op(&word, FUTEX_WAIT, 0, &bad[i], 0, 0) == -EINVAL);
        EXPECT(op(&word, FUTEX_WAIT_BITSET, 0, &bad[i], 0, -1) == -EINVAL);
    }
    EXPECT(op(&word, FUTEX_WAIT, 0, HIGH, 0, 0) == -EFAULT);
    EXPECT(op(&word, FUTEX_WAIT, 0, KERNEL, 0, 0) == -EFAULT);
    const struct timespec late = {-1ul >> 1, 999999999}, past = {0, 1};
    EXPECT(op(&word, FUTEX_WAIT, 1, &late, 0, 0) == -EAGAIN);
    for (int i = 0; i < MANY / 8; i++)
        EXPECT(op(&word, FUTEX_WAIT, 0, &past, 0, 0) == -ETIMEDOUT);
    EXPECT(op(&word, FUTEX_WAIT_BITSET, 0, &past, 0, -1) == -ETIMEDOUT);
}

/* --- Lists of locks, and words to clear --- */

struct head { void *next; long offset; void *pending; };
static struct head head;
static void *with_list(void *at)
{
    syscall(SYS_set_robust_list, at, 24);
    return 0;
}
static void odd_lists(void)
{
    char *end = last_page();
    static void *loop[2];
    void *const heads[] = {BAD, HIGH, KERNEL, end + 4080, (void *)constant, loop,
                           &head};
    const long offsets[] = {0, 1, -1, 1l << 63, -(1l << 47), 1l << 47, (long)&word};
    loop[0] = loop + 1, loop[1] = loop + 1;
    EXPECT(raw(set_robust_list, &head, 23) == -EINVAL);
    EXPECT(raw(set_robust_list, &head, 1l << 32 | 24) == -EINVAL);
    EXPECT(raw(get_robust_list, 0, KERNEL, end) == -EFAULT);
    EXPECT(raw(get_robust_list, 12345, end, end) == -ESRCH);
    for (int i = 0; i < LENGTH(heads); i++)
        for (int j = 0; j < LENGTH(offsets); j++) {
            head = (struct head){i % 2 ? (void *)loop : &head, offsets[j], heads[i]};
            result_of(spawn(with_list, (long)heads[i]));
        }
    EXPECT(*constant == 5 && loop[0] == loop + 1);
}
static void *with_tid(void *at)
{
    syscall(SYS_set_tid_address, at);
    syscall(SYS_exit, 0);
}
/* Their stacks are not given back: what pthread_join waits for does not come. */
static void odd_tids(void)
{
    char *end = last_page();
    char *const at[] = {BAD, HIGH, KERNEL, (char *)0x5001, (char *)constant, end + 4093,
                        (char *)ROOF, (char *)0x7000};
    for (int i = 0; i < LENGTH(at); i++)
        spawn(with_tid, (long)at[i]);
    for (int i = 0; i < 20; i++)
        sched_yield();
    EXPECT(*constant == 5);
}

/* --- Threads --- */

static long cloned(long flags, void *at)
{
    long ret;
    register void *r10 asm("r10") = at;
    register void *r8 asm("r8") = at;
    asm volatile("syscall; test %%rax, %%rax; jnz 1f; mov $60, %%eax; syscall; hlt; 1:"
        : "=a"(ret)
        : "0"(56l), "D"(flags), "S"(stack + 8000), "d"(at), "r"(r10), "r"(r8)
        : "rcx", "r11", "memory");
    return ret;
}
static void flags(void)
{
    void *const at[] = {&word, BAD, HIGH, KERNEL};
    for (int i = 0; i < LENGTH(at); i++)
        for (int bit = 0; bit < 64; bit++) {
            EXPECT(cloned(1ul << bit, at[i]) < 0);
            cloned(0x10f00 ^ 1ul << bit, at[i]);
            sched_yield();
        }
    EXPECT(cloned(0, 0) == -ENOSYS && cloned(-1l, 0) == -EINVAL);
    const long made = cloned(0x10f00, 0);
    EXPECT(made > 1);
    for (int i = 0; i < 10; i++)
        sched_yield();
    EXPECT(raw(tkill, made, 0) == -ESRCH);
}
static volatile int over;
static void *until_over(void *arg)
{
    while (!over)
        op((void *)&over, FUTEX_WAIT, 0, 0, 0, 0);
    return 0;
}
/* 64 of them, over and over: each place is free again. */
static void many(void)
{
    static pthread_t made[65];
    for (int round = 0; round < 3; round++) {
        int count = 0;
        while (count < 65 && (made[count] = spawn(until_over, 0)))
            count++;
        EXPECT(count == 64 || count == 63);
        over = 1;
        op((void *)&over, FUTEX_WAKE, 99, 0, 0, 0);
        while (count)
            result_of(made[--count]);
        over = 0;
    }
}
/* All of them wait in different ways when the request ends, or run. */
static void *wait_somehow(void *arg)
{
    struct timespec late = {1000, 0};
    struct pollfd nothing = {-1};
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    switch ((long)arg % 6) {
    case 0: syscall(SYS_futex, &word, 0, 0, 0); break;
    case 1: nanosleep(&late, 0); break;
    case 2: poll(&nothing, 1, 1000000); break;
    case 3: sigwaitinfo(&set, 0); break;
    case 4: pause(); break;
    case 5: while (!never); break;
    }
    return 0;
}
static void left_waiting(void)
{
    for (long i = 0; i < 6; i++)
        spawn(wait_somehow, i);
    for (int i = 0; i < 4; i++)
        pass(1);
}
static void left_in_all_places(void)
{
    for (long i = 0; spawn(wait_somehow, i % 5); i++);
    pass(1);
    op(&word, FUTEX_WAKE, 99, 0, 0, 0);
    EXPECT(spawn(wait_somehow, 0) == 0 || errno == 0);
}
static void *spin(void *arg) { while (!never); }
static void spinners(void) { while (spawn(spin, 0)); spin(0); }
static void *breed(void *arg) { for (;;) { spawn(breed, 0); sched_yield(); } }
static void bomb(void) { breed(0); }
static void alone(void) { op(&word, FUTEX_WAIT, 0, 0, 0, 0); }
/* Far memory goes, and comes, under a thread that waits on it. */
static void memory_goes(void)
{
    int *at = mmap((void *)FAR, 8192, RW, ANON | MAP_FIXED, -1, 0);
    pthread_t one = spawn(waiter, (long)at);
    pass(1);
    for (int i = 0; i < 20; i++) { /* KVM looks at the page tables anew each time */
        mprotect(at, 4096, PROT_READ);
        sched_yield();
        mprotect(at, 4096, RW);
    }
    munmap(at, 8192);
    sched_yield();
    EXPECT(op(at, FUTEX_WAKE, 1, 0, 0, 0) == -EFAULT);
    EXPECT(op(at, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, 0, 0, 0) == 1);
    EXPECT(result_of(one) == 0);
}
"""

WAYS = {
    "odd_words": FINE,
    "odd_operations": FINE,
    "odd_times": FINE,
    "odd_lists": FINE,
    "odd_tids": FINE,
    "flags": FINE,
    "many": FINE,
    "memory_goes": FINE,
    "left_waiting": FINE,
    "left_in_all_places": FINE,
    "spinners": TIME,
    "bomb": TIME,
    "alone": "deadlock: ",
}
