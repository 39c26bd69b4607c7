/* sys_epoll.c: sets of descriptors that are waited for together, and what is in them.
 *
 * A set may be in another, but no deeper: so what one call looks at has a bound. */
#include <errno.h>

#include "epoll_set.h"
#include "object_io.h"

#define EXCLUSIVE_KNOWS                                                                \
    ((uint32_t)(EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP | EPOLLWAKEUP | EPOLLET |     \
                EPOLLEXCLUSIVE))

static struct descriptors *table(const struct machine *m)
{
    return &m->process->files;
}

static struct watched *find(const struct machine *m, struct object *at, uint32_t fd,
                            int index)
{
    uint64_t serial = table(m)->open[index].serial;
    for (uint32_t i = 0; i < at->epoll.count; i++)
        if (epoll_watches(at)[i].fd == fd && epoll_watches(at)[i].serial == serial)
            return &epoll_watches(at)[i];
    return NULL;
}

static void forget_dead(const struct machine *m, struct object *at)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < at->epoll.count; i++)
        if (epoll_is_alive(m, &epoll_watches(at)[i]))
            epoll_watches(at)[kept++] = epoll_watches(at)[i];
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
        const struct watched *w = &epoll_watches(outer)[i];
        if (epoll_is_alive(m, w) &&
            (index < 0 ? !!epoll_set_at(m, w->index) : w->index == index))
            return 1;
    }
    return 0;
}

static int is_held(const struct machine *m, int index)
{
    for (int i = 0; i < DESCRIPTORS; i++)
        if (holds(m, epoll_set_at(m, i), index))
            return 1;
    return 0;
}

static int is_too_deep(const struct machine *m, int set_index, int index)
{
    const struct object *inner = epoll_set_at(m, index);
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
    struct watched *w = &epoll_watches(at)[at->epoll.count++];
    *w = (struct watched){.serial = table(m)->open[index].serial,
                          .fd = (uint8_t)fd,
                          .index = (uint8_t)index};
    set(m, w, e);
    return 0;
}

static void take_out(struct object *at, struct watched *w)
{
    struct watched *last = &epoll_watches(at)[at->epoll.count - 1];
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
    if (what == EPOLL_CTL_MOD || epoll_set_at(m, index) || e->events & ~EXCLUSIVE_KNOWS)
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
    return *set_index == *index || !epoll_set_at(m, *set_index) ? -EINVAL : 0;
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
