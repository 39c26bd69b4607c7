/* sys_seek.c: where a program is in a file or a directory, and where the file ends. */
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "object_io.h"

#define DENTS_MAX 32768 /* of one call: what the host does for a guest has a bound */

/* SEEK_DATA and SEEK_HOLE ask the host, whose own offset nobody uses. */
static int64_t seek_from(const struct handle *h, int64_t offset, uint32_t whence)
{
    struct stat st;
    int64_t from = whence == SEEK_CUR ? (int64_t)h->file->offset : 0;
    if (h->file->kind == OPEN_MEMORY && (whence == SEEK_DATA || whence == SEEK_HOLE)) {
        int64_t size = (int64_t)memory_size(h->m, h->file);
        return offset < 0 || offset >= size ? -ENXIO
               : whence == SEEK_DATA        ? offset
                                            : size;
    }
    if (whence == SEEK_DATA || whence == SEEK_HOLE) {
        off_t found = lseek(h->host, offset, (int)whence);
        return found < 0 ? -errno : found;
    }
    if (whence == SEEK_END) {
        int ret = file_stat(h, &st);
        if (ret < 0)
            return ret;
        from = st.st_size;
    }
    int64_t to;
    if (__builtin_add_overflow(from, offset, &to))
        return -EINVAL;
    return to < 0 ? -EINVAL : to;
}

long sys_lseek(struct call *c)
{
    struct handle h;
    uint32_t whence = (uint32_t)c->arg[2];
    int ret = handle_of(c, &h);
    if (ret < 0)
        return ret;
    if (whence > SEEK_HOLE || (h.file->kind == OPEN_DIRECTORY && whence > SEEK_CUR))
        return -EINVAL;
    if (h.file->kind >= OPEN_EVENT && h.file->kind <= OPEN_EPOLL)
        return 0; /* there is no place to be at, and none is refused */
    if (h.file->kind < OPEN_MEMORY)
        return -ESPIPE;
    int64_t to = seek_from(&h, (int64_t)c->arg[1], whence);
    if (to >= 0)
        h.file->offset = (uint64_t)to;
    return to;
}

/* Bytes of the whole records in the (len) that lie in (records). */
static uint64_t whole_records(const uint8_t *records, uint64_t len)
{
    uint64_t at = 0;
    uint16_t size;
    while (len - at >= offsetof(struct dirent64, d_name)) {
        memcpy(&size, records + at + offsetof(struct dirent64, d_reclen), sizeof(size));
        if (!size || size > len - at)
            break;
        at += size;
    }
    return at;
}

/* A listing has the records ready; their d_off is the offset of the next. */
long sys_getdents64(struct call *c)
{
    struct handle h;
    uint8_t records[DENTS_MAX];
    int ret = handle_of(c, &h);
    if (ret < 0)
        return ret;
    if (h.file->kind != OPEN_DIRECTORY)
        return -ENOTDIR;
    uint64_t len = (uint32_t)c->arg[2] < DENTS_MAX ? (uint32_t)c->arg[2] : DENTS_MAX;
    if (h.file->offset > INT32_MAX)
        return 0;
    off_t at = (off_t)(OPENER_ENTRIES_AT + h.file->offset);
    ssize_t have = pread(h.host, records, sizeof(records), at);
    if (have <= 0)
        return have < 0 ? -errno : 0;
    len = whole_records(records, len < (uint64_t)have ? len : (uint64_t)have);
    if (!len)
        return -EINVAL;
    if (guest_write(&c->m->mem, c->arg[1], records, len) < 0)
        return -EFAULT;
    h.file->offset += len;
    return (long)len;
}

long sys_ftruncate(struct call *c)
{
    struct handle h;
    int64_t len = (int64_t)c->arg[1];
    if (len < 0)
        return -EINVAL;
    int ret = handle_of(c, &h);
    if (ret < 0)
        return ret;
    if (h.file->kind < OPEN_MEMORY || !file_writable(h.file))
        return -EINVAL;
    if (h.file->kind == OPEN_MEMORY)
        return memory_resize(c->m, h.file, (uint64_t)len);
    if (h.file->kind == OPEN_STATE && (uint64_t)len > STATE_MAX)
        return -EFBIG;
    return ftruncate(h.host, len) < 0 ? -errno : 0;
}

/* The state file is synced when it is closed. */
long sys_fsync(struct call *c)
{
    struct handle h;
    int ret = handle_of(c, &h);
    if (ret < 0)
        return ret;
    if (h.file->kind < OPEN_MEMORY)
        return -EINVAL;
    return h.file->kind == OPEN_FILE && fsync(h.host) < 0 ? -errno : 0;
}
