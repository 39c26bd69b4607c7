/* call_tasks.c: host calls about tasks of storage, and what is asked for in them. */
#include <errno.h>

#include "hostcall.h"

_Static_assert(TASK_DATA_MAX == KVM_API_MAX_TASK_DATA, "as the header says");

#define MS 1000000UL
#define LATEST_MS 1000000000000UL /* 31 years: later is as late */
#define BUFFERS_ROOM (KVM_API_MAX_BUFFERS * sizeof(struct guest_buffer))

static uint64_t from_ms(uint64_t ms)
{
    return (ms < LATEST_MS ? ms : LATEST_MS) * MS;
}

long call_take_order(struct machine *m, struct task_order *o)
{
    const struct kvm_regs *r = vcpu_regs(&m->vm);
    struct region inbox = m->mem.layout.inbox;
    *o = (struct task_order){.number = (uint32_t)r->rax};
    if (o->number == KVM_API_STOP_STORAGE_TASK) {
        o->id = (int64_t)r->rdi;
        return 0;
    }
    o->function = r->rdi;
    o->data = r->rsi;
    o->len = r->rdx;
    o->start_ns = from_ms(r->rcx);
    o->period_ns = from_ms(r->r8);
    if (o->len > TASK_DATA_MAX || o->len > inbox.end - inbox.begin - BUFFERS_ROOM)
        return -E2BIG;
    if (!guest_view(&m->mem, o->data, o->len))
        return machine_fail(m, "storage task: unreadable argument");
    return 0;
}

/* Storage's own orders are noted in its table, and hold if its call ends well. */
static long note(struct machine *m, const struct task_order *o)
{
    if (!m->tasks && !(m->tasks = tasks_open()))
        return -ENOMEM;
    if (o->number == KVM_API_STOP_STORAGE_TASK)
        return tasks_stop(m->tasks, o->id, 0);
    return tasks_add(m->tasks, o, guest_view(&m->mem, o->data, o->len), TASK_PLANNED);
}

/* Those of requests are answered by whoever runs the machine, as storage calls are. */
long call_task(struct host_call *c)
{
    struct task_order order;
    if (!c->m->facts->is_storage) {
        c->stop = STOP_STORAGE;
        return 0;
    }
    long ret = call_take_order(c->m, &order);
    return ret < 0 ? ret : note(c->m, &order);
}
