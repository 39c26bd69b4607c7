/* epoll_set.h: what is in a set of epoll, for those who change it (sys_epoll.c) and
 * those who wait for it (sys_epoll_wait.c). */
#ifndef SKERRY_EPOLL_SET_H
#define SKERRY_EPOLL_SET_H

#include <sys/epoll.h>

#include "machine.h"

/* Bits of a watch that are no events. */
#define EPOLL_PRIVATE                                                                  \
    ((uint32_t)(EPOLLET | EPOLLONESHOT | EPOLLWAKEUP | EPOLLEXCLUSIVE))

static inline struct watched *epoll_watches(const struct object *at)
{
    return (struct watched *)at->data;
}

/* Tells if what it watches is still open. */
static inline int epoll_is_alive(const struct machine *m, const struct watched *w)
{
    if (w->index >= DESCRIPTORS)
        return 0;
    const struct open_file *file = &m->process->files.open[w->index];
    return file->kind >= OPEN_PIPE && file->kind < OPEN_MEMORY &&
           file->serial == w->serial;
}

/* The set that open file (index) is, or NULL. */
static inline const struct object *epoll_set_at(const struct machine *m, int index)
{
    const struct open_file *file = &m->process->files.open[index];
    return file->kind == OPEN_EPOLL
               ? objects_find(&m->objects, file->object, OPEN_EPOLL)
               : NULL;
}

#endif
