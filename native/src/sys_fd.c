/* sys_fd.c: the numbers of what is open: duplicates, flags, the end. */
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "inet.h"
#include "object_io.h"
#include "sys_lock.h"

/* What F_SETFL changes. */
#define SETTABLE ((uint32_t)(O_APPEND | O_NONBLOCK | O_NOATIME))

static struct descriptors *table(const struct call *c)
{
    return &c->m->process->files;
}

long sys_close(struct call *c)
{
    return close_number(c, fd_of(c));
}

long sys_dup(struct call *c)
{
    int index = descriptors_find(table(c), fd_of(c));
    return index < 0 ? index : descriptors_add(table(c), index, 0, 0);
}

static long dup_to(struct call *c, int cloexec)
{
    uint32_t to = (uint32_t)c->arg[1];
    int index = descriptors_find(table(c), fd_of(c));
    if (to >= DESCRIPTORS || to >= table(c)->limit || index < 0)
        return -EBADF;
    if (descriptors_find(table(c), to) >= 0)
        close_number(c, to);
    descriptors_set(table(c), index, to, cloexec);
    return to;
}

long sys_dup2(struct call *c)
{
    if (fd_of(c) != (uint32_t)c->arg[1])
        return dup_to(c, 0);
    return descriptors_find(table(c), fd_of(c)) < 0 ? -EBADF : (long)fd_of(c);
}

long sys_dup3(struct call *c)
{
    uint32_t flags = (uint32_t)c->arg[2];
    if (flags & ~(uint32_t)O_CLOEXEC || fd_of(c) == (uint32_t)c->arg[1])
        return -EINVAL;
    return dup_to(c, !!flags);
}

static void mark(struct descriptors *d, uint32_t fd, int on)
{
    uint64_t bit = 1UL << fd;
    d->close_on_exec = on ? d->close_on_exec | bit : d->close_on_exec & ~bit;
}

/* Those that are closed are, whatever comes of the others. */
long sys_close_range(struct call *c)
{
    uint32_t first = fd_of(c), last = (uint32_t)c->arg[1], flags = (uint32_t)c->arg[2];
    if (flags & ~(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC) || first > last)
        return -EINVAL;
    for (uint32_t fd = first; fd <= last && fd < DESCRIPTORS; fd++)
        if (flags & CLOSE_RANGE_CLOEXEC)
            mark(table(c), fd, descriptors_find(table(c), fd) >= 0);
        else if (descriptors_find(table(c), fd) >= 0)
            close_number(c, fd);
    return 0;
}

/* It is always given: there is no other process. */
long sys_flock(struct call *c)
{
    uint32_t how = (uint32_t)c->arg[1] & ~(uint32_t)LOCK_NB;
    if (how != LOCK_SH && how != LOCK_EX && how != LOCK_UN)
        return -EINVAL;
    return descriptors_find(table(c), fd_of(c)) < 0 ? -EBADF : 0;
}

static long set_flags(struct open_file *file, uint32_t flags)
{
    file->flags = (file->flags & ~SETTABLE) | (flags & SETTABLE);
    return 0;
}

static long close_on_exec(struct call *c, int change)
{
    if (!change)
        return !!(table(c)->close_on_exec & 1UL << fd_of(c));
    mark(table(c), fd_of(c), !!(c->arg[2] & FD_CLOEXEC));
    return 0;
}

/* F_GETPIPE_SZ, and F_SETPIPE_SZ: all pipes are as large. */
static long pipe_size(const struct open_file *file, uint64_t wanted)
{
    const uint32_t size = PIPE_PAGES * PIPE_PAGE;
    if (file->kind != OPEN_PIPE)
        return -EBADF;
    return wanted > size ? -EPERM : (long)size;
}

long sys_fcntl(struct call *c)
{
    struct handle h;
    struct descriptors *d = table(c);
    uint32_t command = (uint32_t)c->arg[1];
    int index = descriptors_find(d, fd_of(c));
    if (index < 0)
        return index;
    switch (command) {
    case F_GETFD:
    case F_SETFD:
        return close_on_exec(c, command == F_SETFD);
    case F_GETFL:
        return d->open[index].flags;
    case F_SETFL:
        return set_flags(&d->open[index], (uint32_t)c->arg[2]);
    case F_DUPFD:
    case F_DUPFD_CLOEXEC:
        if (c->arg[2] >= d->limit)
            return -EINVAL;
        return descriptors_add(d, index, (uint32_t)c->arg[2],
                               command == F_DUPFD_CLOEXEC);
    case F_GETPIPE_SZ:
    case F_SETPIPE_SZ:
        return pipe_size(&d->open[index], command == F_SETPIPE_SZ ? c->arg[2] : 0);
    case F_GETLK:
    case F_SETLK:
    case F_SETLKW:
        return handle_of(c, &h) < 0 ? -EBADF : lock_records(c, &h);
    default:
        return -EINVAL;
    }
}

/* FIONBIO: O_NONBLOCK, as the int at the third argument says. */
static long set_waiting(struct call *c, struct open_file *file)
{
    int on;
    if (guest_read(&c->m->mem, c->arg[2], &on, sizeof(on)) < 0)
        return -EFAULT;
    file->flags = on ? file->flags | O_NONBLOCK : file->flags & ~(uint32_t)O_NONBLOCK;
    return 0;
}

/* FIONREAD: bytes that a read would find. */
static long tell_bytes(struct call *c, const struct handle *h)
{
    struct stat st;
    int kind = h->file->kind, bytes = 0;
    if (kind == OPEN_INET)
        bytes = (int)inet_bytes(c->m, h->file);
    else if (kind == OPEN_PIPE || kind == OPEN_SOCKET)
        bytes = (int)pipe_bytes(c->m, h->file);
    else if (kind < OPEN_MEMORY || kind == OPEN_DIRECTORY)
        return kind == OPEN_EPOLL ? -EINVAL : -ENOTTY;
    else if (file_stat(h, &st) == 0)
        bytes = (int)((uint64_t)st.st_size - h->file->offset);
    return guest_write(&c->m->mem, c->arg[2], &bytes, sizeof(bytes));
}

/* No descriptor is a terminal: stdio buffers whole blocks. */
long sys_ioctl(struct call *c)
{
    struct handle h;
    int ret = handle_of(c, &h);
    if (ret < 0)
        return ret;
    switch ((uint32_t)c->arg[1]) {
    case FIOCLEX:
    case FIONCLEX:
        mark(table(c), fd_of(c), (uint32_t)c->arg[1] == FIOCLEX);
        return 0;
    case FIONBIO:
        return set_waiting(c, h.file);
    case FIONREAD:
        return tell_bytes(c, &h);
    default:
        return h.file->kind == OPEN_EPOLL ? -EINVAL : -ENOTTY;
    }
}
