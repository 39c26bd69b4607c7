/* threads.c: threads are made, wait for each other and end. Who has to find others
 * waiting asks until they do. */
#include "oracle.h"

#include <linux/futex.h>
#include <sched.h>
#include <stddef.h>
#include <time.h>

#define THREADS 16
#define KIND                                                                           \
    (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM)
#define WAIT_(at, bits) CALL(futex, at, FUTEX_WAIT_BITSET, 0, NULL, NULL, bits)

static char stacks[THREADS][16384] __attribute__((aligned(16)));
static volatile int tids[THREADS];
static int made, first[2], other;
static const struct timespec moment = {0, 1000000};

/* A thread that does (work); the first is number 0. */
static int start(int (*work)(void *), void *with)
{
    int i = made++, told = 0;
    clone(work, stacks[i] + sizeof(stacks[i]),
          KIND | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID | CLONE_CHILD_SETTID, with,
          &told, NULL, &tids[i]);
    return i;
}

/* Until its end clears its number. */
static void join(int i)
{
    UNTIL(0, (CALL(nanosleep, &moment, NULL), tids[i]));
}

/* --- Made, and ended --- */

static int who(void *with)
{
    static struct robust_list_head head = {{&head.list}}, *list;
    size_t size;
    CALL(gettid);
    CALL(getpid);
    CALL(set_robust_list, &head, sizeof(head));
    CALL(set_robust_list, &head, 23L);
    CALL(get_robust_list, 0, &list, &size);
    IS(list == &head);
    IS(size);
    CALL(get_robust_list, *(int *)with, &list, &size);
    IS(list == &head);
    CALL(get_robust_list, 5000000, &list, &size);
    CALL(get_robust_list, 0, BAD, &size);
    CALL(get_robust_list, 0, &list, BAD);
    CALL(sched_yield);
    return 5;
}

static void life(void)
{
    int self = getpid();
    long ret = CALL(clone, CLONE_THREAD, NULL, NULL, NULL, NULL);
    IS(errno);
    ret = CALL(clone, CLONE_THREAD | CLONE_SIGHAND, NULL, NULL, NULL, NULL);
    IS(errno);
    ret = CALL(clone, KIND | CLONE_SETTLS, stacks[0], NULL, NULL, 1UL << 63);
    IS(errno);
    ret = CALL(clone, KIND | CLONE_NEWNS, stacks[0], NULL, NULL, NULL);
    IS(errno);
    join(start(who, &self));
}

/* --- futex: waiting and waking --- */

static int wait_plainly(void *at)
{
    CALL(futex, at, FUTEX_WAIT, 0, NULL);
    return 0;
}

static int wait_here(void *at)
{
    CALL(futex, at, FUTEX_WAIT_PRIVATE, 0, NULL);
    return 0;
}

static int wait_for_1(void *at)
{
    WAIT_(at, 1);
    return 0;
}

static int wait_for_2(void *at)
{
    WAIT_(at, 2);
    return 0;
}

static void waking(void)
{
    int a = start(wait_plainly, first);
    UNTIL(1, CALL(futex, first, FUTEX_WAKE, 1));
    join(a);
    a = start(wait_here, first);
    UNTIL(1, CALL(futex, first, FUTEX_WAKE_PRIVATE, 5));
    join(a);
    a = start(wait_for_1, first);
    UNTIL(1, CALL(futex, first, FUTEX_REQUEUE, 0, 1L, first));
    int b = start(wait_for_2, first);
    UNTIL(2, CALL(futex, first, FUTEX_REQUEUE, 0, 2L, first));
    CALL(futex, first, FUTEX_WAKE_BITSET, 5, NULL, NULL, 4);
    CALL(futex, first, FUTEX_WAKE_BITSET, 5, NULL, NULL, 2);
    join(b);
    CALL(futex, first, FUTEX_WAKE, 5);
    join(a);
    CALL(futex, first, FUTEX_WAKE, 5);
}

static void moving(void)
{
    int a = start(wait_plainly, first);
    UNTIL(1, CALL(futex, first, FUTEX_REQUEUE, 0, 1L, first));
    int b = start(wait_plainly, first);
    UNTIL(2, CALL(futex, first, FUTEX_REQUEUE, 0, 2L, first));
    CALL(futex, first, FUTEX_CMP_REQUEUE, 1, 5L, &other, 99);
    CALL(futex, first, FUTEX_CMP_REQUEUE, 1, 5L, &other, 0);
    join(a);
    CALL(futex, first, FUTEX_WAKE, 5);
    CALL(futex, &other, FUTEX_WAKE, 5);
    join(b);
    CALL(futex, first, FUTEX_REQUEUE, -1, 1L, &other);
    CALL(futex, first, FUTEX_REQUEUE, 1, -1L, &other);
    CALL(futex, first, FUTEX_REQUEUE, 1, 1L, BAD);
    CALL(futex, first, FUTEX_CMP_REQUEUE, 1, 1L, (char *)&other + 1, 0);
}

static void refused(void)
{
    const struct timespec bad = {0, 1000000000}, past = {1}, negative = {-1};
    char *odd = (char *)first + 2;
    CALL(futex, first, FUTEX_WAIT, 1, NULL);
    CALL(futex, first, FUTEX_WAIT, 0, &moment);
    CALL(futex, first, FUTEX_WAIT, 0, &bad);
    CALL(futex, first, FUTEX_WAIT, 0, &negative);
    CALL(futex, first, FUTEX_WAIT, 0, BAD);
    CALL(futex, first, FUTEX_WAIT_BITSET, 0, &past, NULL, 1);
    CALL(futex, first, FUTEX_WAIT_BITSET, 0, NULL, NULL, 0);
    CALL(futex, first, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 0, &past, NULL, 1);
    CALL(futex, first, FUTEX_WAKE | FUTEX_CLOCK_REALTIME, 1);
    CALL(futex, first, FUTEX_WAKE_BITSET, 1, NULL, NULL, 0);
    CALL(futex, odd, FUTEX_WAIT, 0, NULL);
    CALL(futex, odd, FUTEX_WAKE, 1);
    CALL(futex, BAD, FUTEX_WAIT, 0, NULL);
    CALL(futex, BAD, FUTEX_WAKE, 1);
    CALL(futex, BAD, FUTEX_WAKE_PRIVATE, 1);
    CALL(futex, ~0UL - 7, FUTEX_WAIT_PRIVATE, 0, NULL);
    CALL(futex, first, 99, 0, NULL);
    CALL(futex, first, FUTEX_FD, 0, NULL);
}

static void operations(void)
{
    const int ops[] = {FUTEX_OP_SET,  FUTEX_OP_ADD, FUTEX_OP_OR,
                       FUTEX_OP_ANDN, FUTEX_OP_XOR, 5};
    for (int i = 0; i < 6; i++) {
        other = 12;
        CALL(futex, first, FUTEX_WAKE_OP, 1, 1L, &other,
             FUTEX_OP(ops[i], 10, FUTEX_OP_CMP_EQ, 12));
        IS(other);
        CALL(futex, first, FUTEX_WAKE_OP, 1, 1L, &other,
             FUTEX_OP(ops[i] | FUTEX_OP_OPARG_SHIFT, 4, FUTEX_OP_CMP_EQ, 12));
        IS(other);
    }
    for (int compare = 0; compare < 7; compare++) {
        int a = start(wait_plainly, &first[1]);
        UNTIL(1, CALL(futex, &first[1], FUTEX_REQUEUE, 0, 1L, &first[1]));
        CALL(futex, first, FUTEX_WAKE_OP, 1, 1L, &first[1],
             FUTEX_OP(FUTEX_OP_ADD, 0, compare, compare % 2));
        CALL(futex, &first[1], FUTEX_WAKE, 1);
        join(a);
        made--;
    }
    CALL(futex, first, FUTEX_WAKE_OP, 1, 1L, BAD, 0);
    other = 0;
}

/* --- What a thread holds when it ends --- */

struct held {
    struct robust_list entry;
    int word;
};
static struct robust_list_head list;
static struct held held[2];

static int hold(void *with)
{
    int mine = (int)CALL(gettid);
    list = (struct robust_list_head){{&held[0].entry}, offsetof(struct held, word)};
    held[0] = (struct held){{&held[1].entry}, mine};
    held[1] = (struct held){{&list.list}, mine | FUTEX_WAITERS};
    CALL(set_robust_list, &list, sizeof(list));
    CALL(futex, first, FUTEX_WAIT, 0, NULL);
    return 0;
}

static void dying(void)
{
    int a = start(hold, NULL);
    UNTIL(1, CALL(futex, first, FUTEX_REQUEUE, 0, 1L, first));
    CALL(futex, first, FUTEX_WAKE, 1);
    join(a);
    IS(held[0].word);
    IS((unsigned)held[1].word);
}

/* --- Locks that name their holder --- */

static volatile unsigned lock;
static unsigned found;

static void wanted(void)
{
    UNTIL(1, (CALL(nanosleep, &moment, NULL), (lock & FUTEX_WAITERS) != 0));
}

static int take(void *with)
{
    CALL(futex, &lock, FUTEX_LOCK_PI, 0, NULL);
    found = lock & ~FUTEX_TID_MASK;
    CALL(futex, &lock, FUTEX_UNLOCK_PI);
    return 0;
}

static int fail_to_take(void *with)
{
    const struct timespec past = {1}, bad = {0, -1};
    CALL(futex, &lock, FUTEX_UNLOCK_PI);
    CALL(futex, &lock, FUTEX_LOCK_PI, 0, &past);
    CALL(futex, &lock, FUTEX_LOCK_PI, 0, &bad);
    CALL(futex, &lock, FUTEX_LOCK_PI, 0, BAD);
    CALL(futex, &lock, FUTEX_LOCK_PI2, 0, &past);
    CALL(futex, &lock, FUTEX_LOCK_PI2 | FUTEX_CLOCK_REALTIME, 0, &past);
    CALL(futex, &lock, FUTEX_TRYLOCK_PI);
    IS(lock & ~FUTEX_TID_MASK);
    return 0;
}

static int take_and_die(void *with)
{
    CALL(futex, &lock, FUTEX_LOCK_PI, 0, NULL);
    CALL(futex, first, FUTEX_WAIT, 0, NULL);
    return 0;
}

static void locks(void)
{
    unsigned self = (unsigned)getpid();
    CALL(futex, &lock, FUTEX_LOCK_PI_PRIVATE, 0, NULL);
    IS(lock == self);
    CALL(futex, &lock, FUTEX_LOCK_PI_PRIVATE, 0, NULL);
    CALL(futex, &lock, FUTEX_TRYLOCK_PI_PRIVATE);
    CALL(futex, &lock, FUTEX_UNLOCK_PI_PRIVATE);
    IS(lock);
    CALL(futex, &lock, FUTEX_UNLOCK_PI_PRIVATE);
    CALL(futex, &lock, FUTEX_TRYLOCK_PI);
    join(start(fail_to_take, NULL));
    CALL(futex, &lock, FUTEX_UNLOCK_PI);
    IS(lock);
    CALL(futex, &lock, FUTEX_LOCK_PI, 0, NULL);
    int a = start(take, NULL);
    wanted();
    CALL(futex, &lock, FUTEX_UNLOCK_PI);
    join(a);
    IS(found);
    IS(lock);
    a = start(take_and_die, NULL);
    UNTIL(1, CALL(futex, first, FUTEX_REQUEUE, 0, 1L, first));
    int b = start(take, NULL);
    wanted();
    CALL(futex, first, FUTEX_WAKE, 1);
    join(a);
    join(b);
    IS(found);
    IS(lock);
    lock = 5000000;
    CALL(futex, &lock, FUTEX_LOCK_PI, 0, NULL);
    CALL(futex, (char *)&lock + 1, FUTEX_LOCK_PI, 0, NULL);
    CALL(futex, BAD, FUTEX_LOCK_PI, 0, NULL);
    CALL(futex, BAD, FUTEX_UNLOCK_PI);
}

int main(void)
{
    begin();
    life();
    waking();
    moving();
    refused();
    operations();
    dying();
    locks();
    return 0;
}
