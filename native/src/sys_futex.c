/* sys_futex.c: threads wait on a word of memory, and wake each other. All of them run
 * on one vCPU, which stands still while a call is answered; only shared memory can
 * change meanwhile, and nobody can be woken from there. */
#include <asm/unistd_64.h>
#include <errno.h>
#include <linux/futex.h>

#include "sys_futex_pi.h"
#include "turns.h"
#include "waiting.h"

#define ANY_BITS FUTEX_BITSET_MATCH_ANY

struct futex {
    struct machine *m;
    uint64_t addr, other;
    uint32_t value, value3;
    int op, flags;
    uint64_t fourth; /* a time's address, or the second value */
};

static int has_bits(const struct futex *f)
{
    return f->op == FUTEX_WAIT_BITSET || f->op == FUTEX_WAKE_BITSET;
}

static uint32_t bits_of(const struct futex *f)
{
    return has_bits(f) ? f->value3 : ANY_BITS;
}

/* What cannot be an address of a futex: 0, -EINVAL or -EFAULT. What all processes share
 * is found by the page behind it, so that has to be there. */
static long check_address(const struct futex *f, uint64_t addr)
{
    if (addr % sizeof(uint32_t))
        return -EINVAL;
    if (addr >= 1UL << 47)
        return -EFAULT;
    if (f->flags & FUTEX_PRIVATE_FLAG)
        return 0;
    return guest_view(&f->m->mem, addr, sizeof(uint32_t)) ? 0 : -EFAULT;
}

/* 0; -EAGAIN when it is not (expected); -EFAULT. */
static long compare(const struct futex *f, uint32_t expected)
{
    uint32_t value;
    if (guest_read(&f->m->mem, f->addr, &value, sizeof(value)) < 0)
        return -EFAULT;
    return value == expected ? 0 : -EAGAIN;
}

/* --- Waiting --- */

/* When the wait ends, 0 = never. 0, -EFAULT or -EINVAL. */
static long end_of(const struct futex *f, uint64_t *until)
{
    int wall = f->flags & FUTEX_CLOCK_REALTIME;
    *until = 0;
    if (!f->fourth)
        return 0;
    return time_until(&f->m->mem, wall ? CLOCK_REALTIME : CLOCK_MONOTONIC,
                      f->op == FUTEX_WAIT_BITSET, f->fourth, until);
}

static long wait(struct futex *f, struct call *c)
{
    uint64_t until;
    long ret = end_of(f, &until);
    if (ret == 0 && !bits_of(f))
        ret = -EINVAL;
    if (ret == 0)
        ret = check_address(f, f->addr);
    if (ret == 0)
        ret = compare(f, f->value);
    if (ret < 0)
        return ret;
    if (!until)
        f->m->sleep.restart = 1 + __NR_futex;
    if (f->m->threads)
        turns_wait(f->m, f->addr, bits_of(f), until);
    else if (until)
        f->m->asleep = until;
    else if (f->m->process->alarm.due)
        sleep_until_signal(c);
    else {
        c->ends = 1;
        return machine_fail(f->m, "deadlock: waits for a futex that nobody can wake");
    }
    return -ETIMEDOUT;
}

/* --- Waking --- */

static long wake(struct futex *f)
{
    if (!bits_of(f))
        return -EINVAL;
    long ret = check_address(f, f->addr);
    return ret < 0 ? ret : turns_wake(f->m, f->addr, bits_of(f), (int)f->value);
}

static long requeue(struct futex *f)
{
    int wake_most = (int)f->value, move_most = (int)(uint32_t)f->fourth;
    if (wake_most < 0 || move_most < 0)
        return -EINVAL;
    long ret = check_address(f, f->addr);
    if (ret == 0)
        ret = check_address(f, f->other);
    if (ret == 0 && f->op == FUTEX_CMP_REQUEUE)
        ret = compare(f, f->value3);
    if (ret < 0 || !f->m->threads)
        return ret;
    int woken = wake_most ? turns_wake(f->m, f->addr, ANY_BITS, wake_most) : 0;
    return woken + waiting_move(f->m->threads, f->addr, f->other, move_most);
}

/* --- FUTEX_WAKE_OP: futex(2) --- */

static int32_t signed_12_bits(uint32_t bits)
{
    return (int32_t)(bits << 20) >> 20;
}

/* Does what (value3) says to the word at (other); its value before, or -errno. */
static long change(struct futex *f, uint32_t *before)
{
    uint32_t op = f->value3 >> 28, with = (uint32_t)signed_12_bits(f->value3 >> 12);
    if (op & FUTEX_OP_OPARG_SHIFT)
        with = 1u << (with & 31);
    uint32_t *word = (uint32_t *)(void *)guest_window(&f->m->mem, f->other, 4);
    if (!word)
        return -EFAULT;
    switch (op & 7) {
    case FUTEX_OP_SET:
        *before = __atomic_exchange_n(word, with, __ATOMIC_SEQ_CST);
        return 0;
    case FUTEX_OP_ADD:
        *before = __atomic_fetch_add(word, with, __ATOMIC_SEQ_CST);
        return 0;
    case FUTEX_OP_OR:
        *before = __atomic_fetch_or(word, with, __ATOMIC_SEQ_CST);
        return 0;
    case FUTEX_OP_ANDN:
        *before = __atomic_fetch_and(word, ~with, __ATOMIC_SEQ_CST);
        return 0;
    case FUTEX_OP_XOR:
        *before = __atomic_fetch_xor(word, with, __ATOMIC_SEQ_CST);
        return 0;
    default:
        return -ENOSYS;
    }
}

/* Tells if (before) compares as (value3) says: 0, 1, or -ENOSYS. */
static long holds(const struct futex *f, int32_t before)
{
    int32_t with = signed_12_bits(f->value3);
    switch (f->value3 >> 24 & 15) {
    case FUTEX_OP_CMP_EQ:
        return before == with;
    case FUTEX_OP_CMP_NE:
        return before != with;
    case FUTEX_OP_CMP_LT:
        return before < with;
    case FUTEX_OP_CMP_LE:
        return before <= with;
    case FUTEX_OP_CMP_GT:
        return before > with;
    case FUTEX_OP_CMP_GE:
        return before >= with;
    default:
        return -ENOSYS;
    }
}

static long wake_op(struct futex *f)
{
    uint32_t before;
    long ret = check_address(f, f->addr);
    if (ret == 0)
        ret = check_address(f, f->other);
    if (ret == 0)
        ret = change(f, &before);
    if (ret < 0)
        return ret;
    long both = holds(f, (int32_t)before);
    if (both < 0)
        return both;
    ret = turns_wake(f->m, f->addr, ANY_BITS, (int)f->value);
    if (both)
        ret += turns_wake(f->m, f->other, ANY_BITS, (int)(uint32_t)f->fourth);
    return ret;
}

/* --- The call --- */

static long lock(struct futex *f, struct call *c)
{
    int wall = f->op == FUTEX_LOCK_PI || f->flags & FUTEX_CLOCK_REALTIME;
    if (f->op != FUTEX_LOCK_PI && f->op != FUTEX_LOCK_PI2 &&
        f->op != FUTEX_TRYLOCK_PI && f->op != FUTEX_UNLOCK_PI)
        return -ENOSYS;
    long ret = check_address(f, f->addr);
    if (ret < 0)
        return ret;
    if (f->op == FUTEX_UNLOCK_PI)
        return futex_unlock(c, f->addr);
    if (f->op == FUTEX_TRYLOCK_PI)
        return futex_try_lock(c, f->addr);
    return futex_lock(c, f->addr, wall ? CLOCK_REALTIME : CLOCK_MONOTONIC, f->fourth);
}

long sys_futex(struct call *c)
{
    struct futex f = {.m = c->m,
                      .addr = c->arg[0],
                      .other = c->arg[4],
                      .value = (uint32_t)c->arg[2],
                      .value3 = (uint32_t)c->arg[5],
                      .op = (int)c->arg[1] & FUTEX_CMD_MASK,
                      .flags = (int)c->arg[1] & ~FUTEX_CMD_MASK,
                      .fourth = c->arg[3]};
    if (f.flags & FUTEX_CLOCK_REALTIME && f.op != FUTEX_WAIT_BITSET &&
        f.op != FUTEX_LOCK_PI2)
        return -ENOSYS;
    switch (f.op) {
    case FUTEX_WAIT:
    case FUTEX_WAIT_BITSET:
        return wait(&f, c);
    case FUTEX_WAKE:
    case FUTEX_WAKE_BITSET:
        return wake(&f);
    case FUTEX_REQUEUE:
    case FUTEX_CMP_REQUEUE:
        return requeue(&f);
    case FUTEX_WAKE_OP:
        return wake_op(&f);
    default:
        return lock(&f, c);
    }
}
