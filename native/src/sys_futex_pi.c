/* sys_futex_pi.c: see sys_futex_pi.h. The word of such a lock names the thread that
 * holds it, so that a kernel could lend it a priority; here all have the same. Who
 * waits is given the lock, in the order that they came: futex(2), FUTEX_LOCK_PI. */
#include <asm/unistd_64.h>
#include <errno.h>
#include <linux/futex.h>

#include "sys_futex_pi.h"
#include "turns.h"
#include "waiting.h"

static uint32_t holder(uint32_t value)
{
    return value & FUTEX_TID_MASK;
}

/* The lock at (addr): its word, or NULL. */
static uint32_t *word_at(struct machine *m, uint64_t addr)
{
    return (uint32_t *)(void *)guest_window(&m->mem, addr, sizeof(uint32_t));
}

/* Nobody else can change the word: programs run on one vCPU, which stands still. */
static long take(struct machine *m, uint32_t *word)
{
    uint32_t self = threads_tid(m);
    if (holder(*word) == self)
        return -EDEADLK;
    if (!holder(*word)) {
        *word = (*word & FUTEX_OWNER_DIED) | self;
        return 0;
    }
    *word |= FUTEX_WAITERS;
    return threads_has(m, holder(*word)) ? -EAGAIN : -ESRCH;
}

long futex_lock(struct call *c, uint64_t addr, clockid_t clock, uint64_t time)
{
    struct machine *m = c->m;
    uint64_t until = 0;
    uint32_t *word = word_at(m, addr);
    long ret = time ? time_until(&m->mem, clock, 1, time, &until) : 0;
    if (ret == 0)
        ret = word ? take(m, word) : -EFAULT;
    if (ret != -EAGAIN)
        return ret;
    m->sleep.restart = 1 + __NR_futex;
    m->sleep.always = 1;
    turns_wait(m, addr, WAITING_FOR_LOCK, until); /* its holder is another thread */
    return -ETIMEDOUT;
}

long futex_try_lock(struct call *c, uint64_t addr)
{
    uint32_t *word = word_at(c->m, addr);
    return word ? take(c->m, word) : -EFAULT;
}

/* The lock becomes that of who has waited longest for it, or of nobody. */
static void hand_over(struct machine *m, uint64_t addr, uint32_t *word, uint32_t died)
{
    struct thread *next = m->threads ? waiting_for_lock(m->threads, addr) : NULL;
    *word = next ? next->tid | FUTEX_WAITERS | died : died;
    if (!next)
        return;
    waiting_end(m->threads, next);
    next->regs.rax = 0;
    turns_more(m);
}

long futex_unlock(struct call *c, uint64_t addr)
{
    uint32_t *word = word_at(c->m, addr);
    if (!word)
        return -EFAULT;
    if (holder(*word) != threads_tid(c->m))
        return -EPERM;
    hand_over(c->m, addr, word, 0);
    return 0;
}

void futex_leave_locks(struct machine *m)
{
    for (struct thread *one = m->threads->at; one < m->threads->at + THREADS; one++) {
        if (!one->tid || !one->waits || !one->futex || one->bits != WAITING_FOR_LOCK)
            continue;
        uint32_t *word = word_at(m, one->futex);
        if (word && holder(*word) == threads_tid(m))
            hand_over(m, one->futex, word, FUTEX_OWNER_DIED);
    }
}
