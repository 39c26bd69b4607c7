/* sys_time.c: clocks and sleep. */
#include <errno.h>
#include <sys/time.h>
#include <time.h>

#include "syscall.h"

#define CLOCK_LAST CLOCK_TAI

static long give_clock(struct call *c, int (*get)(clockid_t, struct timespec *))
{
    struct timespec t;
    if (c->arg[0] > CLOCK_LAST || get((clockid_t)c->arg[0], &t) < 0)
        return -EINVAL;
    return c->arg[1] ? guest_write(&c->m->mem, c->arg[1], &t, sizeof(t)) : 0;
}

long sys_clock_gettime(struct call *c)
{
    return give_clock(c, clock_gettime);
}

long sys_clock_getres(struct call *c)
{
    return give_clock(c, clock_getres);
}

long sys_gettimeofday(struct call *c)
{
    struct timeval tv;
    gettimeofday(&tv, NULL);
    if (c->arg[1] && guest_zero(&c->m->mem, c->arg[1], sizeof(struct timezone)) < 0)
        return -EFAULT;
    return c->arg[0] ? guest_write(&c->m->mem, c->arg[0], &tv, sizeof(tv)) : 0;
}

long sys_time(struct call *c)
{
    time_t now = time(NULL);
    if (c->arg[0] && guest_write(&c->m->mem, c->arg[0], &now, sizeof(now)) < 0)
        return -EFAULT;
    return now;
}

static int valid(const struct timespec *t)
{
    return t->tv_sec >= 0 && t->tv_nsec >= 0 && t->tv_nsec < 1000000000L;
}

#define SLEEP_MAX 1000000L /* seconds: no deadline is as late */

static uint64_t duration(const struct timespec *t)
{
    int64_t seconds = t->tv_sec < SLEEP_MAX ? t->tv_sec : SLEEP_MAX;
    return (uint64_t)(seconds * 1000000000L + t->tv_nsec);
}

/* Nanoseconds from now, on (clock), to (t). */
static uint64_t time_left(clockid_t clock, const struct timespec *t)
{
    struct timespec now;
    clock_gettime(clock, &now);
    if (t->tv_sec < now.tv_sec ||
        (t->tv_sec == now.tv_sec && t->tv_nsec <= now.tv_nsec))
        return 0;
    int borrow = t->tv_nsec < now.tv_nsec;
    return duration(
        &(struct timespec){.tv_sec = t->tv_sec - now.tv_sec - borrow,
                           .tv_nsec = t->tv_nsec - now.tv_nsec + borrow * 1000000000L});
}

/* 0 for a clock to sleep by; -EOPNOTSUPP for another that there is; -EINVAL. */
static long check_clock(clockid_t clock)
{
    switch (clock) {
    case CLOCK_REALTIME:
    case CLOCK_MONOTONIC:
    case CLOCK_BOOTTIME:
    case CLOCK_TAI:
        return 0;
    case CLOCK_THREAD_CPUTIME_ID:
    case CLOCK_MONOTONIC_RAW:
    case CLOCK_REALTIME_COARSE:
    case CLOCK_MONOTONIC_COARSE:
        return -EOPNOTSUPP;
    default:
        return -EINVAL;
    }
}

long time_until(const struct guestmem *mem, clockid_t clock, int absolute,
                uint64_t addr, uint64_t *until)
{
    struct timespec t;
    long ret = check_clock(clock);
    if (ret < 0)
        return ret;
    if (guest_read(mem, addr, &t, sizeof(t)) < 0)
        return -EFAULT;
    if (!valid(&t))
        return -EINVAL;
    *until = clock_now() + (absolute ? time_left(clock, &t) : duration(&t));
    return 0;
}

/* The machine sleeps when it runs next: nobody waits for it here. */
long sleep_for(struct call *c, clockid_t clock, int absolute, uint64_t addr)
{
    uint64_t until;
    long ret = time_until(&c->m->mem, clock, absolute, addr, &until);
    if (ret < 0)
        return ret;
    machine_wake(c->m);
    if (until > clock_now())
        c->m->asleep = until;
    return 0;
}

void sleep_until_signal(struct call *c)
{
    c->m->asleep = clock_now() + SLEEP_MAX * 1000000000UL;
}

/* Where a handler that ends the sleep finds what is left of it. */
static long note_left(struct call *c, long ret, uint64_t addr)
{
    if (c->m->asleep)
        c->m->sleep.left_at = addr;
    return ret;
}

long sys_nanosleep(struct call *c)
{
    long ret = sleep_for(c, CLOCK_MONOTONIC, 0, c->arg[0]);
    return note_left(c, ret, c->arg[1]);
}

long sys_clock_nanosleep(struct call *c)
{
    int absolute = !!(c->arg[1] & TIMER_ABSTIME);
    long ret = sleep_for(c, (clockid_t)c->arg[0], absolute, c->arg[2]);
    return note_left(c, ret, absolute ? 0 : c->arg[3]);
}
