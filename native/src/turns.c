/* turns.c: see turns.h. */
#include "turns.h"

#include "net.h"
#include "swap.h"
#include "waiting.h"

#define SLICE_NS 4000000UL /* of one thread, while others can run */

static void tick_at(struct machine *m, uint64_t time)
{
    m->tick = time;
    m->vm.run->kvm_valid_regs |= KVM_SYNC_X86_EVENTS; /* which swap_can looks at */
    machine_set_deadline(m, m->deadline);
}

/* The one that runs is kicked when its time is over, or that of one who sleeps. A kick
 * that is due already stays so, or who wakes others all the time would never be. */
void turns_more(struct machine *m)
{
    uint64_t time = waiting_first_time(m->threads);
    if (waiting_others(m->threads) || m->net) {
        uint64_t slice = clock_now() + SLICE_NS;
        time = time && time < slice ? time : slice;
    }
    if (time && (!m->tick || time < m->tick))
        tick_at(m, time);
}

static int go_to(struct machine *m, uint32_t next)
{
    struct threads *t = m->threads;
    int ret = 0;
    if (next != t->current) {
        if (threads_current(t)->tid)
            ret = swap_out(m, t->current);
        if (ret == 0)
            ret = swap_in(m, next);
        t->current = next;
        t->changed = 1;
    }
    if (!threads_current(t)->again)
        threads_traced(m, (int64_t)vcpu_regs(&m->vm)->rax, 0);
    m->sleep = (struct sleep){0};
    m->tick = 0;
    turns_more(m);
    return ret;
}

int turns_next(struct machine *m)
{
    struct threads *t = m->threads;
    waiting_end_times(t, clock_now());
    const struct thread *next = waiting_next(t);
    if (next)
        return go_to(m, (uint32_t)(next - t->at));
    m->asleep = waiting_first_time(t);
    if (!m->asleep && (m->process->alarm.due || m->net))
        m->asleep = UINT64_MAX;
    if (!m->asleep)
        return machine_fail(m, "deadlock: all threads wait for each other");
    m->tick = 0;
    machine_set_deadline(m, m->deadline);
    return 0;
}

/* The call has no answer yet. */
static void make_again(struct machine *m)
{
    waiting_again(m->threads, threads_current(m->threads));
    swap_again(m);
    m->waits = 0;
}

void turns_before_call(struct machine *m)
{
    struct thread *one = threads_current(m->threads);
    if (!one->again)
        return;
    one->again = 0;
    threads_touch(m->threads, one);
}

/* A program that makes the stub's `out` itself goes on behind that, not behind a
 * `syscall`: KVM is still to step over it on some processors. */
int turns_after_call(struct machine *m)
{
    struct threads *t = m->threads;
    if (!m->waits)
        waiting_end_again(t);
    if ((m->asleep || m->waits) && !process_signals_due(m->process))
        turns_wait(m, 0, 0, m->asleep == UINT64_MAX ? 0 : m->asleep);
    if (!t->leaves)
        return 0;
    t->leaves = 0;
    m->asleep = 0;
    if (!swap_in_call(m))
        return machine_fail(m, "waits in a system call that it made without `syscall`");
    if (m->waits)
        make_again(m);
    return turns_next(m);
}

int turns_tick(struct machine *m)
{
    uint64_t now = clock_now();
    if (!m->tick || now < m->tick)
        return 0;
    if (!swap_can(m)) {
        tick_at(m, now); /* again, soon */
        return 0;
    }
    if (m->net && net_news(m->net))
        waiting_end_again(m->threads);
    waiting_last(m->threads, threads_current(m->threads));
    return turns_next(m);
}

void turns_begin(struct machine *m)
{
    if (m->threads->sleepers)
        waiting_thaw(m->threads, clock_now());
    if (!m->asleep)
        turns_more(m);
}

void turns_wait(struct machine *m, uint64_t futex, uint32_t bits, uint64_t until)
{
    waiting_begin(m->threads, threads_current(m->threads), futex, bits, until);
    m->threads->leaves = 1;
}

void turns_yield(struct machine *m)
{
    if (!waiting_others(m->threads))
        return;
    waiting_last(m->threads, threads_current(m->threads));
    m->threads->leaves = 1;
}

void turns_end(struct machine *m)
{
    struct thread *one = threads_current(m->threads);
    threads_traced(m, 0, 1);
    threads_touch(m->threads, one);
    one->tid = 0;
    m->threads->count--;
    m->threads->leaves = 1;
}

int turns_wake(struct machine *m, uint64_t futex, uint32_t bits, int most)
{
    struct thread *one;
    int woken = 0;
    if (!m->threads)
        return 0;
    while ((one = waiting_on(m->threads, futex, bits))) {
        waiting_end(m->threads, one);
        one->regs.rax = 0;
        if (++woken >= most)
            break;
    }
    if (woken)
        turns_more(m);
    return woken;
}
