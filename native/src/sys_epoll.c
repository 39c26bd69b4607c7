/* sys_epoll.c: sets of descriptors that are waited for together. A set keeps no list of
 * what is ready: each wait looks at its watches, and a watch remembers how often its
 * object had woken when it was last found, which is all that edges need.
 *
 * A set may be in another, but no deeper: so what one call looks at has a bound. */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <sys/epoll.h>

#include "object_io.h"
#include "waits.h"

#define PRIVATE ((uint32_t)(EPOLLET | EPOLLONESHOT | EPOLLWAKEUP | EPOLLEXCLUSIVE))
#define EXCLUSIVE_KNOWS                                                                \
    ((uint32_t)(EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP | EPOLLWAKEUP | EPOLLET |     \
                EPOLLEXCLUSIVE))

static struct descriptors *table(const struct machine *m)
{
    return &m->process->files;
}

static struct watched *watches(const struct object *at)
{
    return (struct watched *)at->data;
}

/* Tells if what it watches is still open. */
static int is_alive(const struct machine *m, const struct watched *w)
{
    if (w->index >= DESCRIPTORS)
        return 0;
    const struct open_file *file = &table(m)->open[w->index];
    return file->kind >= OPEN_PIPE && file->kind < OPEN_MEMORY &&
           file->serial == w->serial;
}

static const struct object *set_at(const struct machine *m, int index)
{
    const struct open_file *file = &table(m)->open[index];
    return file->kind == OPEN_EPOLL
               ? objects_find(&m->objects, file->object, OPEN_EPOLL)
               : NULL;
}

static int any_found(const struct machine *m, const struct object *at, int inner);

/* What a wait would tell of (w) now. A set in a set has no edges; one that is deeper
 * is never ready, also if what came from another process says that there is one. */
static uint32_t found(const struct machine *m, const struct watched *w, int inner)
{
    if (!is_alive(m, w) || !(w->events & ~PRIVATE))
        return 0;
    const struct object *set = set_at(m, w->index);
    if (set)
        return !inner && any_found(m, set, 1) ? w->events & (EPOLLIN | EPOLLRDNORM) : 0;
    if (w->events & EPOLLET && ready_wakes(m, w->index, w->events) == w->seen)
        return 0;
    return ready_events(m, w->index) & w->events;
}

static int any_found(const struct machine *m, const struct object *at, int inner)
{
    for (uint32_t i = 0; at && i < at->epoll.count; i++)
        if (found(m, &watches(at)[i], inner))
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
        const struct watched *w = &watches(at)[i];
        if (!is_alive(m, w) || !(w->events & ~PRIVATE))
            continue;
        const struct object *set = set_at(m, w->index);
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

/* --- Changing a set --- */

static struct watched *find(const struct machine *m, struct object *at, uint32_t fd,
                            int index)
{
    uint64_t serial = table(m)->open[index].serial;
    for (uint32_t i = 0; i < at->epoll.count; i++)
        if (watches(at)[i].fd == fd && watches(at)[i].serial == serial)
            return &watches(at)[i];
    return NULL;
}

static void forget_dead(const struct machine *m, struct object *at)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < at->epoll.count; i++)
        if (is_alive(m, &watches(at)[i]))
            watches(at)[kept++] = watches(at)[i];
    at->epoll.count = kept;
}

/* A new watch finds what is ready already. */
static void set(const struct machine *m, struct watched *w, const struct epoll_event *e)
{
    w->events = e->events | EPOLLERR | EPOLLHUP;
    w->data = e->data.u64;
    w->seen = ready_wakes(m, w->index, w->events) - 1;
}

/* Tells if (outer) watches set (index); with -1, if it watches any set. */
static int holds(const struct machine *m, const struct object *outer, int index)
{
    for (uint32_t i = 0; outer && i < outer->epoll.count; i++) {
        const struct watched *w = &watches(outer)[i];
        if (is_alive(m, w) && (index < 0 ? !!set_at(m, w->index) : w->index == index))
            return 1;
    }
    return 0;
}

static int is_held(const struct machine *m, int index)
{
    for (int i = 0; i < DESCRIPTORS; i++)
        if (holds(m, set_at(m, i), index))
            return 1;
    return 0;
}

static int is_too_deep(const struct machine *m, int set_index, int index)
{
    const struct object *inner = set_at(m, index);
    return inner && (holds(m, inner, -1) || is_held(m, set_index));
}

static long add(struct machine *m, struct object *at, uint32_t fd, int index,
                const struct epoll_event *e)
{
    forget_dead(m, at);
    if (at->epoll.count == WATCH_MAX)
        return -ENOSPC;
    uint64_t step = 8 * sizeof(struct watched), size = sizeof(struct watched);
    int ret = objects_grow(&m->objects, at, (at->epoll.count * size / step + 1) * step);
    if (ret < 0)
        return ret;
    struct watched *w = &watches(at)[at->epoll.count++];
    *w = (struct watched){.serial = table(m)->open[index].serial,
                          .fd = (uint8_t)fd,
                          .index = (uint8_t)index};
    set(m, w, e);
    return 0;
}

static void take_out(struct object *at, struct watched *w)
{
    struct watched *last = &watches(at)[at->epoll.count - 1];
    for (; w < last; w++)
        w[0] = w[1];
    at->epoll.count--;
}

static long change(struct machine *m, struct object *at, uint32_t fd, int index,
                   uint32_t what, const struct epoll_event *e)
{
    struct watched *w = find(m, at, fd, index);
    if (what == EPOLL_CTL_ADD)
        return w ? -EEXIST : add(m, at, fd, index, e);
    if (!w)
        return -ENOENT;
    if (what == EPOLL_CTL_DEL)
        take_out(at, w);
    else if (w->events & EPOLLEXCLUSIVE)
        return -EINVAL;
    else
        set(m, w, e);
    return 0;
}

static long check_exclusive(const struct machine *m, uint32_t what, int index,
                            const struct epoll_event *e)
{
    if (what == EPOLL_CTL_DEL || !(e->events & EPOLLEXCLUSIVE))
        return 0;
    if (what == EPOLL_CTL_MOD || set_at(m, index) || e->events & ~EXCLUSIVE_KNOWS)
        return -EINVAL;
    return 0;
}

/* The set and what is to be watched; in the order in which Linux looks. */
static long check(struct call *c, int *set_index, int *index)
{
    struct machine *m = c->m;
    *set_index = descriptors_find(table(m), fd_of(c));
    *index = descriptors_find(table(m), (uint32_t)c->arg[2]);
    if (*set_index < 0 || *index < 0)
        return -EBADF;
    int kind = table(m)->open[*index].kind;
    if (kind < OPEN_PIPE || kind >= OPEN_MEMORY)
        return -EPERM;
    return *set_index == *index || !set_at(m, *set_index) ? -EINVAL : 0;
}

long sys_epoll_ctl(struct call *c)
{
    struct machine *m = c->m;
    struct epoll_event e = {0};
    uint32_t what = (uint32_t)c->arg[1];
    int set_index, index;
    if (what != EPOLL_CTL_DEL && guest_read(&m->mem, c->arg[3], &e, sizeof(e)) < 0)
        return -EFAULT;
    long ret = check(c, &set_index, &index);
    if (ret == 0)
        ret = check_exclusive(m, what, index, &e);
    if (ret == 0 && what == EPOLL_CTL_ADD && is_too_deep(m, set_index, index))
        ret = -ELOOP;
    if (ret == 0 && what != EPOLL_CTL_ADD && what != EPOLL_CTL_MOD &&
        what != EPOLL_CTL_DEL)
        ret = -EINVAL;
    if (ret < 0)
        return ret;
    struct object *at =
        objects_change(&m->objects, table(m)->open[set_index].object, OPEN_EPOLL);
    return change(m, at, (uint32_t)c->arg[2], index, what, &e);
}

static long make(struct call *c, uint32_t flags)
{
    struct object *made;
    if (flags & ~(uint32_t)EPOLL_CLOEXEC)
        return -EINVAL;
    return object_new(c, OPEN_EPOLL, O_RDWR | flags, &made);
}

long sys_epoll_create(struct call *c)
{
    return (int)c->arg[0] <= 0 ? -EINVAL : make(c, 0);
}

long sys_epoll_create1(struct call *c)
{
    return make(c, (uint32_t)c->arg[0]);
}

/* --- Waiting --- */

/* Tells of (w) at (addr), and notes that it has. 1, 0 if there is nothing, -EFAULT. */
static long tell(struct machine *m, struct watched *w, uint64_t addr)
{
    uint32_t events = found(m, w, 0);
    const struct epoll_event e = {.events = events, .data.u64 = w->data};
    if (!events) {
        if (is_alive(m, w) && !ready_events(m, w->index))
            w->seen = ready_wakes(m, w->index, w->events);
        return 0;
    }
    if (guest_write(&m->mem, addr, &e, sizeof(e)) < 0)
        return -EFAULT;
    w->seen = ready_wakes(m, w->index, w->events);
    if (w->events & EPOLLONESHOT)
        w->events &= PRIVATE;
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
            tell(m, &watches(at)[next], addr + told * sizeof(struct epoll_event));
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

/* Of a signal mask only its place is looked at: no signal ends a wait. */
static long check_mask(const struct call *c)
{
    uint64_t mask;
    if (!c->arg[4])
        return 0;
    return c->arg[5] != sizeof(mask) ? -EINVAL
                                     : guest_read(&c->m->mem, c->arg[4], &mask, 8);
}

long sys_epoll_pwait(struct call *c)
{
    long ret = check_mask(c);
    return ret < 0 ? ret : sys_epoll_wait(c);
}

long sys_epoll_pwait2(struct call *c)
{
    uint64_t ns = WAITS_FOR_EVER;
    long ret = c->arg[3] ? waits_duration(c, c->arg[3], &ns) : 0;
    if (ret == 0)
        ret = check_mask(c);
    return ret < 0 ? ret : wait(c, ns);
}
