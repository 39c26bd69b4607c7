/* object_io.c: see object_io.h. */
#include "object_io.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "sending.h"
#include "waits.h"

struct kind {
    object_call *read, *write;
    object_look *ready; /* NULL: always */
    uint32_t mode;
};

static const struct kind kinds[OPEN_FILE] = {
    [OPEN_PIPE] = {pipe_read, pipe_write, pipe_ready, S_IFIFO | 0600},
    [OPEN_SOCKET] = {pipe_read, pipe_write, pipe_ready, S_IFSOCK | 0777},
    [OPEN_EVENT] = {event_read, event_write, event_ready, 0600},
    [OPEN_TIMER] = {timer_read, NULL, timer_ready, 0600},
    [OPEN_EPOLL] = {NULL, NULL, epoll_ready, 0600},
    [OPEN_INET] = {inet_read, inet_write, inet_ready, S_IFSOCK | 0777},
    [OPEN_MEMORY] = {memory_read, memory_write, NULL, S_IFREG | 0777},
};

/* Where byte (skip) of (b) is: the buffer, with what is left of it. */
static struct guest_buffer piece(const struct buffers *b, uint64_t skip)
{
    for (long i = 0; i < b->count; i++) {
        if (skip < b->at[i].len)
            return (struct guest_buffer){b->at[i].addr + skip, b->at[i].len - skip};
        skip -= b->at[i].len;
    }
    return (struct guest_buffer){0};
}

uint64_t buffers_put(struct call *c, const struct buffers *b, uint64_t skip,
                     const void *src, uint64_t len)
{
    uint64_t done = 0;
    while (done < len) {
        struct guest_buffer to = piece(b, skip + done);
        uint64_t n = to.len < len - done ? to.len : len - done;
        if (!n || guest_write(&c->m->mem, to.addr, (const uint8_t *)src + done, n) < 0)
            break;
        done += n;
    }
    return done;
}

uint64_t buffers_get(const struct call *c, const struct buffers *b, uint64_t skip,
                     void *dst, uint64_t len)
{
    uint64_t done = 0;
    while (done < len) {
        struct guest_buffer from = piece(b, skip + done);
        uint64_t n = from.len < len - done ? from.len : len - done;
        if (!n || guest_read(&c->m->mem, from.addr, (uint8_t *)dst + done, n) < 0)
            break;
        done += n;
    }
    return done;
}

long object_read(struct call *c, struct open_file *file, const struct buffers *b)
{
    object_call *read = kinds[file->kind].read;
    return read ? read(c, file, b) : -EINVAL;
}

long object_write(struct call *c, struct open_file *file, const struct buffers *b)
{
    object_call *write = kinds[file->kind].write;
    return write ? write(c, file, b) : -EINVAL;
}

uint32_t object_mode(const struct open_file *file)
{
    return kinds[file->kind].mode;
}

long object_open(struct call *c, int kind, uint32_t flags, int number)
{
    struct descriptors *d = &c->m->process->files;
    struct open_file file = {.flags = flags & ~(uint32_t)O_CLOEXEC,
                             .kind = (uint8_t)kind,
                             .object = (uint8_t)number};
    int index = descriptors_place(d);
    if (index < 0) {
        objects_closed(&c->m->objects, d, &file);
        return index;
    }
    if (kind != OPEN_MEMORY)
        file.serial = ++d->serials;
    d->open[index] = file;
    return descriptors_add(d, index, 0, !!(flags & O_CLOEXEC));
}

long object_new(struct call *c, int kind, uint32_t flags, struct object **made)
{
    struct objects *o = &c->m->objects;
    int number = objects_make(o, &c->m->process->files, kind);
    if (number < 0)
        return descriptors_place(&c->m->process->files) < 0 ? -EMFILE : number;
    *made = o->at[number - 1];
    return object_open(c, kind, flags, number);
}

/* The deadline bounds it, and not file_until: a state file may be long. */
long close_number(struct call *c, uint32_t fd)
{
    struct machine *m = c->m;
    struct descriptors *d = &m->process->files;
    int index = descriptors_find(d, fd);
    if (index < 0)
        return index;
    struct open_file was = d->open[index];
    long ret = files_close(&m->files, d, fd, m->deadline);
    if (d->open[index].kind == OPEN_NONE && is_object(&was)) {
        inet_closed(m, &was);
        objects_closed(&m->objects, d, &was);
    }
    return ret;
}

/* As Linux: the signal, and if the program goes on, the error. */
long object_broken(struct call *c)
{
    const struct signal_info info = {.signal = SIGPIPE, .code = SI_USER, .word = {1}};
    if (!(c->flags & MSG_NOSIGNAL))
        sending_to_itself(c->m, &info);
    return -EPIPE;
}

long object_wait(struct call *c, const struct open_file *file, uint64_t wake,
                 const char *what)
{
    if (file->flags & O_NONBLOCK)
        return -EAGAIN;
    c->m->sleep.restart = 1 + vcpu_regs(&c->m->vm)->rax;
    return wait_until_ready(c, wake, what);
}

uint32_t ready_events(const struct machine *m, int index)
{
    const struct open_file *file = &m->process->files.open[index];
    object_look *ready = is_object(file) ? kinds[file->kind].ready : NULL;
    return ready ? ready(m, file) : POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM;
}

/* A timer wakes once until it is read; a set of epoll may whenever an object does. */
uint32_t ready_wakes(const struct machine *m, int index, uint32_t events)
{
    const struct open_file *file = &m->process->files.open[index];
    const struct objects *o = &m->objects;
    int pair = file->kind == OPEN_SOCKET;
    int kind = pair ? OPEN_PIPE : file->kind;
    int reads = file->kind == OPEN_PIPE
                    ? (file->flags & O_ACCMODE) == O_RDONLY
                    : !!(events & (uint32_t)~(POLLOUT | POLLWRNORM));
    int writes = file->kind == OPEN_PIPE ? !reads : !!(events & (POLLOUT | POLLWRNORM));
    if (file->kind == OPEN_INET)
        return inet_wakes(m, file, reads, writes);
    const struct object *in = objects_find(o, file->object, kind);
    const struct object *out = pair ? objects_find(o, file->other, kind) : in;
    uint32_t wakes =
        (reads && in ? in->wakes[0] : 0) + (writes && out ? out->wakes[1] : 0);
    if (file->kind == OPEN_TIMER)
        wakes += timer_ready(m, file) != 0;
    return wakes;
}

uint64_t ready_at(const struct machine *m, int index)
{
    const struct open_file *file = &m->process->files.open[index];
    if (file->kind == OPEN_TIMER)
        return timer_at(m, file);
    return file->kind == OPEN_EPOLL ? epoll_at(m, file) : WAITS_FOR_EVER;
}
