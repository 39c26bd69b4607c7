/* sys_file.c: descriptors. A program has the standard three; there are no files yet. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "syscall.h"

#define PATH_SIZE 4096
#define IOV_MAX_COUNT 1024
#define WRITE_MAX 65536 /* of one call: what the host does for a guest has a bound */

int is_open(const struct machine *m, uint32_t fd)
{
    return fd < 3 && m->process->open_stdio & 1u << fd;
}

/* The first argument; of an int only the lower half counts. */
static uint32_t fd_of(const struct call *c)
{
    return (uint32_t)c->arg[0];
}

/* Standard output and error are lines of the program's log. */
static long write_out(struct machine *m, uint32_t fd, uint64_t addr, uint64_t len)
{
    len = len < WRITE_MAX ? len : WRITE_MAX;
    const uint8_t *text = guest_view(&m->mem, addr, len);
    if (!text)
        return -EFAULT;
    int kind = fd == 1 ? SKERRY_LINE_STDOUT : SKERRY_LINE_STDERR;
    console_write(m->console, kind, (const char *)text, len);
    return (long)len;
}

long sys_write(struct call *c)
{
    uint32_t fd = fd_of(c);
    if (!is_open(c->m, fd) || fd == 0)
        return -EBADF;
    return write_out(c->m, fd, c->arg[1], c->arg[2]);
}

static long write_vector(struct machine *m, uint32_t fd, const struct guest_buffer *iov,
                         uint64_t count)
{
    long total = 0;
    for (uint64_t i = 0; i < count; i++)
        if (iov[i].len > INT64_MAX)
            return -EINVAL;
    for (uint64_t i = 0; i < count && total < WRITE_MAX; i++) {
        long ret = write_out(m, fd, iov[i].addr, iov[i].len);
        if (ret < 0)
            return total ? total : ret;
        total += ret;
        if ((uint64_t)ret < iov[i].len)
            break;
    }
    return total;
}

long sys_writev(struct call *c)
{
    struct guest_buffer iov[IOV_MAX_COUNT];
    if (!is_open(c->m, fd_of(c)) || fd_of(c) == 0)
        return -EBADF;
    if (c->arg[2] > IOV_MAX_COUNT)
        return -EINVAL;
    if (guest_read(&c->m->mem, c->arg[1], iov, c->arg[2] * sizeof(*iov)) < 0)
        return -EFAULT;
    return write_vector(c->m, fd_of(c), iov, c->arg[2]);
}

/* Standard input is empty. */
long sys_read(struct call *c)
{
    return is_open(c->m, fd_of(c)) && fd_of(c) == 0 ? 0 : -EBADF;
}

long sys_readv(struct call *c)
{
    return sys_read(c);
}

long sys_close(struct call *c)
{
    if (!is_open(c->m, fd_of(c)))
        return -EBADF;
    c->m->process->open_stdio &= ~(1u << fd_of(c));
    return 0;
}

static long stat_stdio(struct machine *m, uint32_t fd, uint64_t addr)
{
    if (!is_open(m, fd))
        return -EBADF;
    struct stat st = {.st_mode = S_IFCHR | 0620, .st_nlink = 1, .st_blksize = 1024};
    return guest_write(&m->mem, addr, &st, sizeof(st));
}

long sys_fstat(struct call *c)
{
    return stat_stdio(c->m, fd_of(c), c->arg[1]);
}

/* Reads a path, so that a bad pointer is EFAULT and an empty path is known. */
static long path_length(struct machine *m, uint64_t addr)
{
    char path[PATH_SIZE];
    return guest_string(&m->mem, addr, path, sizeof(path));
}

long sys_newfstatat(struct call *c)
{
    long len = path_length(c->m, c->arg[1]);
    if (len == 0 && c->arg[3] & AT_EMPTY_PATH)
        return stat_stdio(c->m, fd_of(c), c->arg[2]);
    return len < 0 ? len : -ENOENT;
}

long sys_no_file(struct call *c)
{
    long len = path_length(c->m, c->arg[0]);
    return len < 0 ? len : -ENOENT;
}

long sys_no_file_at(struct call *c)
{
    long len = path_length(c->m, c->arg[1]);
    return len < 0 ? len : -ENOENT;
}

long sys_lseek(struct call *c)
{
    if (!is_open(c->m, fd_of(c)))
        return -EBADF;
    return (uint32_t)c->arg[2] > SEEK_HOLE ? -EINVAL : -ESPIPE;
}

/* No descriptor is a terminal: stdio buffers whole blocks. */
long sys_ioctl(struct call *c)
{
    return is_open(c->m, fd_of(c)) ? -ENOTTY : -EBADF;
}

long sys_fcntl(struct call *c)
{
    if (!is_open(c->m, fd_of(c)))
        return -EBADF;
    switch ((uint32_t)c->arg[1]) {
    case F_GETFD:
    case F_SETFD:
    case F_SETFL:
        return 0;
    case F_GETFL:
        return fd_of(c) == 0 ? O_RDONLY : O_WRONLY;
    case F_DUPFD:
    case F_DUPFD_CLOEXEC:
        return -EMFILE;
    default:
        return -EINVAL;
    }
}

long sys_dup(struct call *c)
{
    return is_open(c->m, fd_of(c)) ? -EMFILE : -EBADF;
}

/* Guests live at "/"; the host's directory is not theirs to see. */
long sys_getcwd(struct call *c)
{
    if (c->arg[1] < 2)
        return -ERANGE;
    long ret = guest_write(&c->m->mem, c->arg[0], "/", 2);
    return ret < 0 ? ret : 2;
}

/* The standard three are always ready; musl asks at start-up. */
long sys_poll(struct call *c)
{
    struct pollfd fds[8];
    uint64_t count = c->arg[1];
    if (count > 8)
        return -EINVAL;
    if (guest_read(&c->m->mem, c->arg[0], fds, count * sizeof(*fds)) < 0)
        return -EFAULT;
    long ready = 0;
    for (uint64_t i = 0; i < count; i++) {
        int known = is_open(c->m, (uint32_t)fds[i].fd);
        int found = known ? fds[i].events & (POLLIN | POLLOUT) : POLLNVAL;
        fds[i].revents = fds[i].fd < 0 ? 0 : (short)found;
        ready += fds[i].revents != 0;
    }
    long ret = guest_write(&c->m->mem, c->arg[0], fds, count * sizeof(*fds));
    return ret < 0 ? ret : ready;
}
