/* sys_signal.c: signals are bookkeeping: nobody sends one but the program itself, and
 * one that would end it does. */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "syscall.h"
#include "threads.h"

#define SIGSET_BYTES 8
#define ALT_STACK_MIN 2048 /* the kernel's MINSIGSTKSZ */
#ifndef SS_AUTODISARM
#define SS_AUTODISARM (1u << 31)
#endif

static int ignored(const struct process *p, uint64_t signal)
{
    uint64_t handler = p->actions[signal].handler;
    int harmless = signal == SIGCHLD || signal == SIGCONT || signal == SIGURG ||
                   signal == SIGWINCH;
    return handler == (uint64_t)(uintptr_t)SIG_IGN || (handler == 0 && harmless);
}

static long send_signal(struct call *c, uint64_t signal)
{
    if (signal >= SIGNAL_COUNT)
        return -EINVAL;
    if (signal == 0 || ignored(c->m->process, signal))
        return 0;
    const char *name = sigabbrev_np((int)signal);
    c->ends = 1;
    return machine_fail(c->m, "ended itself with signal %d (SIG%s)", (int)signal,
                        name ? name : "RT");
}

long sys_kill(struct call *c)
{
    return c->arg[0] <= 1 ? send_signal(c, c->arg[1]) : -ESRCH;
}

static int is_thread(const struct call *c, uint64_t tid)
{
    const struct machine *m = c->m;
    return tid == threads_tid(m) ||
           (m->threads && threads_find(m->threads, (uint32_t)tid));
}

long sys_tkill(struct call *c)
{
    return is_thread(c, c->arg[0]) ? send_signal(c, c->arg[1]) : -ESRCH;
}

long sys_tgkill(struct call *c)
{
    if ((int)c->arg[0] <= 0 || (int)c->arg[1] <= 0)
        return -EINVAL;
    return c->arg[0] == 1 && is_thread(c, c->arg[1]) ? send_signal(c, c->arg[2])
                                                     : -ESRCH;
}

static int refuses_handler(uint64_t signal)
{
    return signal == 0 || signal >= SIGNAL_COUNT || signal == SIGKILL ||
           signal == SIGSTOP;
}

long sys_rt_sigaction(struct call *c)
{
    uint64_t signal = c->arg[0];
    struct signal_action action;
    if (signal == 0 || signal >= SIGNAL_COUNT || c->arg[3] != SIGSET_BYTES)
        return -EINVAL;
    struct signal_action *slot = &c->m->process->actions[signal];
    if (c->arg[1] && refuses_handler(signal))
        return -EINVAL;
    if (c->arg[1] && guest_read(&c->m->mem, c->arg[1], &action, sizeof(action)) < 0)
        return -EFAULT;
    if (c->arg[2] && guest_write(&c->m->mem, c->arg[2], slot, sizeof(*slot)) < 0)
        return -EFAULT;
    if (c->arg[1])
        *slot = action;
    return 0;
}

static long change_mask(uint64_t *mask, uint64_t how, uint64_t set)
{
    switch (how) {
    case SIG_BLOCK:
        *mask |= set;
        break;
    case SIG_UNBLOCK:
        *mask &= ~set;
        break;
    case SIG_SETMASK:
        *mask = set;
        break;
    default:
        return -EINVAL;
    }
    *mask &= ~(1UL << (SIGKILL - 1) | 1UL << (SIGSTOP - 1));
    return 0;
}

long sys_rt_sigprocmask(struct call *c)
{
    uint64_t *mask = &c->m->process->signal_mask, before = *mask, set = 0;
    if (c->arg[3] != SIGSET_BYTES)
        return -EINVAL;
    if (c->arg[1] && guest_read(&c->m->mem, c->arg[1], &set, sizeof(set)) < 0)
        return -EFAULT;
    long ret = c->arg[1] ? change_mask(mask, c->arg[0], set) : 0;
    if (ret < 0 || !c->arg[2])
        return ret;
    return guest_write(&c->m->mem, c->arg[2], &before, sizeof(before));
}

/* stack_t, kernel layout. */
struct alt_stack {
    uint64_t address;
    uint32_t flags, unused;
    uint64_t size;
};

static long check_stack(struct alt_stack *s)
{
    uint32_t mode = s->flags & ~SS_AUTODISARM;
    if (mode != 0 && mode != SS_ONSTACK && mode != SS_DISABLE)
        return -EINVAL;
    if (mode == SS_DISABLE)
        s->address = s->size = 0;
    return mode != SS_DISABLE && s->size < ALT_STACK_MIN ? -ENOMEM : 0;
}

long sys_sigaltstack(struct call *c)
{
    struct alt_stack set, was;
    memcpy(&was, c->m->process->alt_stack, sizeof(was));
    was.flags = was.size ? was.flags : SS_DISABLE;
    if (c->arg[0]) {
        if (guest_read(&c->m->mem, c->arg[0], &set, sizeof(set)) < 0)
            return -EFAULT;
        long ret = check_stack(&set);
        if (ret < 0)
            return ret;
        memcpy(c->m->process->alt_stack, &set, sizeof(set));
    }
    return c->arg[1] ? guest_write(&c->m->mem, c->arg[1], &was, sizeof(was)) : 0;
}
