/* disk.c: see disk.h. */
#include "disk.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

int disk_read(int fd, void *bytes, uint64_t len, uint64_t at)
{
    uint8_t *to = bytes;
    while (len) {
        ssize_t got = pread(fd, to, len, (off_t)at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? -errno : -EIO;
        to += got;
        at += (uint64_t)got;
        len -= (uint64_t)got;
    }
    return 0;
}

int disk_write(int fd, const void *bytes, uint64_t len, uint64_t at)
{
    const uint8_t *from = bytes;
    while (len) {
        ssize_t put = pwrite(fd, from, len, (off_t)at);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return put < 0 ? -errno : -EIO;
        from += put;
        at += (uint64_t)put;
        len -= (uint64_t)put;
    }
    return 0;
}

int disk_sync(int fd)
{
    return fdatasync(fd) < 0 ? -EIO : 0; /* never taken for a full disk */
}

int disk_cut(int fd, uint64_t size)
{
    return ftruncate(fd, (off_t)size) < 0 ? -errno : 0;
}

int disk_punch(int fd, uint64_t begin, uint64_t end)
{
    const int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
    return fallocate(fd, mode, (off_t)begin, (off_t)(end - begin)) < 0 ? -errno : 0;
}

int disk_size(int fd, uint64_t *size)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return -errno;
    *size = (uint64_t)st.st_size;
    return 0;
}
