/* sys_await.c: a program waits for a signal, or orders one for later. */
#include <errno.h>
#include <signal.h>
#include <sys/time.h>

#include "handler.h"
#include "sending.h"
#include "syscall.h"

#define SIGSET_BYTES 8
#define SECOND 1000000000UL
#define LATEST 1000000UL /* seconds: no deadline is as late */

/* Sleeps until a handler has been called, which makes (EINTR) of it. */
long sys_pause(struct call *c)
{
    sleep_until_signal(c);
    return -EINTR;
}

long sys_rt_sigsuspend(struct call *c)
{
    struct thread_signals *t = handler_thread(c->m);
    uint64_t mask;
    if (c->arg[1] != SIGSET_BYTES)
        return -EINVAL;
    if (guest_read(&c->m->mem, c->arg[0], &mask, sizeof(mask)) < 0)
        return -EFAULT;
    t->saved_mask = t->mask;
    t->has_saved = 1;
    t->mask = signal_mask(mask);
    return sys_pause(c);
}

/* One that is pending, or -EAGAIN. */
static long take_pending(struct call *c, uint64_t wanted)
{
    struct signal_info info;
    if (!process_take_signal(c->m->process, wanted, &info))
        return -EAGAIN;
    return sending_info(c->m, c->arg[1], &info);
}

/* Signals that are waited for are usually blocked; otherwise a handler comes first. */
long sys_rt_sigtimedwait(struct call *c)
{
    uint64_t wanted;
    if (c->arg[3] != SIGSET_BYTES)
        return -EINVAL;
    if (guest_read(&c->m->mem, c->arg[0], &wanted, sizeof(wanted)) < 0)
        return -EFAULT;
    wanted = signal_mask(wanted);
    long ret = c->arg[2] ? sleep_for(c, CLOCK_MONOTONIC, 0, c->arg[2]) : 0;
    if (ret < 0)
        return ret;
    if (!c->arg[2])
        sleep_until_signal(c);
    ret = take_pending(c, wanted);
    if (ret != -EAGAIN)
        machine_wake(c->m);
    else if (c->m->asleep)
        c->m->sleep = (struct sleep){.wanted = wanted, .info_at = c->arg[1]};
    return ret;
}

static uint64_t from_timeval(const struct timeval *t)
{
    uint64_t seconds = (uint64_t)t->tv_sec < LATEST ? (uint64_t)t->tv_sec : LATEST;
    return seconds * SECOND + (uint64_t)t->tv_usec * 1000;
}

static struct timeval to_timeval(uint64_t ns)
{
    return (struct timeval){.tv_sec = (time_t)(ns / SECOND),
                            .tv_usec = (suseconds_t)(ns % SECOND / 1000)};
}

/* What is left of the alarm; never nothing, as then it has not been sent. */
static uint64_t left(const struct alarm *a)
{
    uint64_t now = clock_now();
    if (!a->due)
        return 0;
    return a->due > now + 1000 ? a->due - now : 1000;
}

static void set_alarm(struct machine *m, uint64_t ns, uint64_t interval)
{
    m->process->alarm = (struct alarm){ns ? clock_now() + ns : 0, interval};
    machine_set_deadline(m, m->deadline);
}

/* Seconds that are left, rounded; at least one, if any. */
long sys_alarm(struct call *c)
{
    uint64_t before = left(&c->m->process->alarm);
    uint64_t seconds = (uint32_t)c->arg[0];
    set_alarm(c->m, (seconds < LATEST ? seconds : LATEST) * SECOND, 0);
    uint64_t rounded = (before + SECOND / 2) / SECOND;
    return before && !rounded ? 1 : (long)rounded;
}

static long give_alarm(struct call *c, uint64_t addr)
{
    const struct alarm *a = &c->m->process->alarm;
    const struct itimerval now = {to_timeval(a->interval), to_timeval(left(a))};
    return guest_write(&c->m->mem, addr, &now, sizeof(now));
}

/* Timers of the other kinds never run. */
long sys_getitimer(struct call *c)
{
    if ((int)c->arg[0] == ITIMER_REAL)
        return give_alarm(c, c->arg[1]);
    if ((uint32_t)c->arg[0] > ITIMER_PROF)
        return -EINVAL;
    return guest_zero(&c->m->mem, c->arg[1], sizeof(struct itimerval));
}

static int valid(const struct timeval *t)
{
    return t->tv_sec >= 0 && t->tv_usec >= 0 && t->tv_usec < 1000000;
}

/* Only time on the wall counts here: what a guest uses of a CPU is not measured. */
long sys_setitimer(struct call *c)
{
    struct itimerval set = {0};
    if ((int)c->arg[0] != ITIMER_REAL)
        return -EINVAL;
    if (c->arg[1] && guest_read(&c->m->mem, c->arg[1], &set, sizeof(set)) < 0)
        return -EFAULT;
    if (!valid(&set.it_interval) || !valid(&set.it_value))
        return -EINVAL;
    long ret = c->arg[2] ? give_alarm(c, c->arg[2]) : 0;
    set_alarm(c->m, from_timeval(&set.it_value), from_timeval(&set.it_interval));
    return ret;
}
