/* parcel.c: frozen machines and shared memory, handed to another process of the same
 * build: plain data as bytes, memory as file descriptors. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "memory.h"
#include "snapshot.h"

#define PARCEL_MAGIC 0x6b736e73 /* "snsk" */

/* What goes to the other process beside the memory. */
struct snapshot_parcel {
    uint32_t magic, size;
    struct layout layout;
    struct process process;
    struct program_facts facts;
};

size_t skerry_snapshot_size(void)
{
    return sizeof(struct snapshot_parcel);
}

int skerry_snapshot_export(const struct skerry_snapshot *s, void *dst)
{
    struct snapshot_parcel p = {.magic = PARCEL_MAGIC,
                                .size = sizeof(p),
                                .layout = s->layout,
                                .process = s->process,
                                .facts = s->facts};
    memcpy(dst, &p, sizeof(p));
    return s->fd;
}

static int check(const struct snapshot_parcel *p, size_t size, struct skerry_error *err)
{
    if (size != sizeof(*p) || p->magic != PARCEL_MAGIC || p->size != sizeof(*p))
        return skerry_refuse(err, EINVAL, "frozen machine",
                             "it was made by another version of skerry");
    return 0;
}

int skerry_snapshot_import(const void *src, size_t size, int fd, struct skerry_shm *shm,
                           struct skerry_snapshot **out, struct skerry_error *err)
{
    const struct snapshot_parcel *p = src;
    struct skerry_snapshot *s = NULL;
    int ret = check(p, size, err);
    if (ret == 0 && !(s = calloc(1, sizeof(*s))))
        ret = skerry_fail(err, "frozen machine");
    if (ret < 0) {
        close(fd);
        return ret;
    }
    *s = (struct skerry_snapshot){.references = 1,
                                  .fd = fd,
                                  .layout = p->layout,
                                  .process = p->process,
                                  .facts = p->facts,
                                  .shm = shm_share(shm)};
    if (!s->facts.is_storage)
        ret = memory_map(fd, s->layout.slot_size, MAP_FROZEN, &s->frozen, err);
    if (ret < 0) {
        skerry_snapshot_close(s);
        return ret;
    }
    *out = s;
    return 0;
}
