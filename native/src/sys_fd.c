/* sys_fd.c: the numbers of what is open: duplicates, flags, the end. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>

#include "syscall.h"

/* What F_SETFL changes. */
#define SETTABLE ((uint32_t)(O_APPEND | O_NONBLOCK | O_NOATIME))

static struct descriptors *table(const struct call *c)
{
    return &c->m->process->files;
}

/* The deadline bounds it, and not file_until: a state file may be long. */
long sys_close(struct call *c)
{
    struct machine *m = c->m;
    if (descriptors_find(table(c), fd_of(c)) < 0)
        return -EBADF;
    return files_close(&m->files, table(c), fd_of(c), m->deadline);
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
    if (to >= DESCRIPTORS || index < 0)
        return -EBADF;
    if (descriptors_find(table(c), to) >= 0)
        files_close(&c->m->files, table(c), to, c->m->deadline);
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

static long set_flags(struct open_file *file, uint32_t flags)
{
    file->flags = (file->flags & ~SETTABLE) | (flags & SETTABLE);
    return 0;
}

static long close_on_exec(struct call *c, int change)
{
    struct descriptors *d = table(c);
    uint64_t bit = 1UL << fd_of(c);
    if (change)
        d->close_on_exec =
            c->arg[2] & FD_CLOEXEC ? d->close_on_exec | bit : d->close_on_exec & ~bit;
    return change ? 0 : !!(d->close_on_exec & bit);
}

long sys_fcntl(struct call *c)
{
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
        if (c->arg[2] >= DESCRIPTORS)
            return -EINVAL;
        return descriptors_add(d, index, (uint32_t)c->arg[2],
                               command == F_DUPFD_CLOEXEC);
    default:
        return -EINVAL;
    }
}

/* No descriptor is a terminal: stdio buffers whole blocks. */
long sys_ioctl(struct call *c)
{
    return descriptors_find(table(c), fd_of(c)) < 0 ? -EBADF : -ENOTTY;
}

/* All that is open is always ready; musl asks at start-up. */
long sys_poll(struct call *c)
{
    struct pollfd fds[DESCRIPTORS];
    uint64_t count = c->arg[1];
    if (count > DESCRIPTORS)
        return -EINVAL;
    if (guest_read(&c->m->mem, c->arg[0], fds, count * sizeof(*fds)) < 0)
        return -EFAULT;
    long ready = 0;
    for (uint64_t i = 0; i < count; i++) {
        int known = descriptors_find(table(c), (uint32_t)fds[i].fd) >= 0;
        int found = known ? fds[i].events & (POLLIN | POLLOUT) : POLLNVAL;
        fds[i].revents = fds[i].fd < 0 ? 0 : (short)found;
        ready += fds[i].revents != 0;
    }
    long ret = guest_write(&c->m->mem, c->arg[0], fds, count * sizeof(*fds));
    return ret < 0 ? ret : ready;
}
