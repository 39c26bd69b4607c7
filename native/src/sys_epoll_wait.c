/* sys_epoll_wait.c: waiting for a set of epoll. It keeps no list of what is ready: each
 * wait looks at all watches, and a watch remembers how often its object had woken when
 * it was last found, which is all that edges need. */
#include <errno.h>
#include <limits.h>
#include <poll.h>

#include "epoll_set.h"
#include "net.h"
#include "object_io.h"
#include "waits.h"

static int any_found(const struct machine *m, const struct object *at, int inner);

/* What a wait would tell of (w) now. A set in a set has no edges; one that is deeper
 * is never ready, also if what came from another process says that there is one. */
static uint32_t found(const struct machine *m, const struct watched *w, int inner)
{
    if (!epoll_is_alive(m, w) || !(w->events & ~EPOLL_PRIVATE))
        return 0;
    const struct object *set = epoll_set_at(m, w->index);
    if (set)
        return !inner && any_found(m, set, 1) ? w->events & (EPOLLIN | EPOLLRDNORM) : 0;
    if (w->events & EPOLLET && ready_wakes(m, w->index, w->events) == w->seen)
        return 0;
    return ready_events(m, w->index) & w->events;
}

static int any_found(const struct machine *m, const struct object *at, int inner)
{
    for (uint32_t i = 0; at && i < at->epoll.count; i++)
        if (found(m, &epoll_watches(at)[i], inner))
            return 1;
    return 0;
}

uint32_t epoll_ready(const struct machine *m, const struct open_file *file)
{
    const struct object *at = objects_find(&m->objects, file->object, OPEN_EPOLL);
    return any_found(m, at, 0) ? POLLIN | POLLRDNORM : 0;
}

/* When something in it is ready by itself. What is already, and is no news, does not
 * count. */
static uint64_t soonest(const struct machine *m, const struct object *at, int inner)
{
    uint64_t first = WAITS_FOR_EVER, when;
    for (uint32_t i = 0; at && i < at->epoll.count; i++) {
        const struct watched *w = &epoll_watches(at)[i];
        if (!epoll_is_alive(m, w) || !(w->events & ~EPOLL_PRIVATE))
            continue;
        const struct object *set = epoll_set_at(m, w->index);
        if (set)
            when = inner ? WAITS_FOR_EVER : soonest(m, set, 1);
        else
            when = ready_events(m, w->index) ? WAITS_FOR_EVER : ready_at(m, w->index);
        first = when < first ? when : first;
    }
    return first;
}

uint64_t epoll_at(const struct machine *m, const struct open_file *file)
{
    return soonest(m, objects_find(&m->objects, file->object, OPEN_EPOLL), 0);
}

/* Tells of (w) at (addr), and notes that it has. 1, 0 if there is nothing, -EFAULT. */
static long tell(struct machine *m, struct watched *w, uint64_t addr)
{
    uint32_t events = found(m, w, 0);
    const struct epoll_event e = {.events = events, .data.u64 = w->data};
    if (!events) {
        if (epoll_is_alive(m, w) && !ready_events(m, w->index))
            w->seen = ready_wakes(m, w->index, w->events);
        return 0;
    }
    if (guest_write(&m->mem, addr, &e, sizeof(e)) < 0)
        return -EFAULT;
    w->seen = ready_wakes(m, w->index, w->events);
    if (w->events & EPOLLONESHOT)
        w->events &= EPOLL_PRIVATE;
    return 1;
}

/* All that is ready, at most (most), each in its turn. How many, or -EFAULT. */
static long tell_all(struct machine *m, struct object *at, uint64_t addr, uint64_t most)
{
    uint64_t told = 0;
    uint32_t count = at->epoll.count, turn = count ? at->epoll.turn % count : 0;
    for (uint32_t i = 0; i < count && told < most; i++) {
        uint32_t next = (turn + i) % count;
        long ret =
            tell(m, &epoll_watches(at)[next], addr + told * sizeof(struct epoll_event));
        if (ret < 0)
            return told ? (long)told : ret;
        told += (uint64_t)ret;
        if (ret)
            at->epoll.turn = next + 1;
    }
    return (long)told;
}

static long wait(struct call *c, uint64_t limit_ns)
{
    struct handle h;
    struct machine *m = c->m;
    int most = (int)c->arg[2];
    if (most <= 0 || most > (int)(INT_MAX / sizeof(struct epoll_event)))
        return -EINVAL;
    int ret = handle_of(c, &h);
    if (ret < 0)
        return ret;
    if (h.file->kind != OPEN_EPOLL)
        return -EINVAL;
    if (m->net)
        net_look(m->net); /* first: what wakes from here on is not missed */
    struct object *at = objects_change(&m->objects, h.file->object, OPEN_EPOLL);
    long told = at ? tell_all(m, at, c->arg[1], (uint64_t)most) : -EBADF;
    if (told || !limit_ns)
        return told;
    uint64_t limit = waits_limit(m, limit_ns), when = epoll_at(m, h.file);
    if (clock_now() >= limit)
        return 0;
    return wait_until_ready(c, when < limit ? when : limit,
                            "epoll events that nobody can cause");
}

long sys_epoll_wait(struct call *c)
{
    int ms = (int)c->arg[3];
    return wait(c, ms < 0 ? WAITS_FOR_EVER : (uint64_t)ms * 1000000);
}

long sys_epoll_pwait(struct call *c)
{
    long ret = waits_mask(c, c->arg[4], c->arg[5]);
    return ret < 0 ? ret : waits_unmask(c, sys_epoll_wait(c));
}

long sys_epoll_pwait2(struct call *c)
{
    uint64_t ns = WAITS_FOR_EVER;
    long ret = c->arg[3] ? waits_duration(c, c->arg[3], &ns) : 0;
    if (ret == 0)
        ret = waits_mask(c, c->arg[4], c->arg[5]);
    return ret < 0 ? ret : waits_unmask(c, wait(c, ns));
}
