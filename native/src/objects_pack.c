/* objects_pack.c: objects on their way to another process: a row and bytes for each.
 * What comes back was in a process that runs guests, and is checked. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "error.h"
#include "objects.h"

struct row {
    uint64_t slot;
    struct object object; /* (data) means nothing */
};

size_t objects_packed(const struct objects *o)
{
    size_t bytes = 0;
    for (int i = 0; i < DESCRIPTORS; i++)
        if (o->at[i])
            bytes += sizeof(struct row) + o->at[i]->room;
    return bytes;
}

void objects_pack(const struct objects *o, void *dst)
{
    uint8_t *to = dst;
    for (int i = 0; i < DESCRIPTORS; i++) {
        const struct object *at = o->at[i];
        if (!at)
            continue;
        struct row row = {.slot = (uint64_t)i, .object = *at};
        row.object.data = NULL;
        memcpy(to, &row, sizeof(row));
        if (at->room)
            memcpy(to + sizeof(row), at->data, at->room);
        to += sizeof(row) + at->room;
    }
}

static int pipe_is_sound(const struct object *at)
{
    if (at->pipe.first >= PIPE_PAGES || at->pipe.count > PIPE_PAGES ||
        (at->room != 0 && at->room != PIPE_PAGES * PIPE_PAGE) ||
        (at->pipe.count && !at->room))
        return 0;
    for (int i = 0; i < PIPE_PAGES; i++)
        if (at->pipe.page[i].at + at->pipe.page[i].len > PIPE_PAGE)
            return 0;
    return 1;
}

/* What the code that uses it relies on. */
static int is_sound(const struct object *at)
{
    switch (at->kind) {
    case OPEN_PIPE:
        return pipe_is_sound(at);
    case OPEN_EPOLL:
        return at->epoll.count <= at->room / sizeof(struct watched) &&
               at->room <= WATCH_MAX * sizeof(struct watched);
    case OPEN_TIMER:
        return at->room == 0 && at->timer.clock <= INT8_MAX;
    case OPEN_INET:
        return at->room == 0 &&
               (at->inet.family == AF_INET || at->inet.family == AF_INET6);
    case OPEN_EVENT:
        return at->room == 0 && at->event.count < UINT64_MAX;
    default:
        return at->kind == OPEN_MEMORY;
    }
}

/* Of a set of epoll; of what may be over, the numbers too are used. */
static int watches_are_sound(const struct object *at)
{
    const struct watched *w = (const struct watched *)(const void *)at->data;
    for (uint32_t i = 0; at->kind == OPEN_EPOLL && i < at->epoll.count; i++)
        if (w[i].fd >= DESCRIPTORS || w[i].index >= DESCRIPTORS)
            return 0;
    return 1;
}

/* Takes one from (size) bytes. Returns how many it was, or -errno. */
static long unpack_one(struct objects *frozen, const uint8_t *src, size_t size)
{
    struct row row;
    if (size < sizeof(row))
        return -EINVAL;
    memcpy(&row, src, sizeof(row));
    uint64_t room = row.object.room;
    if (row.slot >= DESCRIPTORS || frozen->at[row.slot] || room > size - sizeof(row) ||
        !is_sound(&row.object))
        return -EINVAL;
    struct object *made = calloc(1, sizeof(*made));
    if (!made)
        return -ENOMEM;
    *made = row.object;
    made->data = NULL;
    made->room = 0;
    made->changed = 0;
    frozen->at[row.slot] = made;
    int ret = objects_grow(frozen, made, room);
    if (ret < 0)
        return ret;
    if (room)
        memcpy(made->data, src + sizeof(row), room);
    if (!watches_are_sound(made))
        return -EINVAL;
    return (long)(sizeof(row) + room);
}

int objects_unpack(struct objects *frozen, const void *src, size_t size,
                   struct skerry_error *err)
{
    const uint8_t *at = src, *end = at + size;
    while (at < end) {
        long used = unpack_one(frozen, at, (size_t)(end - at));
        if (used < 0)
            return skerry_refuse(err, (int)-used, "frozen machine",
                                 used == -ENOMEM ? "out of memory"
                                                 : "its pipes or timers are broken");
        at += used;
    }
    return 0;
}
