/* deliver.c: see deliver.h. */
#include "deliver.h"

#include <signal.h>
#include <sys/ioctl.h>

#include "handler.h"
#include "sending.h"

int deliver_pending(struct machine *m)
{
    const uint64_t *mask = &handler_thread(m)->mask;
    struct kvm_regs r = handler_registers(m);
    struct signal_info info;
    int calls = 0;
    m->touched = 1;
    while (process_take_signal(m->process, ~*mask, &info)) {
        const struct signal_action *a = &m->process->actions[info.signal];
        if (signal_ignored(a, info.signal))
            continue;
        if (!signal_handled(a))
            return sending_ends(m, info.signal);
        sending_interrupts(m, &r, a->flags);
        if (handler_call(m, &r, &info) < 0)
            return machine_fail(m, "no stack for the handler of signal %d (SIG%s)",
                                info.signal, signal_name(info.signal));
        calls++;
    }
    if (calls)
        vcpu_resume(&m->vm, &r);
    return 0;
}

int deliver_alarm_due(const struct machine *m, uint64_t now)
{
    return m->process->alarm.due && now >= m->process->alarm.due;
}

/* Times that have passed meanwhile are one signal. */
int deliver_alarm(struct machine *m, uint64_t now)
{
    const struct signal_info info = {.signal = SIGALRM, .code = SI_KERNEL};
    struct alarm *a = &m->process->alarm;
    uint64_t missed = a->interval ? (now - a->due) / a->interval : 0;
    a->due = a->interval ? a->due + (missed + 1) * a->interval : 0;
    m->touched = 1;
    machine_set_deadline(m, m->deadline);
    return sending_to_program(m, &info);
}

int deliver_may_interrupt(struct machine *m)
{
    struct kvm_vcpu_events events;
    if (vcpu_regs(&m->vm)->rip < PROGRAM_LOW ||
        m->vm.run->s.regs.sregs.cs.selector != m->vm.sregs.cs.selector)
        return 0;
    return ioctl(m->vm.vcpu_fd, KVM_GET_VCPU_EVENTS, &events) == 0 &&
           !events.exception.injected && !events.exception.pending &&
           !events.interrupt.injected && !events.nmi.injected;
}

void deliver_wanted(struct machine *m)
{
    struct signal_info info;
    if (!process_take_signal(m->process, m->sleep.wanted, &info))
        return;
    long ret = sending_info(m, m->sleep.info_at, &info);
    vcpu_return(&m->vm, (uint64_t)ret, vcpu_regs(&m->vm)->rdx);
    threads_traced(m, ret, 0);
    machine_wake(m);
}
