/* shm.h: the shared memory of a program: one memfd, mapped once, in every machine. */
#ifndef SKERRY_SHM_H
#define SKERRY_SHM_H

#include "error.h"

struct skerry_shm {
    int references;
    int fd;
    uint64_t size;
    uint8_t *at;
};

struct skerry_shm *shm_share(struct skerry_shm *shm);

#endif
