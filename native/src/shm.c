/* shm.c: see shm.h. */
#include "shm.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "layout.h"
#include "memory.h"

struct skerry_shm *shm_share(struct skerry_shm *shm)
{
    if (shm)
        __atomic_add_fetch(&shm->references, 1, __ATOMIC_RELAXED);
    return shm;
}

int skerry_shm_open(uint64_t bytes, struct skerry_shm **out, struct skerry_error *err)
{
    if (bytes == 0 || bytes % LARGE_PAGE || bytes > SHM_MAX)
        return skerry_refuse(err, EINVAL, "shared memory",
                             "expected a multiple of 2 MB, at most 1 GB");
    int fd = memory_create("skerry-shm", bytes, err);
    return fd < 0 ? fd : skerry_shm_import(fd, bytes, out, err);
}

int skerry_shm_import(int fd, uint64_t bytes, struct skerry_shm **out,
                      struct skerry_error *err)
{
    struct skerry_shm *shm = calloc(1, sizeof(*shm));
    if (!shm) {
        close(fd);
        return skerry_fail(err, "shared memory");
    }
    *shm = (struct skerry_shm){.references = 1, .fd = fd, .size = bytes};
    int ret = memory_map(fd, bytes, MAP_LIVE, &shm->at, err);
    if (ret < 0) {
        skerry_shm_close(shm);
        return ret;
    }
    *out = shm;
    return 0;
}

int skerry_shm_export(const struct skerry_shm *shm)
{
    return shm->fd;
}

void skerry_shm_close(struct skerry_shm *shm)
{
    if (!shm || __atomic_sub_fetch(&shm->references, 1, __ATOMIC_ACQ_REL))
        return;
    memory_unmap(shm->at, shm->size);
    if (shm->fd >= 0)
        close(shm->fd);
    free(shm);
}
