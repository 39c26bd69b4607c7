/* run.c: see run.h. vCPU threads run hostile code from the moment they start: whatever
 * comes out of KVM_RUN is data from a stranger. */
#include "run.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

#include "deliver.h"
#include "exception.h"
#include "fault.h"
#include "handler.h"
#include "hostcall.h"
#include "net.h"
#include "stubs.h"
#include "syscall.h"
#include "turns.h"
#include "waiting.h"
#include "x86.h"

static int fail(struct machine *m, const char *why)
{
    machine_fail(m, "%s at 0x%lx", why, (unsigned long)vcpu_regs(&m->vm)->rip);
    return STOP_FAILED;
}

static int on_exception(struct machine *m, unsigned vector)
{
    struct exception_frame frame;
    memcpy(&frame, m->mem.base + EXCEPTION_FRAME_ADDR, sizeof(frame));
    if (vector == VECTOR_PAGE_FAULT && fault_answer(m, &frame))
        return m->reason[0] ? STOP_FAILED : GO_ON;
    if (exception_deliver(m, vector, &frame))
        return GO_ON;
    exception_fail(m, vector, &frame);
    return STOP_FAILED;
}

/* Signals are delivered on the way back to the program, unless that makes a call again.
 * A mask for the time of a wait that has ended without one is over. */
static int on_signals(struct machine *m)
{
    struct thread_signals *t = handler_thread(m);
    if (m->threads && threads_current(m->threads)->again)
        return GO_ON;
    if (m->sleep.wanted)
        deliver_wanted(m);
    if (process_signals_ready(m->process) && deliver_pending(m) < 0)
        return STOP_FAILED;
    if (t->has_saved && !m->asleep && !m->waits) {
        t->mask = t->saved_mask;
        t->has_saved = t->saved_mask = 0;
    }
    return GO_ON;
}

/* All threads have slept: who can run does. */
static int wake_threads(struct machine *m)
{
    m->asleep = 0;
    if (turns_next(m) < 0)
        return STOP_FAILED;
    return m->asleep ? GO_ON : on_signals(m);
}

/* The alarm, if it is due, ends a wait, which may be that of another thread. */
static int on_alarm(struct machine *m)
{
    uint64_t now = clock_now();
    if (!deliver_alarm_due(m, now))
        return GO_ON;
    if (deliver_alarm(m, now) < 0)
        return STOP_FAILED;
    if (m->threads && m->asleep)
        return wake_threads(m);
    if (!m->waits)
        return on_signals(m);
    m->asleep = 0; /* the call sees, when it is made again */
    return GO_ON;
}

/* The host has got memory for the program's pipes and files without a name. */
static int on_growth(struct machine *m)
{
    m->objects.grown = 0;
    return m->booting || m->facts->is_storage ? 0 : machine_check_memory(m);
}

static int on_syscall(struct machine *m)
{
    if (syscall_answer(m) < 0 || (m->objects.grown && on_growth(m) < 0) ||
        on_signals(m) == STOP_FAILED)
        return STOP_FAILED;
    return m->process->alarm.due ? on_alarm(m) : GO_ON;
}

static int on_io(struct machine *m)
{
    const struct kvm_run *run = m->vm.run;
    unsigned port = run->io.port, size = run->io.size;
    if (run->io.direction == KVM_EXIT_IO_OUT && run->io.count == 1) {
        if (port == PORT_HOST_CALL && size == 4)
            return hostcall(m);
        if (port == PORT_SYSCALL && size == 1)
            return on_syscall(m);
        if (port >= PORT_EXCEPTION && port < PORT_EXCEPTION + VECTOR_COUNT)
            return on_exception(m, port - PORT_EXCEPTION);
    }
    machine_fail(m, "used port 0x%x", port);
    if (run->io.direction == KVM_EXIT_IO_IN) {
        m->exits++;
        vm_complete_io(&m->vm); /* on_error could not be called before */
    }
    return STOP_FAILED;
}

int machine_check_memory(struct machine *m)
{
    if (machine_charge(m) <= m->facts->max_request_memory)
        return 0;
    return machine_fail(m, "wrote more than max_request_memory (%lu MB)",
                        (unsigned long)(m->facts->max_request_memory >> 20));
}

/* The vCPU has reported so many pages that it waits for us to take them. */
static int on_ring_full(struct machine *m)
{
    dirty_collect(&m->dirty);
    if (m->dirty.failed || vm_rearm_dirty(&m->vm) < 0)
        return fail(m, "out of memory for the dirty list");
    if (!m->facts->is_storage && machine_check_memory(m) < 0)
        return STOP_FAILED;
    return GO_ON;
}

/* A signal came: ours or another. */
static int on_signal(struct machine *m, uint64_t pause)
{
    m->vm.run->immediate_exit = 0;
    uint64_t now = clock_now();
    if (m->look && now >= m->look)
        machine_look(m, now);
    if (now >= m->deadline) {
        machine_fail(m, "time limit reached");
        return STOP_FAILED;
    }
    return pause && now >= pause ? STOP_BUSY : GO_ON;
}

/* The same while the program ran: it may be that another thread has its turn, or that
 * there are signals. If this is no place for them, the watchdog comes again. */
static int on_kick(struct machine *m, uint64_t pause)
{
    int stop = on_signal(m, pause);
    if (stop == STOP_FAILED || (m->tick && turns_tick(m) < 0))
        return STOP_FAILED;
    int due = deliver_alarm_due(m, clock_now());
    if ((due || process_signals_ready(m->process)) && deliver_may_interrupt(m) &&
        (due ? on_alarm(m) : on_signals(m)) == STOP_FAILED)
        return STOP_FAILED;
    return stop;
}

static int on_exit(struct machine *m)
{
    switch (m->vm.run->exit_reason) {
    case KVM_EXIT_IO:
        return on_io(m);
    case KVM_EXIT_DIRTY_RING_FULL:
        return on_ring_full(m);
    case KVM_EXIT_SHUTDOWN:
        return fail(m, "triple fault");
    case KVM_EXIT_HLT:
        return fail(m, "halted");
    default:
        machine_fail(m, "KVM exit %u at 0x%lx", m->vm.run->exit_reason,
                     (unsigned long)vcpu_regs(&m->vm)->rip);
        return STOP_FAILED;
    }
}

static int enter(struct machine *m, uint64_t pause)
{
    if (m->stale_tables && machine_forget_tables(m) < 0)
        return STOP_FAILED;
    m->exits++;
    int ret = ioctl(m->vm.vcpu_fd, KVM_RUN, 0);
    int error = errno;
    m->vm.run->kvm_dirty_regs = 0;
    if (ret == 0)
        return on_exit(m);
    if (error == EINTR || error == EAGAIN)
        return on_kick(m, pause);
    machine_fail(m, "KVM_RUN: %s", strerror(error));
    return STOP_FAILED;
}

static struct timespec timespec_of(uint64_t ns)
{
    return (struct timespec){.tv_sec = (time_t)(ns / 1000000000UL),
                             .tv_nsec = (long)(ns % 1000000000UL)};
}

/* Waits for connections. Nothing of the host waits meanwhile, but for a piece of a
 * body, which is made on a thread that may. */
static int wait_outside(struct machine *m, uint64_t pause)
{
    int stop = on_signal(m, 0);
    if (stop != GO_ON)
        return stop;
    if (deliver_alarm_due(m, clock_now()))
        return on_alarm(m);
    int news = net_news(m->net);
    if (!news && clock_now() < m->asleep) {
        if (!m->exchange.stream.in_piece)
            return STOP_OUTSIDE;
        if (pause)
            return STOP_BUSY;
        net_wait(m->net, machine_wakes_at(m));
        return GO_ON;
    }
    if (news && m->threads)
        waiting_end_again(m->threads);
    if (m->threads)
        return wake_threads(m);
    machine_wake(m);
    return GO_ON;
}

/* Sleeps in the program's place; a kick ends it as it ends KVM_RUN, and so does an
 * alarm. */
static int sleep_on(struct machine *m, uint64_t pause)
{
    const uint64_t alarm = m->process->alarm.due;
    int until_alarm = alarm && alarm < m->asleep;
    const struct timespec until = timespec_of(until_alarm ? alarm : m->asleep);
    int ret = clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
    /* Alarms in the past come without a sleep, so that a kick can be missed. */
    int stop = ret == EINTR || until_alarm ? on_signal(m, pause) : GO_ON;
    if (stop != GO_ON)
        return stop;
    if (ret == EINTR || until_alarm)
        return on_alarm(m);
    if (m->threads)
        return wake_threads(m);
    if (!m->waits)
        threads_traced(m, (int64_t)vcpu_regs(&m->vm)->rax, 0);
    machine_wake(m);
    return GO_ON;
}

/* Makes the host call again that was interrupted; it has changed nothing. Where it had
 * to be left for a while, or for a look, it now goes on to its end, or it would never
 * come to that. Other threads have their turn behind it. */
static int make_again(struct machine *m, uint64_t pause)
{
    uint64_t look = m->look;
    int stop = on_signal(m, pause);
    int to_the_end = m->again == AGAIN_TO_THE_END || m->look != look;
    m->again = stop == STOP_BUSY ? AGAIN_TO_THE_END : AGAIN_NOT;
    if (stop != GO_ON)
        return stop;
    uint64_t tick = m->tick;
    m->tick = 0;
    machine_set_deadline(m, m->deadline);
    if (to_the_end)
        watch_begin(&m->watch, m->deadline);
    stop = hostcall(m);
    m->tick = tick;
    machine_set_deadline(m, m->deadline);
    return stop;
}

static int go_on(struct machine *m, uint64_t pause)
{
    if (m->again)
        return make_again(m, pause);
    if (m->asleep && m->net && (m->waits || m->threads))
        return wait_outside(m, pause);
    if (m->asleep)
        return sleep_on(m, pause);
    if (m->waits)
        return on_syscall(m);
    return enter(m, pause);
}

enum stop machine_run(struct machine *m, uint64_t pause)
{
    int stop;
    m->pause = pause;
    machine_set_deadline(m, m->deadline);
    if (m->threads)
        turns_begin(m);
    do {
        stop = go_on(m, pause);
    } while (stop == GO_ON);
    watch_end(&m->watch);
    if (stop == STOP_FAILED) {
        machine_wake(m);
        machine_answered(m);
        if (m->trace)
            trace_leave_all(m->trace, &m->mem);
    }
    return (enum stop)stop;
}
