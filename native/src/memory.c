/* memory.c: see memory.h. */
#include "memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

int memory_create(const char *name, uint64_t size, struct skerry_error *err)
{
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return skerry_fail(err, "memfd_create");
    if (ftruncate(fd, (off_t)size) < 0) {
        int ret = skerry_fail(err, "ftruncate");
        close(fd);
        return ret;
    }
    return fd;
}

int memory_map(int fd, uint64_t size, enum mapping kind, uint8_t **out,
               struct skerry_error *err)
{
    int prot = kind == MAP_FROZEN ? PROT_READ : PROT_READ | PROT_WRITE;
    int flags = kind == MAP_CLONE ? MAP_PRIVATE | MAP_NORESERVE : MAP_SHARED;
    void *at = mmap(NULL, size, prot, flags, fd, 0);
    if (at == MAP_FAILED)
        return skerry_fail(err, "map guest memory");
    *out = at;
    return 0;
}

void memory_unmap(uint8_t *at, uint64_t size)
{
    if (at)
        munmap(at, size);
}

int memory_seal(int fd, struct skerry_error *err)
{
    const int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL;
    return fcntl(fd, F_ADD_SEALS, seals) < 0 ? skerry_fail(err, "seal memory") : 0;
}
