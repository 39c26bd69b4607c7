/* sys_signal.c: what a program does with its signals: handlers, mask, stack. */
#include <errno.h>
#include <signal.h>

#include "handler.h"
#include "sending.h"
#include "syscall.h"

#define SIGSET_BYTES 8
#ifndef SA_RESTORER
#define SA_RESTORER 0x04000000
#endif
#define SA_EXPOSE_TAGBITS 0x00000800

/* What Linux keeps of the flags: a program asks by setting and reading them. */
#define FLAGS_KNOWN                                                                    \
    ((uint32_t)(SA_NOCLDSTOP | SA_NOCLDWAIT | SA_SIGINFO | SA_EXPOSE_TAGBITS |         \
                SA_ONSTACK | SA_RESTART | SA_NODEFER | SA_RESETHAND | SA_RESTORER))

static int refuses_handler(uint64_t signal)
{
    return signal == SIGKILL || signal == SIGSTOP;
}

static void set_action(struct machine *m, int signal, const struct signal_action *to)
{
    struct process *p = m->process;
    p->actions[signal] = *to;
    p->actions[signal].flags &= FLAGS_KNOWN;
    p->actions[signal].mask = signal_mask(to->mask);
    if (signal_ignored(to, signal))
        sending_forget(m, signal);
}

long sys_rt_sigaction(struct call *c)
{
    uint32_t signal = (uint32_t)c->arg[0];
    struct signal_action action;
    if (signal == 0 || signal >= SIGNAL_COUNT || c->arg[3] != SIGSET_BYTES)
        return -EINVAL;
    const struct signal_action before = c->m->process->actions[signal];
    if (c->arg[1] && refuses_handler(signal))
        return -EINVAL;
    if (c->arg[1] && guest_read(&c->m->mem, c->arg[1], &action, sizeof(action)) < 0)
        return -EFAULT;
    if (c->arg[1])
        set_action(c->m, (int)signal, &action);
    if (c->arg[2] && guest_write(&c->m->mem, c->arg[2], &before, sizeof(before)) < 0)
        return -EFAULT;
    return 0;
}

static long change_mask(uint64_t *mask, uint64_t how, uint64_t set)
{
    switch ((int)how) {
    case SIG_BLOCK:
        *mask |= signal_mask(set);
        return 0;
    case SIG_UNBLOCK:
        *mask &= ~set;
        return 0;
    case SIG_SETMASK:
        *mask = signal_mask(set);
        return 0;
    default:
        return -EINVAL;
    }
}

long sys_rt_sigprocmask(struct call *c)
{
    uint64_t *mask = &handler_thread(c->m)->mask, before = *mask, set = 0;
    if (c->arg[3] != SIGSET_BYTES)
        return -EINVAL;
    if (c->arg[1] && guest_read(&c->m->mem, c->arg[1], &set, sizeof(set)) < 0)
        return -EFAULT;
    long ret = c->arg[1] ? change_mask(mask, c->arg[0], set) : 0;
    if (ret < 0 || !c->arg[2])
        return ret;
    return guest_write(&c->m->mem, c->arg[2], &before, sizeof(before));
}

long sys_rt_sigpending(struct call *c)
{
    const struct process *p = c->m->process;
    uint64_t set = (p->signals.pending.set | p->shared.set) & p->signals.mask;
    if (c->arg[1] > SIGSET_BYTES)
        return -EINVAL;
    return guest_write(&c->m->mem, c->arg[0], &set, c->arg[1]);
}

long sys_rt_sigreturn(struct call *c)
{
    return handler_return(c->m, &c->ends);
}

/* What sigaltstack() answers to be told. */
static struct alt_stack stack_now(const struct thread_signals *t, uint64_t rsp)
{
    struct alt_stack now = t->stack;
    uint32_t mode = signals_on_stack(t, rsp) ? SS_ONSTACK : 0;
    now.flags = (now.size ? mode : SS_DISABLE) | (now.flags & SS_AUTODISARM);
    return now;
}

long sys_sigaltstack(struct call *c)
{
    struct thread_signals *t = handler_thread(c->m);
    uint64_t rsp = vcpu_regs(&c->m->vm)->rsp;
    struct alt_stack set, was = stack_now(t, rsp);
    if (c->arg[0] && guest_read(&c->m->mem, c->arg[0], &set, sizeof(set)) < 0)
        return -EFAULT;
    long ret = c->arg[0] ? signals_set_stack(t, &set, rsp) : 0;
    if (ret < 0 || !c->arg[1])
        return ret;
    return guest_write(&c->m->mem, c->arg[1], &was, sizeof(was));
}
