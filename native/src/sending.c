/* sending.c: see sending.h. Which thread, and which calls are made again: signal(7). */
#include "sending.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "swap.h"
#include "turns.h"
#include "waiting.h"

#define SIGINFO_BYTES 128 /* of a siginfo_t */
#define ERESTARTSYS 512   /* as Linux tells who traces a call that is made again */

/* --- What threads have, whether they run or not --- */

static int runs(const struct machine *m, const struct thread *one)
{
    return !m->threads || one == threads_current(m->threads);
}

static struct thread_signals *signals_of(struct machine *m, struct thread *one)
{
    return runs(m, one) ? &m->process->signals : &one->signals;
}

static const struct sleep *sleep_of(const struct machine *m, const struct thread *one)
{
    return runs(m, one) ? &m->sleep : &one->sleep;
}

/* --- What a wait ends with --- */

/* 0 or -EFAULT. */
static long tell_left(struct machine *m, uint64_t addr, uint64_t until)
{
    uint64_t now = clock_now(), left = until > now ? until - now : 0;
    const uint64_t time[2] = {left / 1000000000UL, left % 1000000000UL};
    return guest_write(&m->mem, addr, time, sizeof(time));
}

/* (r) are behind a system call with (s), which has waited till (until). Returns what
 * who traces it is told. */
static long end_call(struct machine *m, struct kvm_regs *r, const struct sleep *s,
                     uint64_t until, uint64_t flags)
{
    if (s->restart && (s->always || flags & SA_RESTART)) {
        r->rip -= SYSCALL_BYTES;
        r->rax = s->restart - 1;
        return -ERESTARTSYS;
    }
    long ret = s->left_at ? tell_left(m, s->left_at, until) : 0;
    r->rax = (unsigned long long)(ret < 0 ? ret : -EINTR);
    return (long)r->rax;
}

void sending_interrupts(struct machine *m, struct kvm_regs *r, uint64_t flags)
{
    if (!m->asleep && !m->waits)
        return;
    threads_traced(m, end_call(m, r, &m->sleep, m->asleep, flags), 0);
    machine_wake(m);
    machine_answered(m);
}

long sending_info(struct machine *m, uint64_t addr, const struct signal_info *info)
{
    uint8_t bytes[SIGINFO_BYTES] = {0};
    memcpy(bytes, info, sizeof(*info));
    if (addr && guest_write(&m->mem, addr, bytes, sizeof(bytes)) < 0)
        return -EFAULT;
    return info->signal;
}

static void go_on(struct machine *m, struct thread *one)
{
    waiting_end(m->threads, one);
    turns_more(m);
}

/* (one) waits for (signal) itself, or its handler with (flags) ends its wait. A call
 * that is made again finds the signal, unless it has an answer now. */
static void rouse(struct machine *m, struct thread *one, int signal, uint64_t flags)
{
    const struct sleep s = *sleep_of(m, one);
    struct signal_info info;
    if (one->again) {
        go_on(m, one);
        return;
    }
    struct kvm_regs *r = swap_registers(m, one);
    long answer;
    if (s.wanted & signal_bit(signal)) {
        signals_take(&signals_of(m, one)->pending, signal_bit(signal), &info);
        answer = sending_info(m, s.info_at, &info);
        r->rax = (unsigned long long)answer;
    } else {
        answer = end_call(m, r, &s, one->until, flags);
    }
    if (m->trace)
        trace_leave(m->trace, &m->mem, one->tid, answer, 0);
    go_on(m, one);
}

/* --- To whom --- */

int sending_ends(struct machine *m, int signal)
{
    const char *what = signal_default(signal) == SIGNAL_STOPS ? "stopped" : "ended";
    return machine_fail(m, "%s itself with signal %d (SIG%s)", what, signal,
                        signal_name(signal));
}

/* Tells if (one) waits for (signal) itself. */
static int wants(const struct machine *m, const struct thread *one, int signal)
{
    return one && one->waits && sleep_of(m, one)->wanted & signal_bit(signal) ? 1 : 0;
}

/* A thread that runs looks at its signals behind its system call. */
static int give(struct machine *m, struct thread *one, const struct signal_info *info)
{
    struct thread_signals *t = signals_of(m, one);
    const struct signal_action *a = &m->process->actions[info->signal];
    const uint64_t bit = signal_bit(info->signal);
    int ret = signals_send(&t->pending, t->mask, a, info);
    m->touched = 1;
    if (ret < 0 || !m->threads || !(t->pending.set & bit))
        return ret;
    threads_touch(m->threads, one);
    if (runs(m, one) && !one->waits)
        return 0;
    int wanted = wants(m, one, info->signal);
    if (!wanted && t->mask & bit)
        return 0;
    if (!wanted && !signal_handled(a))
        return sending_ends(m, info->signal);
    if (one->waits)
        rouse(m, one, info->signal, a->flags);
    return 0;
}

static struct thread *running(const struct machine *m)
{
    return m->threads ? threads_current(m->threads) : NULL;
}

int sending_to_itself(struct machine *m, const struct signal_info *info)
{
    return give(m, running(m), info);
}

int sending_to(struct machine *m, uint32_t tid, const struct signal_info *info)
{
    return give(m, m->threads ? threads_find(m->threads, tid) : NULL, info);
}

static int takes(struct machine *m, struct thread *one, int signal)
{
    return !(signals_of(m, one)->mask & signal_bit(signal)) || wants(m, one, signal);
}

/* Linux asks the first thread first. NULL: all of them block it. */
static struct thread *taker(struct machine *m, int signal)
{
    struct threads *t = m->threads;
    struct thread *first = threads_find(t, FIRST_TID);
    if (first && takes(m, first, signal))
        return first;
    for (struct thread *one = t->at; one < t->at + THREADS; one++)
        if (one->tid && takes(m, one, signal))
            return one;
    return NULL;
}

int sending_to_program(struct machine *m, const struct signal_info *info)
{
    struct thread *one = m->threads ? taker(m, info->signal) : NULL;
    if (one || (!m->threads && takes(m, NULL, info->signal)))
        return give(m, one, info);
    m->touched = 1;
    return signals_send(&m->process->shared, ~0UL, &m->process->actions[info->signal],
                        info);
}

void sending_forget(struct machine *m, int signal)
{
    struct threads *t = m->threads;
    signals_forget(&m->process->signals.pending, signal);
    signals_forget(&m->process->shared, signal);
    for (uint32_t i = 0; t && i < THREADS; i++)
        if (t->at[i].tid && t->at[i].signals.pending.set & signal_bit(signal)) {
            signals_forget(&t->at[i].signals.pending, signal);
            threads_touch(t, &t->at[i]);
        }
}
