/* sys_pipe.c: pipes, and pairs of sockets, which are two of them. A program alone talks
 * to itself: nobody else has an end. */
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "object_io.h"
#include "waits.h"

/* Tells if something open reads, or writes, pipe (number). */
static int has_end(const struct machine *m, int number, int writing)
{
    const struct descriptors *d = &m->process->files;
    for (int i = 0; i < DESCRIPTORS && number; i++) {
        const struct open_file *file = &d->open[i];
        if (file->kind == OPEN_SOCKET &&
            (writing ? file->other : file->object) == number)
            return 1;
        if (file->kind == OPEN_PIPE && file->object == number &&
            file_writable(file) == writing)
            return 1;
    }
    return 0;
}

static int written(const struct open_file *file)
{
    return file->kind == OPEN_SOCKET ? file->other : file->object;
}

static int is_full(const struct pipe *p)
{
    return p->count == PIPE_PAGES;
}

static uint32_t last_page(const struct pipe *p)
{
    return (p->first + p->count - 1) % PIPE_PAGES;
}

/* The first page with bytes has none left. */
static void give_page(struct object *at)
{
    at->wakes[1] += is_full(&at->pipe) ? 1 : 0;
    at->pipe.first = (at->pipe.first + 1) % PIPE_PAGES;
    at->pipe.count--;
}

static long take_bytes(struct call *c, struct object *at, const struct buffers *b)
{
    struct pipe *p = &at->pipe;
    uint64_t done = 0;
    while (p->count && done < b->total) {
        uint32_t page = p->first;
        uint64_t n = p->page[page].len, rest = b->total - done;
        n = n < rest ? n : rest;
        const uint8_t *from = at->data + page * PIPE_PAGE + p->page[page].at;
        uint64_t put = buffers_put(c, b, done, from, n);
        p->page[page].at = (uint16_t)(p->page[page].at + put);
        p->page[page].len = (uint16_t)(p->page[page].len - put);
        done += put;
        if (put < n)
            return done ? (long)done : -EFAULT;
        if (!p->page[page].len)
            give_page(at);
    }
    return (long)done;
}

long pipe_read(struct call *c, struct open_file *file, const struct buffers *b)
{
    const struct object *at = objects_find(&c->m->objects, file->object, OPEN_PIPE);
    if (!at)
        return file->kind == OPEN_SOCKET ? 0 : -EBADF; /* it has been shut down */
    if (!b->total)
        return 0;
    if (at->pipe.count)
        return take_bytes(c, objects_change(&c->m->objects, file->object, OPEN_PIPE),
                          b);
    if (!has_end(c->m, file->object, 1))
        return 0;
    return object_wait(c, file, WAITS_FOR_EVER, "an empty pipe that nobody can fill");
}

/* Tells if the odd bytes of a write of (total) fit behind the last ones. */
static int fits_behind(const struct pipe *p, uint64_t total)
{
    uint32_t page = last_page(p), end = (uint32_t)p->page[page].at + p->page[page].len;
    return p->count && total % PIPE_PAGE && end + total % PIPE_PAGE <= PIPE_PAGE;
}

/* Puts the next bytes of (b) behind the last ones, where (done) is 0 and they fit
 * there, else into a page of their own: a write of a page or less is whole. Bytes or
 * -errno. */
static long put_page(struct call *c, struct object *at, const struct buffers *b,
                     uint64_t done)
{
    struct pipe *p = &at->pipe;
    int behind = done == 0 && fits_behind(p, b->total);
    uint64_t n = behind ? b->total % PIPE_PAGE : b->total - done;
    n = n < PIPE_PAGE ? n : PIPE_PAGE;
    if (!behind && is_full(p))
        return -EAGAIN;
    uint32_t page = behind ? last_page(p) : (p->first + p->count) % PIPE_PAGES;
    uint32_t end = behind ? (uint32_t)p->page[page].at + p->page[page].len : 0;
    if (buffers_get(c, b, done, at->data + page * PIPE_PAGE + end, n) < n)
        return -EFAULT;
    p->count += !behind;
    if (!behind)
        p->page[page].at = p->page[page].len = 0;
    p->page[page].len = (uint16_t)(p->page[page].len + n);
    return (long)n;
}

static long put_bytes(struct call *c, struct object *at, const struct buffers *b)
{
    uint64_t done = 0;
    long ret = 0;
    while (done < b->total && ret >= 0) {
        ret = put_page(c, at, b, done);
        done += ret > 0 ? (uint64_t)ret : 0;
    }
    at->wakes[0] += done != 0;
    return done ? (long)done : ret;
}

/* A write that does not fit ends early, also if it may wait: when it is made again,
 * nothing may have been written. */
long pipe_write(struct call *c, struct open_file *file, const struct buffers *b)
{
    int number = written(file);
    struct object *at = objects_change(&c->m->objects, (uint8_t)number, OPEN_PIPE);
    if (!at)
        return file->kind == OPEN_SOCKET ? object_broken(c) : -EBADF;
    if (!b->total)
        return 0;
    if (!has_end(c->m, number, 0))
        return object_broken(c);
    int ret = objects_grow(&c->m->objects, at, PIPE_PAGES * PIPE_PAGE);
    if (ret < 0)
        return ret;
    long n = put_bytes(c, at, b);
    if (n != -EAGAIN)
        return n;
    return object_wait(c, file, WAITS_FOR_EVER, "a full pipe that nobody can empty");
}

long pipe_bytes(const struct machine *m, const struct open_file *file)
{
    const struct object *at = objects_find(&m->objects, file->object, OPEN_PIPE);
    long bytes = 0;
    for (uint32_t i = 0; at && i < at->pipe.count; i++)
        bytes += at->pipe.page[(at->pipe.first + i) % PIPE_PAGES].len;
    return bytes;
}

static uint32_t reading_end(const struct machine *m, const struct open_file *file)
{
    const struct object *at = objects_find(&m->objects, file->object, OPEN_PIPE);
    uint32_t events = at && at->pipe.count ? POLLIN | POLLRDNORM : 0;
    if (has_end(m, file->object, 1))
        return events;
    return file->kind == OPEN_PIPE ? events | POLLHUP
                                   : events | POLLIN | POLLRDNORM | POLLRDHUP;
}

static uint32_t writing_end(const struct machine *m, const struct open_file *file)
{
    int number = written(file);
    const struct object *at = objects_find(&m->objects, (uint8_t)number, OPEN_PIPE);
    uint32_t events = at && is_full(&at->pipe) ? 0 : POLLOUT | POLLWRNORM;
    if (file->kind == OPEN_SOCKET)
        return events ? events | POLLWRBAND : 0;
    return has_end(m, number, 0) ? events : events | POLLERR;
}

uint32_t pipe_ready(const struct machine *m, const struct open_file *file)
{
    if (file->kind == OPEN_PIPE)
        return file_writable(file) ? writing_end(m, file) : reading_end(m, file);
    int over = !has_end(m, file->object, 1) && !has_end(m, file->other, 0);
    return reading_end(m, file) | writing_end(m, file) | (over ? POLLHUP : 0);
}

long give_both(struct call *c, long first, long second, uint64_t addr)
{
    const int fds[2] = {(int)first, (int)second};
    long ret = first < 0 ? first : second < 0 ? second : 0;
    if (ret == 0)
        ret = guest_write(&c->m->mem, addr, fds, sizeof(fds));
    if (ret < 0 && first >= 0)
        close_number(c, (uint32_t)first);
    if (ret < 0 && second >= 0)
        close_number(c, (uint32_t)second);
    return ret;
}

static long make_pipe(struct call *c, uint32_t flags)
{
    struct object *made;
    struct descriptors *d = &c->m->process->files;
    if (flags & ~PIPE_FLAGS)
        return -EINVAL;
    long in = object_new(c, OPEN_PIPE, flags | O_RDONLY, &made);
    if (in < 0)
        return in;
    int number = d->open[descriptors_find(d, (uint32_t)in)].object;
    return give_both(c, in, object_open(c, OPEN_PIPE, flags | O_WRONLY, number),
                     c->arg[0]);
}

long sys_pipe(struct call *c)
{
    return make_pipe(c, 0);
}

long sys_pipe2(struct call *c)
{
    return make_pipe(c, (uint32_t)c->arg[1]);
}
