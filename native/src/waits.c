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

long wait_until_ready(struct call *c, uint64_t wake, const char *what)
{
    if (wake == WAITS_FOR_EVER && !c->m->threads) {
        c->ends = 1;
        return machine_fail(c->m, "deadlock: waits for %s", what);
    }
    if (clock_now() >= c->m->deadline) { /* nobody looks while it is made again */
        c->ends = 1;
        return machine_fail(c->m, "time limit reached");
    }
    c->waits = 1;
    c->m->asleep = wake == WAITS_FOR_EVER ? 0 : wake;
    return 0;
}

void waits_end(struct machine *m)
{
    m->waits = 0;
    m->wait_until = 0;
}
