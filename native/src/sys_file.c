/* sys_file.c: reading and writing. Offsets are the program's own: processes and clones
 * share the host's descriptors, so nothing here moves those. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "object_io.h"

#define IOV_MAX_COUNT 1024
#define WRITE_MAX 65536 /* of one call: what the host does for a guest has a bound */
#define FILE_MAX (8U << 20) /* the same, of a file */

int handle_of(const struct call *c, struct handle *h)
{
    struct descriptors *d = &c->m->process->files;
    int index = descriptors_find(d, fd_of(c));
    if (index < 0)
        return index;
    *h = (struct handle){&d->open[index], files_host(&c->m->files, d, index), c->m};
    return 0;
}

static int is_readable(const struct open_file *file)
{
    return (file->flags & O_ACCMODE) != O_WRONLY;
}

int file_stat(const struct handle *h, struct stat *st)
{
    if (h->file->kind == OPEN_DIRECTORY)
        return pread(h->host, st, sizeof(*st), 0) == sizeof(*st) ? 0 : -EIO;
    if (h->file->kind >= OPEN_FILE)
        return fstat(h->host, st) < 0 ? -errno : 0;
    *st = (struct stat){.st_mode = S_IFCHR | 0620, .st_nlink = 1, .st_blksize = 1024};
    if (is_object(h->file)) {
        st->st_mode = object_mode(h->file);
        st->st_blksize = PAGE_SIZE;
        if (h->file->kind == OPEN_MEMORY)
            st->st_size = (off_t)memory_size(h->m, h->file);
    }
    return 0;
}

/* Bytes of (h) from (offset) on, at most (len): no buffer is noted as written, or has
 * to be there, beyond what is read. */
static long rest_of(const struct handle *h, uint64_t offset, uint64_t len)
{
    struct stat st;
    int ret = file_stat(h, &st);
    if (ret < 0)
        return ret;
    uint64_t size = (uint64_t)st.st_size;
    uint64_t rest = offset < size ? size - offset : 0;
    return (long)(rest < len ? rest : len);
}

static long read_at(struct call *c, const struct handle *h, uint64_t addr, uint64_t len,
                    uint64_t offset)
{
    if (h->file->kind == OPEN_MEMORY) {
        const struct guest_buffer one = {addr, len};
        return memory_read_at(c, h->file, &(struct buffers){&one, 1, len}, offset);
    }
    long rest = rest_of(h, offset, len < FILE_MAX ? len : FILE_MAX);
    if (rest <= 0)
        return rest;
    uint8_t *to = guest_window(&c->m->mem, addr, (uint64_t)rest);
    if (!to)
        return -EFAULT;
    ssize_t n = pread(h->host, to, (size_t)rest, (off_t)offset);
    return n < 0 ? -errno : n;
}

/* What cannot be read, before anything else is looked at. Standard input is empty. */
static int check_read(const struct call *c, struct handle *h)
{
    int ret = handle_of(c, h);
    if (ret < 0)
        return ret;
    if (!is_readable(h->file))
        return -EBADF;
    return h->file->kind == OPEN_DIRECTORY ? -EISDIR : 0;
}

long sys_read(struct call *c)
{
    struct handle h;
    long ret = check_read(c, &h);
    if (ret < 0 || h.file->kind == OPEN_INPUT)
        return ret;
    if (is_object(h.file)) {
        const struct guest_buffer one = {c->arg[1], c->arg[2]};
        return object_read(c, h.file, &(struct buffers){&one, 1, one.len});
    }
    ret = read_at(c, &h, c->arg[1], c->arg[2], h.file->offset);
    if (ret > 0)
        h.file->offset += (uint64_t)ret;
    return ret;
}

long sys_pread64(struct call *c)
{
    struct handle h;
    if (c->arg[3] > INT64_MAX)
        return -EINVAL;
    long ret = handle_of(c, &h);
    if (ret == 0 && h.file->kind < OPEN_MEMORY)
        return -ESPIPE;
    if (ret == 0)
        ret = check_read(c, &h);
    return ret < 0 ? ret : read_at(c, &h, c->arg[1], c->arg[2], c->arg[3]);
}

/* Standard output and error are lines of the program's log. */
static long write_out(struct machine *m, const struct open_file *file, uint64_t addr,
                      uint64_t len)
{
    len = len < WRITE_MAX ? len : WRITE_MAX;
    const uint8_t *text = guest_view(&m->mem, addr, len);
    if (!text)
        return -EFAULT;
    int kind = file->kind == OPEN_OUTPUT ? SKERRY_LINE_STDOUT : SKERRY_LINE_STDERR;
    console_write(m->console, kind, (const char *)text, len);
    return (long)len;
}

static long write_at(struct call *c, const struct handle *h, uint64_t addr,
                     uint64_t len, uint64_t offset)
{
    if (h->file->kind == OPEN_MEMORY) {
        const struct guest_buffer one = {addr, len};
        return memory_write_at(c, h->file, &(struct buffers){&one, 1, len}, offset);
    }
    len = len < FILE_MAX ? len : FILE_MAX;
    if (h->file->kind == OPEN_STATE && (offset > STATE_MAX || len > STATE_MAX - offset))
        return -EFBIG;
    const uint8_t *from = guest_view(&c->m->mem, addr, len);
    if (!from)
        return -EFAULT;
    ssize_t n = pwrite(h->host, from, len, (off_t)offset);
    return n < 0 ? -errno : n;
}

static long append(struct call *c, const struct handle *h, uint64_t addr, uint64_t len)
{
    struct stat st;
    if (h->file->kind < OPEN_FILE)
        return write_out(c->m, h->file, addr, len);
    int ret = h->file->flags & O_APPEND ? file_stat(h, &st) : 0;
    if (ret < 0)
        return ret;
    if (h->file->flags & O_APPEND)
        h->file->offset = (uint64_t)st.st_size;
    long n = write_at(c, h, addr, len, h->file->offset);
    if (n > 0)
        h->file->offset += (uint64_t)n;
    return n;
}

static int check_write(const struct call *c, struct handle *h)
{
    int ret = handle_of(c, h);
    return ret == 0 && !file_writable(h->file) ? -EBADF : ret;
}

long sys_write(struct call *c)
{
    struct handle h;
    int ret = check_write(c, &h);
    if (ret < 0)
        return ret;
    if (is_object(h.file)) {
        const struct guest_buffer one = {c->arg[1], c->arg[2]};
        return object_write(c, h.file, &(struct buffers){&one, 1, one.len});
    }
    return append(c, &h, c->arg[1], c->arg[2]);
}

long sys_pwrite64(struct call *c)
{
    struct handle h;
    if (c->arg[3] > INT64_MAX)
        return -EINVAL;
    int ret = handle_of(c, &h);
    if (ret == 0 && h.file->kind < OPEN_MEMORY)
        return -ESPIPE;
    if (ret == 0)
        ret = check_write(c, &h);
    return ret < 0 ? ret : write_at(c, &h, c->arg[1], c->arg[2], c->arg[3]);
}

/* The buffers of readv and writev. Returns how many, or -errno. */
static long take_vector(struct call *c, struct guest_buffer iov[IOV_MAX_COUNT])
{
    uint64_t count = c->arg[2];
    if (count > IOV_MAX_COUNT)
        return -EINVAL;
    if (guest_read(&c->m->mem, c->arg[1], iov, count * sizeof(*iov)) < 0)
        return -EFAULT;
    for (uint64_t i = 0; i < count; i++)
        if (iov[i].len > INT64_MAX)
            return -EINVAL;
    return (long)count;
}

/* Passes each buffer to (one), which is sys_read or sys_write, until that does less
 * than it is asked for, or enough has been done. */
static long each_buffer(struct call *c, syscall_handler *one, long most)
{
    struct guest_buffer iov[IOV_MAX_COUNT];
    long total = 0, count = take_vector(c, iov);
    for (long i = 0; i < count && total < most; i++) {
        struct call part = {c->m, {c->arg[0], iov[i].addr, iov[i].len}, 0, 0, 0};
        part.arg[3] = c->arg[3] + (uint64_t)total;
        long ret = iov[i].len ? one(&part) : 0;
        if (ret < 0)
            return total ? total : ret;
        total += ret;
        if ((uint64_t)ret < iov[i].len)
            break;
    }
    return count < 0 ? count : total;
}

/* Objects take all buffers at once: what fits into a page of a pipe goes there whole.
 */
static long all_buffers(struct call *c, struct open_file *file, object_call *all)
{
    struct guest_buffer iov[IOV_MAX_COUNT];
    long count = take_vector(c, iov);
    struct buffers b = {iov, count, 0};
    for (long i = 0; i < count; i++)
        if (__builtin_add_overflow(b.total, iov[i].len, &b.total))
            b.total = INT64_MAX;
    return count < 0 ? count : all(c, file, &b);
}

long sys_readv(struct call *c)
{
    struct handle h;
    int ret = check_read(c, &h);
    if (ret < 0 && ret != -EISDIR)
        return ret;
    if (ret == 0 && is_object(h.file))
        return all_buffers(c, h.file, object_read);
    return each_buffer(c, sys_read, FILE_MAX);
}

long sys_writev(struct call *c)
{
    struct handle h;
    int ret = check_write(c, &h);
    if (ret < 0)
        return ret;
    if (is_object(h.file))
        return all_buffers(c, h.file, object_write);
    return each_buffer(c, sys_write, h.file->kind < OPEN_FILE ? WRITE_MAX : FILE_MAX);
}

/* preadv, pwritev: what has no place to be at has no buffers to look at. */
static long each_at(struct call *c, syscall_handler *one)
{
    struct handle h;
    int ret = (int64_t)c->arg[3] < 0 ? -EINVAL : handle_of(c, &h);
    if (ret < 0)
        return ret;
    return h.file->kind < OPEN_MEMORY ? -ESPIPE : each_buffer(c, one, FILE_MAX);
}

long sys_preadv(struct call *c)
{
    struct handle h;
    long ret = check_read(c, &h);
    return ret == -EBADF && (int64_t)c->arg[3] >= 0 ? ret : each_at(c, sys_pread64);
}

long sys_pwritev(struct call *c)
{
    struct handle h;
    int ret = check_write(c, &h);
    return ret < 0 && (int64_t)c->arg[3] >= 0 ? ret : each_at(c, sys_pwrite64);
}

/* Each write is the host's when the call returns: flags that ask for more find it done.
 * Offset -1 is where the file is. */
static long with_flags(struct call *c, syscall_handler *here, syscall_handler *there)
{
    if ((uint32_t)c->arg[5] & ~(uint32_t)(RWF_HIPRI | RWF_DSYNC | RWF_SYNC))
        return -EOPNOTSUPP;
    return (int64_t)c->arg[3] == -1 ? here(c) : there(c);
}

long sys_preadv2(struct call *c)
{
    return with_flags(c, sys_readv, sys_preadv);
}

long sys_pwritev2(struct call *c)
{
    return with_flags(c, sys_writev, sys_pwritev);
}

/* mmap's descriptor is its fifth argument. */
static int mapped(const struct call *c, struct handle *h)
{
    const struct call other = {c->m, {c->arg[4]}, 0, 0, 0};
    return handle_of(&other, h);
}

long file_to_map(const struct call *c)
{
    struct handle h;
    int ret = mapped(c, &h);
    if (ret < 0)
        return ret;
    if (c->arg[5] % PAGE_SIZE)
        return -EINVAL;
    if (!is_readable(h.file))
        return h.file->kind < OPEN_MEMORY ? -ENODEV : -EACCES;
    if (h.file->kind < OPEN_MEMORY || h.file->kind == OPEN_DIRECTORY)
        return -ENODEV;
    if (c->arg[3] & MAP_SHARED && c->arg[2] & PROT_WRITE && !file_writable(h.file))
        return -EACCES;
    return rest_of(&h, c->arg[5], INT64_MAX);
}

long file_copy(struct call *c, uint64_t addr, uint64_t len)
{
    struct handle h;
    int ret = mapped(c, &h);
    for (uint64_t at = 0; ret == 0 && at < len;) {
        long n = read_at(c, &h, addr + at, len - at, c->arg[5] + at);
        bounce_settle(&c->m->mem);
        bounce_drop(&c->m->mem); /* one piece at a time */
        if (n <= 0)
            return n;
        at += (uint64_t)n;
        if (clock_now() >= c->m->deadline)
            return -EINTR;
    }
    return ret;
}
