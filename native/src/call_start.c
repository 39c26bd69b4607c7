/* call_start.c: host calls of start-up, and those that ask about the machine. */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "hostcall.h"

#define LOG_MAX 65536

long call_register(struct host_call *c)
{
    struct machine *m = c->m;
    uint32_t idx = int_argument(c, 0);
    uint64_t function = c->arg[1];
    if (!m->booting)
        return machine_fail(m, "register_func after wait_for_requests");
    if (idx < ON_GET || idx > ON_LIVE_RESTORE)
        return machine_fail(m, "register_func: callback %u is not supported", idx);
    if (!guest_executable(&m->mem, function))
        return machine_fail(m, "register_func: 0x%lx is not a function of the program",
                            (unsigned long)function);
    m->facts->callback[idx] = function;
    return 0;
}

long call_allow(struct host_call *c)
{
    struct machine *m = c->m;
    if (!m->facts->is_storage)
        return 0;
    if (!m->booting)
        return machine_fail(m, "storage_allow after wait_for_requests");
    if (!guest_executable(&m->mem, c->arg[0]))
        return machine_fail(m, "storage_allow: 0x%lx is not a function of the program",
                            (unsigned long)c->arg[0]);
    if (m->facts->allow_count == ALLOW_MAX)
        return machine_fail(m, "storage_allow: more than %d functions", ALLOW_MAX);
    m->facts->allow[m->facts->allow_count++] = c->arg[0];
    return 0;
}

long call_is_storage(struct host_call *c)
{
    return c->m->facts->is_storage;
}

long call_shm(struct host_call *c)
{
    struct region shm = c->m->mem.layout.shm;
    int none = shm.begin == shm.end;
    c->rdx = none ? 0 : shm.end;
    return none ? 0 : (long)shm.begin;
}

long call_log(struct host_call *c)
{
    uint64_t len = c->arg[1] < LOG_MAX ? c->arg[1] : LOG_MAX;
    const uint8_t *text = guest_view(&c->m->mem, c->arg[0], len);
    if (!text)
        return machine_fail(c->m, "log: unreadable text");
    console_write(c->m->console, SKERRY_LINE_LOG, (const char *)text, len);
    if (len == 0 || text[len - 1] != '\n')
        console_write(c->m->console, SKERRY_LINE_LOG, "\n", 1);
    return (long)len;
}

/* The second argument is the size of the caller's struct: it may be an older one. */
long call_meminfo(struct host_call *c)
{
    struct machine *m = c->m;
    dirty_collect(&m->dirty);
    uint64_t now = machine_charge(m);
    if (now > m->reqmem_upper)
        m->reqmem_upper = now;
    struct meminfo info = {.max_memory = m->facts->max_memory,
                           .max_reqmem = m->facts->max_request_memory,
                           .reqmem_upper = m->reqmem_upper,
                           .reqmem_current = now};
    uint64_t len = c->arg[1] < sizeof(info) ? c->arg[1] : sizeof(info);
    if (guest_write(&m->mem, c->arg[0], &info, len) < 0)
        return machine_fail(m, "meminfo: unwritable memory");
    return (long)len;
}
