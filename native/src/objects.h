/* objects.h: what a program has open that is no file: pipes, counters, timers, sets of
 * epoll, files without a name.
 *
 * The open files in struct descriptors lead here by number, and an object lives as long
 * as one of them does. Objects of start-up belong to the snapshot, and each machine has
 * a copy of its own, which a reset makes anew where a request has changed it. */
#ifndef SKERRY_OBJECTS_H
#define SKERRY_OBJECTS_H

#include <stddef.h>
#include <stdint.h>

#include "descriptors.h"
#include "skerry.h"

#define PIPE_PAGES 16 /* as in Linux: a pipe has 64 KiB, in pages */
#define PIPE_PAGE 4096
#define WATCH_MAX DESCRIPTORS          /* in a set of epoll */
#define OBJECT_BYTES_MAX (1UL << 20)   /* of a machine, in its pipes and sets */
#define OBJECT_MEMORY_MAX (16UL << 20) /* of a machine, in files without a name */

/* Bytes of a pipe: each write begins a new page where it does not fit into the last. */
struct pipe {
    uint32_t first, count; /* pages that have bytes: (first) modulo PIPE_PAGES */
    struct {
        uint16_t at, len;
    } page[PIPE_PAGES];
};

struct event {
    uint64_t count;
    uint64_t one_by_one; /* EFD_SEMAPHORE */
};

/* Times are ns on (clock). */
struct timer {
    uint64_t next; /* the first time that has not been read, 0: none */
    uint64_t interval;
    uint64_t clock;
};

struct epoll {
    uint32_t count; /* of the watches in its data, some of which may be over */
    uint32_t turn;  /* where the next wait begins to look */
};

/* One that epoll watches. */
struct watched {
    uint64_t serial; /* of the open file: another one there is not meant */
    uint64_t data;
    uint32_t events; /* 0 beside the private ones: a shot that has been fired */
    uint32_t seen;   /* wakes of the object when it was last found */
    uint8_t fd, index;
};

#define INET_OPTIONS 8

/* A socket that may be connected to another host: what the program has set of it. */
struct inet {
    uint16_t family;
    int32_t option[INET_OPTIONS]; /* see sys_sockopt.c */
    uint64_t receive_ns, send_ns; /* that it waits at most, 0 = for ever */
};

struct object {
    uint8_t kind; /* enum open_kind; a socket's two are pipes */
    uint8_t changed;
    uint32_t wakes[2]; /* how often it may have become readable, and writable */
    union {
        struct pipe pipe;
        struct event event;
        struct timer timer;
        struct epoll epoll;
        struct inet inet;
        uint64_t size; /* of OPEN_MEMORY; zeros behind (room) */
    };
    uint64_t room; /* bytes at (data) */
    uint8_t *data; /* malloc'ed, or NULL */
};

/* Begins all zero: none. */
struct objects {
    struct object *at[DESCRIPTORS]; /* number 1 is at[0] */
    uint64_t bytes, memory_bytes; /* what they have: OBJECT_BYTES_MAX, ..._MEMORY_MAX */
    uint64_t kept;                /* of these bytes, those of objects_restore */
    int changed;                  /* since then */
    int grown;                    /* they have more since that was last set to 0 */
};

/* A new one. Its number, or -ENOMEM. */
int objects_make(struct objects *o, const struct descriptors *d, int kind);

/* The object of (kind) with that number, or NULL; to look at, or to change. */
const struct object *objects_find(const struct objects *o, uint8_t number, int kind);
struct object *objects_change(struct objects *o, uint8_t number, int kind);

/* Gives (at) room for (bytes), zero where they are new. 0 or -ENOMEM. */
int objects_grow(struct objects *o, struct object *at, uint64_t bytes);

/* Open file (was) is no more: neither is what only that led to; others wake. */
void objects_closed(struct objects *o, const struct descriptors *d,
                    const struct open_file *was);

/* Hands all of (o) over to a snapshot's (frozen); (o) is empty then. */
void objects_freeze(struct objects *o, struct objects *frozen);

/* Makes (o) what (frozen) is, or empty if that is NULL. 0 or -ENOMEM. */
int objects_restore(struct objects *o, const struct objects *frozen);

/* What there is from now on counts no more. */
void objects_keep(struct objects *o);

/* Bytes that they have got since the last of those two. */
uint64_t objects_charge(const struct objects *o);

/* For another process: objects_packed bytes, written to (dst); and back. 0, or -errno
 * with (err). */
size_t objects_packed(const struct objects *o);
void objects_pack(const struct objects *o, void *dst);
int objects_unpack(struct objects *frozen, const void *src, size_t size,
                   struct skerry_error *err);

#endif
