/* call_wait.c: host calls that end start-up, and that say what becomes of the machine.
 */
#include <errno.h>

#include "hostcall.h"
#include "paused.h"

long call_wait(struct host_call *c)
{
    if (!c->m->booting)
        return machine_fail(c->m, "wait_for_requests in a request");
    c->stop = STOP_WAITING;
    return 0;
}

/* In start-up, and before it is frozen between requests that nobody has made, the
 * program waits here for good; a clone that is not put back, for its next request. */
long call_wait_paused(struct host_call *c)
{
    struct machine *m = c->m;
    uint64_t addr = c->arg[0];
    if (m->facts->is_storage && m->booting)
        return call_wait(c);
    if (!m->booting && (m->has_next || !m->warming))
        return paused_wait(m, addr);
    if (!guest_writable(&m->mem, addr, sizeof(struct kvm_request)))
        return machine_fail(m, "wait_for_requests_paused: unwritable request");
    m->facts->paused_request = addr;
    c->stop = STOP_WAITING;
    return 0;
}

long call_make_ephemeral(struct host_call *c)
{
    struct machine *m = c->m;
    int before = m->ephemeral;
    if (!m->facts->control_ephemeral || m->facts->is_storage)
        return -EPERM;
    m->ephemeral = bool_argument(c, 0);
    if (m->booting)
        m->facts->ephemeral = m->ephemeral;
    return before;
}
