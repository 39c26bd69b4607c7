/* waits.c: see waits.h. */
#include "waits.h"

#include <errno.h>

#define SECONDS_MAX 9000000000L /* nobody waits so long */

uint64_t waits_limit(struct machine *m, uint64_t ns)
{
    uint64_t now = clock_now();
    if (!m->wait_until)
        m->wait_until = ns < WAITS_FOR_EVER - now ? now + ns : WAITS_FOR_EVER;
    return m->wait_until;
}

long waits_duration(struct call *c, uint64_t addr, uint64_t *ns)
{
    struct timespec t;
    if (guest_read(&c->m->mem, addr, &t, sizeof(t)) < 0)
        return -EFAULT;
    if (t.tv_sec < 0 || t.tv_nsec < 0 || t.tv_nsec >= 1000000000L)
        return -EINVAL;
    int64_t seconds = t.tv_sec < SECONDS_MAX ? t.tv_sec : SECONDS_MAX;
    *ns = (uint64_t)(seconds * 1000000000L + t.tv_nsec);
    return 0;
}

/* Tells if nothing else can happen to a program that waits. */
static int is_alone(const struct machine *m)
{
    return !m->threads && !m->net && !m->process->alarm.due &&
           !process_signals_ready(m->process);
}

long wait_until_ready(struct call *c, uint64_t wake, const char *what)
{
    if (wake == WAITS_FOR_EVER && is_alone(c->m)) {
        c->ends = 1;
        return machine_fail(c->m, "deadlock: waits for %s", what);
    }
    if (clock_now() >= c->m->deadline) { /* nobody looks while it is made again */
        c->ends = 1;
        return machine_fail(c->m, "time limit reached");
    }
    c->waits = 1;
    c->m->asleep =
        wake == WAITS_FOR_EVER && !c->m->process->alarm.due && !c->m->net ? 0 : wake;
    return 0;
}

long waits_mask(struct call *c, uint64_t addr, uint64_t size)
{
    struct thread_signals *t = &c->m->process->signals;
    uint64_t mask;
    if (!addr)
        return 0;
    if (size != sizeof(mask))
        return -EINVAL;
    if (guest_read(&c->m->mem, addr, &mask, sizeof(mask)) < 0)
        return -EFAULT;
    if (!t->has_saved) /* else the call is made again */
        t->saved_mask = t->mask;
    t->has_saved = 1;
    t->mask = signal_mask(mask);
    return 0;
}

long waits_unmask(struct call *c, long ret)
{
    struct thread_signals *t = &c->m->process->signals;
    if (c->waits || !t->has_saved)
        return ret;
    t->mask = t->saved_mask;
    t->has_saved = t->saved_mask = 0;
    return ret;
}
