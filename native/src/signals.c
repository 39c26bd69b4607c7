/* signals.c: see signals.h. What is done here is what Linux does (signal(7)). */
#include "signals.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#define FIRST_REAL_TIME 32

enum signal_default signal_default(int signal)
{
    switch (signal) {
    case SIGCHLD:
    case SIGCONT:
    case SIGURG:
    case SIGWINCH:
        return SIGNAL_IGNORED;
    case SIGSTOP:
    case SIGTSTP:
    case SIGTTIN:
    case SIGTTOU:
        return SIGNAL_STOPS;
    default:
        return SIGNAL_ENDS;
    }
}

const char *signal_name(int signal)
{
    const char *name = sigabbrev_np(signal);
    return name ? name : "RT";
}

uint64_t signal_mask(uint64_t mask)
{
    return mask & ~(signal_bit(SIGKILL) | signal_bit(SIGSTOP));
}

int signal_handled(const struct signal_action *action)
{
    return action->handler != (uint64_t)(uintptr_t)SIG_DFL &&
           action->handler != (uint64_t)(uintptr_t)SIG_IGN;
}

int signal_ignored(const struct signal_action *action, int signal)
{
    if (action->handler == (uint64_t)(uintptr_t)SIG_DFL)
        return signal_default(signal) == SIGNAL_IGNORED;
    return action->handler == (uint64_t)(uintptr_t)SIG_IGN;
}

/* One of the first 31 is pending once, whoever has sent it how often. */
int signals_send(struct pending_signals *p, uint64_t mask,
                 const struct signal_action *action, const struct signal_info *info)
{
    uint64_t bit = signal_bit(info->signal);
    int once = info->signal < FIRST_REAL_TIME;
    if (!(mask & bit) && signal_ignored(action, info->signal))
        return 0;
    if (once && p->set & bit)
        return 0;
    if (p->queued < SIGNALS_QUEUED)
        p->queue[p->queued++] = *info;
    else if (!once && info->code != SI_USER)
        return -EAGAIN;
    p->set |= bit;
    return 0;
}

static int next_of(uint64_t set)
{
    const uint64_t first = signal_bit(SIGSEGV) | signal_bit(SIGBUS) |
                           signal_bit(SIGILL) | signal_bit(SIGTRAP) |
                           signal_bit(SIGFPE) | signal_bit(SIGSYS);
    return __builtin_ffsl((long)(set & first ? set & first : set));
}

/* The entry that was not used any more is zeros: equal states are equal bytes. */
static void drop(struct pending_signals *p, uint64_t at)
{
    p->queued--;
    memmove(p->queue + at, p->queue + at + 1, (p->queued - at) * sizeof(*p->queue));
    p->queue[p->queued] = (struct signal_info){0};
}

static uint64_t find(const struct pending_signals *p, int signal, uint64_t from)
{
    while (from < p->queued && p->queue[from].signal != signal)
        from++;
    return from;
}

int signals_take(struct pending_signals *p, uint64_t from, struct signal_info *info)
{
    int signal = next_of(p->set & from);
    if (!signal)
        return 0;
    uint64_t at = find(p, signal, 0);
    *info = (struct signal_info){.signal = signal};
    if (at < p->queued) {
        *info = p->queue[at];
        drop(p, at);
    }
    if (find(p, signal, at) == p->queued)
        p->set &= ~signal_bit(signal);
    return signal;
}

void signals_forget(struct pending_signals *p, int signal)
{
    for (uint64_t at; (at = find(p, signal, 0)) < p->queued;)
        drop(p, at);
    p->set &= ~signal_bit(signal);
}

int signals_on_stack(const struct thread_signals *t, uint64_t sp)
{
    return !(t->stack.flags & SS_AUTODISARM) && sp > t->stack.address &&
           sp - t->stack.address <= t->stack.size;
}

int signals_set_stack(struct thread_signals *t, const struct alt_stack *to, uint64_t sp)
{
    struct alt_stack s = {to->address, to->flags, 0, to->size};
    uint32_t mode = s.flags & ~SS_AUTODISARM;
    if (signals_on_stack(t, sp))
        return -EPERM;
    if (mode != 0 && mode != SS_ONSTACK && mode != SS_DISABLE)
        return -EINVAL;
    if (mode == SS_DISABLE)
        s.address = s.size = 0;
    else if (s.size < ALT_STACK_MIN)
        return -ENOMEM;
    t->stack = s;
    return 0;
}
