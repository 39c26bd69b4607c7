/* objects.c: see objects.h. */
#include "objects.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static uint64_t *bytes_of(struct objects *o, const struct object *at)
{
    return at->kind == OPEN_MEMORY ? &o->memory_bytes : &o->bytes;
}

static void drop(struct objects *o, int slot)
{
    struct object *at = o->at[slot];
    if (!at)
        return;
    *bytes_of(o, at) -= at->room;
    free(at->data);
    free(at);
    o->at[slot] = NULL;
    o->changed = 1;
}

static int in_use(const struct descriptors *d, int number)
{
    for (int i = 0; i < DESCRIPTORS; i++)
        if (d->open[i].kind != OPEN_NONE &&
            (d->open[i].object == number || d->open[i].other == number))
            return 1;
    return 0;
}

int objects_make(struct objects *o, const struct descriptors *d, int kind)
{
    int slot = 0;
    while (slot < DESCRIPTORS && in_use(d, slot + 1))
        slot++;
    struct object *made = slot < DESCRIPTORS ? calloc(1, sizeof(*made)) : NULL;
    if (!made)
        return -ENOMEM;
    drop(o,
         slot); /* in storage one may be left whose descriptor an earlier call closed */
    made->kind = (uint8_t)kind;
    made->changed = 1;
    o->at[slot] = made;
    o->changed = 1;
    return slot + 1;
}

const struct object *objects_find(const struct objects *o, uint8_t number, int kind)
{
    const struct object *at =
        number >= 1 && number <= DESCRIPTORS ? o->at[number - 1] : NULL;
    return at && at->kind == kind ? at : NULL;
}

struct object *objects_change(struct objects *o, uint8_t number, int kind)
{
    if (!objects_find(o, number, kind))
        return NULL;
    struct object *at = o->at[number - 1];
    at->changed = 1;
    o->changed = 1;
    return at;
}

int objects_grow(struct objects *o, struct object *at, uint64_t bytes)
{
    uint64_t *used = bytes_of(o, at);
    uint64_t most = at->kind == OPEN_MEMORY ? OBJECT_MEMORY_MAX : OBJECT_BYTES_MAX;
    if (bytes <= at->room)
        return 0;
    if (bytes - at->room > most - *used)
        return -ENOMEM;
    uint8_t *data = realloc(at->data, bytes);
    if (!data)
        return -ENOMEM;
    memset(data + at->room, 0, bytes - at->room);
    *used += bytes - at->room;
    at->data = data;
    at->room = bytes;
    o->grown = 1;
    return 0;
}

void objects_closed(struct objects *o, const struct descriptors *d,
                    const struct open_file *was)
{
    const uint8_t numbers[2] = {was->object, was->other};
    for (int i = 0; i < 2; i++) {
        struct object *at =
            numbers[i] && numbers[i] <= DESCRIPTORS ? o->at[numbers[i] - 1] : NULL;
        if (!at)
            continue;
        if (!in_use(d, numbers[i])) {
            drop(o, numbers[i] - 1);
            continue;
        }
        at->wakes[0]++;
        at->wakes[1]++;
        at->changed = 1;
        o->changed = 1;
    }
}

void objects_freeze(struct objects *o, struct objects *frozen)
{
    for (int i = 0; i < DESCRIPTORS; i++)
        if (o->at[i])
            o->at[i]->changed = 0;
    *frozen = *o;
    frozen->changed = 0;
    *o = (struct objects){0};
}

/* A copy of (from) at (slot), with room of its own. 0 or -ENOMEM. */
static int copy(struct objects *o, int slot, const struct object *from)
{
    drop(o, slot);
    struct object *to = malloc(sizeof(*to));
    uint8_t *data = from->room ? malloc(from->room) : NULL;
    if (!to || (from->room && !data)) {
        free(to);
        free(data);
        return -ENOMEM;
    }
    *to = *from;
    to->data = data;
    if (data)
        memcpy(data, from->data, from->room);
    *bytes_of(o, to) += to->room;
    o->at[slot] = to;
    return 0;
}

int objects_restore(struct objects *o, const struct objects *frozen)
{
    int ret = 0;
    for (int i = 0; i < DESCRIPTORS; i++) {
        const struct object *from = frozen ? frozen->at[i] : NULL;
        if (!from)
            drop(o, i);
        else if (!o->at[i] || o->at[i]->changed)
            ret = ret < 0 ? ret : copy(o, i, from);
    }
    o->changed = ret < 0;
    objects_keep(o);
    return ret;
}

void objects_keep(struct objects *o)
{
    o->kept = o->bytes + o->memory_bytes;
}

uint64_t objects_charge(const struct objects *o)
{
    uint64_t now = o->bytes + o->memory_bytes;
    return now > o->kept ? now - o->kept : 0;
}
