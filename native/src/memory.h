/* memory.h: guest memory as the host holds it: a memfd and its mappings. */
#ifndef SKERRY_MEMORY_H
#define SKERRY_MEMORY_H

#include <stdint.h>

#include "error.h"

enum mapping {
    MAP_LIVE,
    MAP_CLONE,
    MAP_FROZEN
}; /* shared; private; shared, read-only */

/* Makes a memfd of (size) zero bytes. Returns the descriptor or -errno. */
int memory_create(const char *name, uint64_t size, struct skerry_error *err);

/* Maps (size) bytes of (fd) into (*out). Returns 0 or -errno. */
int memory_map(int fd, uint64_t size, enum mapping kind, uint8_t **out,
               struct skerry_error *err);
void memory_unmap(uint8_t *at, uint64_t size);

/* No one can write to the memfd, or change its size, from now on. No MAP_LIVE mapping
 * may be left. */
int memory_seal(int fd, struct skerry_error *err);

#endif
