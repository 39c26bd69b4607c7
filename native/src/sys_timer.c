/* sys_timer.c: timerfd. No clock runs for it: what it has to say follows from the time
 * at which it is asked, and a program that waits for it sleeps until its time. */
#include <errno.h>
#include <poll.h>
#include <sys/timerfd.h>

#include "object_io.h"
#include "waits.h"

#define SECOND 1000000000UL
#define SECONDS_MAX                                                                    \
    9000000000L /* nothing is as late, and its nanoseconds still fit                   \
                 */

static uint64_t now_on(uint64_t clock)
{
    struct timespec t;
    clock_gettime((clockid_t)clock, &t);
    return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

static const struct timer *timer_of(const struct machine *m, const struct open_file *f)
{
    const struct object *at = objects_find(&m->objects, f->object, OPEN_TIMER);
    return at ? &at->timer : NULL;
}

/* How often its time has come and has not been read. */
static uint64_t ticks(const struct timer *t, uint64_t now)
{
    if (!t->next || now < t->next)
        return 0;
    return t->interval ? 1 + (now - t->next) / t->interval : 1;
}

/* From (now) to its next time, 0 if there is none. */
static uint64_t left(const struct timer *t, uint64_t now)
{
    if (!t->next || (now >= t->next && !t->interval))
        return 0;
    return t->next + ticks(t, now) * t->interval - now;
}

uint64_t timer_at(const struct machine *m, const struct open_file *file)
{
    const struct timer *t = timer_of(m, file);
    if (!t || !t->next)
        return WAITS_FOR_EVER;
    uint64_t now = now_on(t->clock);
    return clock_now() + (t->next > now ? t->next - now : 0);
}

uint32_t timer_ready(const struct machine *m, const struct open_file *file)
{
    const struct timer *t = timer_of(m, file);
    return t && ticks(t, now_on(t->clock)) ? POLLIN : 0;
}

/* What has been taken stays so, as in Linux, when the program may not use (b). */
long timer_read(struct call *c, struct open_file *file, const struct buffers *b)
{
    const struct timer *t = timer_of(c->m, file);
    uint64_t count = t ? ticks(t, now_on(t->clock)) : 0;
    if (!t || b->total < sizeof(count))
        return t ? -EINVAL : -EBADF;
    if (!count)
        return object_wait(c, file, timer_at(c->m, file),
                           "a timer that nobody has set");
    struct object *at = objects_change(&c->m->objects, file->object, OPEN_TIMER);
    at->timer.next = t->interval ? t->next + count * t->interval : 0;
    at->wakes[0]++;
    uint64_t put = buffers_put(c, b, 0, &count, sizeof(count));
    return put == sizeof(count) ? (long)put : -EFAULT;
}

static int is_known(uint64_t clock)
{
    return clock == CLOCK_REALTIME || clock == CLOCK_MONOTONIC ||
           clock == CLOCK_BOOTTIME;
}

long sys_timerfd_create(struct call *c)
{
    struct object *made;
    uint32_t clock = (uint32_t)c->arg[0], flags = (uint32_t)c->arg[1];
    int wakes_host = clock == CLOCK_REALTIME_ALARM || clock == CLOCK_BOOTTIME_ALARM;
    if (flags & ~(uint32_t)(TFD_CLOEXEC | TFD_NONBLOCK) ||
        (!is_known(clock) && !wakes_host))
        return -EINVAL;
    if (wakes_host)
        return -EPERM;
    long fd = object_new(c, OPEN_TIMER, O_RDWR | flags, &made);
    if (fd >= 0)
        made->timer.clock = clock;
    return fd;
}

/* Nanoseconds, or -EINVAL. */
static int64_t nanoseconds(const struct timespec *t)
{
    if (t->tv_sec < 0 || (uint64_t)t->tv_nsec >= SECOND)
        return -EINVAL;
    int64_t seconds = t->tv_sec < SECONDS_MAX ? t->tv_sec : SECONDS_MAX;
    return seconds * (int64_t)SECOND + t->tv_nsec;
}

static struct itimerspec told(const struct timer *t)
{
    uint64_t rest = left(t, now_on(t->clock));
    return (struct itimerspec){
        {(time_t)(t->interval / SECOND), (long)(t->interval % SECOND)},
        {(time_t)(rest / SECOND), (long)(rest % SECOND)}};
}

/* The timer that the first argument names: 0, -EBADF or -EINVAL. */
static int find(const struct call *c, struct object **at)
{
    struct handle h;
    int ret = handle_of(c, &h);
    if (ret < 0)
        return ret;
    *at = h.file->kind == OPEN_TIMER
              ? objects_change(&c->m->objects, h.file->object, OPEN_TIMER)
              : NULL;
    return *at ? 0 : -EINVAL;
}

static void set(struct object *at, const struct itimerspec *to, int absolute)
{
    uint64_t when = (uint64_t)nanoseconds(&to->it_value);
    uint64_t now = now_on(at->timer.clock);
    at->wakes[0] += ticks(&at->timer, now) != 0;
    at->timer.interval = (uint64_t)nanoseconds(&to->it_interval);
    at->timer.next = absolute || !when ? when : now + when;
}

long sys_timerfd_settime(struct call *c)
{
    struct object *at;
    struct itimerspec to, was;
    uint32_t flags = (uint32_t)c->arg[1];
    if (guest_read(&c->m->mem, c->arg[2], &to, sizeof(to)) < 0)
        return -EFAULT;
    if (flags & ~(uint32_t)(TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET) ||
        nanoseconds(&to.it_value) < 0 || nanoseconds(&to.it_interval) < 0)
        return -EINVAL;
    int ret = find(c, &at);
    if (ret < 0)
        return ret;
    was = told(&at->timer);
    set(at, &to, !!(flags & TFD_TIMER_ABSTIME));
    return c->arg[3] ? guest_write(&c->m->mem, c->arg[3], &was, sizeof(was)) : 0;
}

long sys_timerfd_gettime(struct call *c)
{
    struct object *at;
    int ret = find(c, &at);
    if (ret < 0)
        return ret;
    struct itimerspec now = told(&at->timer);
    return guest_write(&c->m->mem, c->arg[1], &now, sizeof(now));
}
