/* sys_memory.c: memfd_create, a file without a name. Its bytes are the host's, and a
 * machine has OBJECT_MEMORY_MAX of them; what has never been written takes no room. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "object_io.h"

#define NAME_MAX_BYTES 250  /* with the NUL, as in Linux */
#define LARGE_FILE 0100000u /* O_LARGEFILE, which the kernel sets on its own */
#define STEP_BYTES 65536    /* room grows in steps: writes of few bytes copy little */
#define ONCE (1UL << 20) /* of one call: what the host does for a guest has a bound */

static const struct object *memory_of(const struct machine *m,
                                      const struct open_file *f)
{
    return objects_find(&m->objects, f->object, OPEN_MEMORY);
}

static const uint8_t zeros[PAGE_SIZE];

/* Up to a page from (offset): what is stored there, or zeros. */
static uint64_t stored(const struct object *at, uint64_t offset, uint64_t len,
                       const uint8_t **from)
{
    uint64_t most = len < sizeof(zeros) ? len : sizeof(zeros);
    *from = zeros;
    if (offset >= at->room)
        return most;
    *from = at->data + offset;
    return most < at->room - offset ? most : at->room - offset;
}

long memory_read_at(struct call *c, const struct open_file *file,
                    const struct buffers *b, uint64_t offset)
{
    const struct object *at = memory_of(c->m, file);
    if (!at)
        return -EBADF;
    uint64_t rest = offset < at->size ? at->size - offset : 0, done = 0;
    uint64_t len = b->total < rest ? b->total : rest;
    len = len < ONCE ? len : ONCE;
    while (done < len) {
        const uint8_t *from;
        uint64_t n = stored(at, offset + done, len - done, &from);
        uint64_t put = buffers_put(c, b, done, from, n);
        done += put;
        if (put < n)
            return done ? (long)done : -EFAULT;
    }
    return (long)done;
}

long memory_read(struct call *c, struct open_file *file, const struct buffers *b)
{
    long n = memory_read_at(c, file, b, file->offset);
    file->offset += n > 0 ? (uint64_t)n : 0;
    return n;
}

/* Room for what is written up to (end). 0 or -ENOSPC. */
static int make_room(struct call *c, struct object *at, uint64_t end)
{
    if (end > OBJECT_MEMORY_MAX)
        return -ENOSPC;
    uint64_t step = (end + STEP_BYTES - 1) / STEP_BYTES * STEP_BYTES;
    return objects_grow(&c->m->objects, at, step) < 0 ? -ENOSPC : 0;
}

long memory_write_at(struct call *c, const struct open_file *file,
                     const struct buffers *b, uint64_t offset)
{
    struct object *at = objects_change(&c->m->objects, file->object, OPEN_MEMORY);
    uint64_t len = b->total < ONCE ? b->total : ONCE;
    if (!at)
        return -EBADF;
    if (!len)
        return 0;
    if (offset > INT64_MAX - len)
        return -EFBIG;
    int ret = make_room(c, at, offset + len);
    if (ret < 0)
        return ret;
    uint64_t n = buffers_get(c, b, 0, at->data + offset, len);
    if (n && offset + n > at->size)
        at->size = offset + n;
    return n ? (long)n : -EFAULT;
}

long memory_write(struct call *c, struct open_file *file, const struct buffers *b)
{
    const struct object *at = memory_of(c->m, file);
    if (at && file->flags & O_APPEND)
        file->offset = at->size;
    long n = memory_write_at(c, file, b, file->offset);
    file->offset += n > 0 ? (uint64_t)n : 0;
    return n;
}

uint64_t memory_size(const struct machine *m, const struct open_file *file)
{
    const struct object *at = memory_of(m, file);
    return at ? at->size : 0;
}

/* What is cut off is zero if the file grows again. */
long memory_resize(struct machine *m, const struct open_file *file, uint64_t size)
{
    struct object *at = objects_change(&m->objects, file->object, OPEN_MEMORY);
    if (!at)
        return -EBADF;
    if (size < at->room)
        memset(at->data + size, 0, at->room - size);
    at->size = size;
    return 0;
}

long sys_memfd_create(struct call *c)
{
    char name[NAME_MAX_BYTES];
    struct object *made;
    uint32_t flags = (uint32_t)c->arg[1];
    if (flags & ~(uint32_t)(MFD_CLOEXEC | MFD_ALLOW_SEALING))
        return -EINVAL; /* no huge pages */
    long len = guest_string(&c->m->mem, c->arg[0], name, sizeof(name));
    if (len < 0)
        return len == -ENAMETOOLONG ? -EINVAL : len;
    uint32_t cloexec = flags & MFD_CLOEXEC ? O_CLOEXEC : 0;
    return object_new(c, OPEN_MEMORY, O_RDWR | LARGE_FILE | cloexec, &made);
}
