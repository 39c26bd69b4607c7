/* sys_socket.c: what is done with sockets, outward (inet.h) or of a pair; and how a
 * pair is made: a stream between two numbers of one program, which is a pipe each way.
 */
#include <errno.h>
#include <sys/socket.h>

#include "inet.h"

#define TYPE_BITS 0xfu
#define KNOWN_FLAGS ((uint32_t)(MSG_NOSIGNAL | MSG_DONTWAIT))

_Static_assert(SOCK_NONBLOCK == O_NONBLOCK && SOCK_CLOEXEC == O_CLOEXEC, "one name");

/* One end: it reads from a pipe of its own. */
static long open_end(struct call *c, uint32_t flags)
{
    int number = objects_make(&c->m->objects, &c->m->process->files, OPEN_PIPE);
    if (number < 0)
        return descriptors_place(&c->m->process->files) < 0 ? -EMFILE : number;
    return object_open(c, OPEN_SOCKET, flags | O_RDWR, number);
}

static void join(struct descriptors *d, long first, long second)
{
    struct open_file *a = &d->open[descriptors_find(d, (uint32_t)first)];
    struct open_file *b = &d->open[descriptors_find(d, (uint32_t)second)];
    a->other = b->object;
    b->other = a->object;
}

long sys_socketpair(struct call *c)
{
    uint32_t type = (uint32_t)c->arg[1];
    if (type & ~TYPE_BITS & ~PIPE_FLAGS)
        return -EINVAL;
    if ((uint32_t)c->arg[0] != AF_UNIX)
        return -EAFNOSUPPORT;
    if ((uint32_t)c->arg[2] > 1)
        return -EPROTONOSUPPORT;
    if ((type & TYPE_BITS) != SOCK_STREAM)
        return -ESOCKTNOSUPPORT;
    long first = open_end(c, type & PIPE_FLAGS);
    if (first < 0)
        return first;
    long second = open_end(c, type & PIPE_FLAGS);
    if (second >= 0)
        join(&c->m->process->files, first, second);
    return give_both(c, first, second, c->arg[3]);
}

int socket_of(const struct call *c, struct handle *h)
{
    int ret = handle_of(c, h);
    if (ret < 0)
        return ret;
    return h->file->kind == OPEN_SOCKET || h->file->kind == OPEN_INET ? 0 : -ENOTSOCK;
}

long socket_give(const struct call *c, uint64_t to, uint64_t room, const void *data,
                 uint32_t len)
{
    int most;
    if (guest_read(&c->m->mem, room, &most, sizeof(most)) < 0)
        return -EFAULT;
    if (most < 0)
        return -EINVAL;
    uint32_t n = (uint32_t)most < len ? (uint32_t)most : len;
    return guest_write(&c->m->mem, to, data, n) < 0 ? -EFAULT : (long)n;
}

/* The same socket with (flags) of a message, for this one time. 0 or -EOPNOTSUPP. */
static int with_flags(const struct handle *h, uint32_t flags, uint32_t known,
                      struct open_file *file)
{
    *file = *h->file;
    file->flags |= flags & MSG_DONTWAIT ? O_NONBLOCK : 0;
    return flags & ~known ? -EOPNOTSUPP : 0;
}

long message_read(struct call *c, const struct handle *h, uint32_t flags,
                  const struct buffers *b)
{
    struct open_file file;
    uint32_t peek = h->file->kind == OPEN_INET ? MSG_PEEK : 0;
    int ret = with_flags(h, flags, KNOWN_FLAGS | MSG_CMSG_CLOEXEC | peek, &file);
    c->flags = (int)(flags & peek);
    return ret < 0 ? ret : object_read(c, &file, b);
}

long message_write(struct call *c, const struct handle *h, uint32_t flags,
                   const struct buffers *b)
{
    struct open_file file;
    int ret = with_flags(h, flags, KNOWN_FLAGS, &file);
    c->flags = (int)(flags & MSG_NOSIGNAL);
    return ret < 0 ? ret : object_write(c, &file, b);
}

/* A stream that is connected has no use for an address; one of a pair minds. */
long sys_sendto(struct call *c)
{
    struct handle h;
    const struct guest_buffer one = {c->arg[1], c->arg[2]};
    int ret = socket_of(c, &h);
    if (ret == 0 && c->arg[4] && h.file->kind == OPEN_SOCKET)
        ret = -EISCONN;
    if (ret < 0)
        return ret;
    return message_write(c, &h, (uint32_t)c->arg[3],
                         &(struct buffers){&one, 1, one.len});
}

/* Whoever sends has no address to tell. */
long sys_recvfrom(struct call *c)
{
    struct handle h;
    const uint32_t none = 0;
    const struct guest_buffer one = {c->arg[1], c->arg[2]};
    int ret = socket_of(c, &h);
    if (ret < 0)
        return ret;
    long n =
        message_read(c, &h, (uint32_t)c->arg[3], &(struct buffers){&one, 1, one.len});
    if (n >= 0 && c->arg[4] && c->arg[5] && !c->waits &&
        guest_write(&c->m->mem, c->arg[5], &none, sizeof(none)) < 0)
        return -EFAULT;
    return n;
}

/* The other end finds that nobody writes, or nobody reads, any more. */
long sys_shutdown(struct call *c)
{
    struct handle h;
    uint32_t how = (uint32_t)c->arg[1];
    int ret = socket_of(c, &h);
    if (ret < 0)
        return ret;
    if (how > SHUT_RDWR)
        return -EINVAL;
    if (h.file->kind == OPEN_INET)
        return inet_shutdown(c->m, h.file, (int)how);
    struct open_file was = *h.file;
    if (how != SHUT_WR)
        h.file->object = 0;
    if (how != SHUT_RD)
        h.file->other = 0;
    was.object = how == SHUT_WR ? 0 : was.object;
    was.other = how == SHUT_RD ? 0 : was.other;
    objects_closed(&c->m->objects, &c->m->process->files, &was);
    return 0;
}
