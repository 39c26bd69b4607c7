/* call_storage.c: host calls about storage, on both sides. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "home.h"
#include "hostcall.h"

/* Answered by whoever runs this machine: storage is a level above. */
long call_storage(struct host_call *c)
{
    if (c->m->facts->is_storage)
        return -1;
    c->stop = STOP_STORAGE;
    return 0;
}

static long take_result(struct machine *m, uint64_t addr, uint64_t len)
{
    if (!m->facts->is_storage || m->booting)
        return machine_fail(m, "storage_return outside of a storage call");
    if (!guest_readable(&m->mem, addr, len))
        return machine_fail(m, "storage_return: unreadable result");
    free(m->result.data);
    m->result =
        (struct storage_result){.ready = 1, .len = len, .data = malloc(len + 1)};
    if (!m->result.data)
        return machine_fail(m, "out of memory for a storage result");
    return guest_read(&m->mem, addr, m->result.data, len);
}

/* In on_live_restore the result is a buffer, for what the old build has handed over. */
static long give_state(struct machine *m, uint64_t addr, uint64_t len)
{
    struct restore *r = m->restore;
    if (len < r->len)
        return machine_fail(m, "storage_return: a buffer of %lu bytes for %lu",
                            (unsigned long)len, (unsigned long)r->len);
    if (guest_write(&m->mem, addr, r->data, r->len) < 0)
        return machine_fail(m, "storage_return: unwritable buffer");
    r->taken = 1;
    return 0;
}

long call_storage_return(struct host_call *c)
{
    struct machine *m = c->m;
    if (m->restore)
        return give_state(m, c->arg[0], c->arg[1]);
    if (take_result(m, c->arg[0], c->arg[1]) < 0)
        return -EPROTO;
    machine_clean_up(m);
    return 0;
}

long call_storage_noreturn(struct host_call *c)
{
    long ret = c->m->restore ? give_state(c->m, c->arg[0], c->arg[1])
                             : take_result(c->m, c->arg[0], c->arg[1]);
    if (ret < 0)
        return -EPROTO;
    c->stop = STOP_RETURNED;
    return 0;
}

long call_returned(struct host_call *c)
{
    if (c->m->booting || !home_runs(c->m))
        return machine_fail(c->m, "made the trampoline's call");
    c->m->returned[0] = c->arg[0];
    c->m->returned[1] = c->arg[2];
    c->stop = STOP_RETURNED;
    return 0;
}
