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

int machine_watch(struct machine *m, struct skerry_error *err)
{
    int ret = watch_add(&m->watch, m->vm.run);
    return ret < 0 ? skerry_refuse(err, -ret, "watchdog", "no thread for it") : 0;
}

struct kvm_api_exchange *machine_exchange(struct machine *m)
{
    return (struct kvm_api_exchange *)(void *)(m->mem.base + KVM_API_EXCHANGE_ADDRESS);
}

void machine_set_deadline(struct machine *m, uint64_t deadline)
{
    m->deadline = deadline;
    watch_begin(&m->watch, m->pause && m->pause < deadline ? m->pause : deadline);
}
