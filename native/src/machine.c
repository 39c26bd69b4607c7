/* machine.c: see machine.h. */
#include "machine.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

int machine_fail(struct machine *m, const char *fmt, ...)
{
    if (!m->reason[0]) {
        va_list args;
        va_start(args, fmt);
        vsnprintf(m->reason, sizeof(m->reason), fmt, args);
        va_end(args);
    }
    return -EPROTO;
}

void machine_wire(struct machine *m)
{
    m->mem.space = &m->space;
    m->mem.frames = &m->process->arena;
    m->mem.bounce = &m->bounce;
}

int machine_forget_tables(struct machine *m)
{
    m->stale_tables = 0;
    dirty_collect(&m->dirty);
    if (vm_forget_tables(&m->vm, &m->mem) < 0)
        return machine_fail(m, "KVM does not take the page tables back");
    return 0;
}

void machine_begin_call(struct machine *m)
{
    if (m->bounce.first)
        bounce_drop(&m->mem);
}

int machine_end_call(struct machine *m)
{
    if (m->bounce.first)
        bounce_settle(&m->mem);
    if (!m->space.exhausted)
        return 0;
    m->space.exhausted = 0;
    m->reason[0] = 0; /* that something cannot be read is not why */
    return machine_fail(m, "out of memory: all of max_memory (%lu MB) is in use",
                        (unsigned long)(m->facts->max_memory >> 20));
}

uint64_t machine_charge(const struct machine *m)
{
    return dirty_charge(&m->dirty) + objects_charge(&m->objects);
}

int machine_watch(struct machine *m, struct skerry_error *err)
{
    int ret = watch_add(&m->watch, m->vm.run);
    return ret < 0 ? skerry_refuse(err, -ret, "watchdog", "no thread for it") : 0;
}

struct kvm_api_exchange *machine_exchange(struct machine *m)
{
    return (struct kvm_api_exchange *)(void *)(m->mem.base + KVM_API_EXCHANGE_ADDRESS);
}

static uint64_t earlier(uint64_t time, uint64_t other)
{
    return other && other < time ? other : time;
}

void machine_set_deadline(struct machine *m, uint64_t deadline)
{
    m->deadline = deadline;
    uint64_t first = earlier(earlier(deadline, m->pause), m->look);
    first = earlier(first, m->process->alarm.due);
    watch_begin(&m->watch, earlier(first, m->tick));
}

uint64_t machine_wakes_at(const struct machine *m)
{
    return earlier(earlier(m->deadline, m->asleep), m->process->alarm.due);
}

void machine_wake(struct machine *m)
{
    m->asleep = 0;
    m->sleep = (struct sleep){0};
}

void machine_answered(struct machine *m)
{
    m->waits = 0;
    m->wait_until = 0;
}

void machine_clean_up(struct machine *m)
{
    if (!m->look)
        return;
    m->look = 0;
    machine_set_deadline(m, earlier(m->deadline, clock_now() + MACHINE_CLEAN_UP_NS));
}

void machine_look(struct machine *m, uint64_t now)
{
    if (machine_exchange(m)->result_ready) {
        machine_clean_up(m);
        return;
    }
    m->look = now + MACHINE_CLEAN_UP_NS;
    machine_set_deadline(m, m->deadline);
}
