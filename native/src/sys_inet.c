/* sys_inet.c: sockets of AF_INET and AF_INET6: made, connected, asked for their names.
 *
 * Where they may lead is judged by who connects (connector.h). Here an address is a
 * few bytes, copied once. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "inet.h"

#define TYPE_BITS 0xfu
#define V6_OLD_SIZE 24 /* of RFC 2133, without a scope */

/* Of a program, so that the log says it once. */
enum told { TOLD_REFUSED = 1, TOLD_EARLY = 2, TOLD_INWARD = 4 };

static int tell_once(const struct machine *m, enum told what)
{
    return !(__atomic_fetch_or(&m->counters->told, what, __ATOMIC_RELAXED) & what);
}

/* --- socket --- */

static int check_kind(uint32_t family, uint32_t type, uint32_t protocol)
{
    if (type & ~TYPE_BITS & ~PIPE_FLAGS)
        return -EINVAL;
    if (family != AF_INET && family != AF_INET6)
        return -EAFNOSUPPORT;
    if ((type & TYPE_BITS) == SOCK_DGRAM)
        return -EPROTONOSUPPORT; /* streams only */
    if ((type & TYPE_BITS) != SOCK_STREAM)
        return -ESOCKTNOSUPPORT;
    return protocol && protocol != IPPROTO_TCP ? -EPROTONOSUPPORT : 0;
}

long sys_socket(struct call *c)
{
    struct object *made;
    uint32_t type = (uint32_t)c->arg[1];
    int ret = check_kind((uint32_t)c->arg[0], type, (uint32_t)c->arg[2]);
    if (ret < 0)
        return ret;
    long fd = object_new(c, OPEN_INET, O_RDWR | (type & PIPE_FLAGS), &made);
    if (fd >= 0)
        made->inet = (struct inet){.family = (uint16_t)c->arg[0]};
    return fd;
}

/* --- connect --- */

void connect_refused(const struct machine *m, const struct connector_ask *to)
{
    char text[INET6_ADDRSTRLEN] = "";
    if (!tell_once(m, TOLD_REFUSED))
        return;
    inet_ntop(to->family, to->address, text, sizeof(text));
    console_note(m->console,
                 to->family == AF_INET6
                     ? "connect to [%s]:%u: EACCES: allowed_hosts has no such address"
                     : "connect to %s:%u: EACCES: allowed_hosts has no such address",
                 text, to->port);
}

/* Copies the address of connect: its family, or -errno. */
static int take_address(const struct call *c, struct sockaddr_storage *to)
{
    uint64_t len = (uint32_t)c->arg[2];
    *to = (struct sockaddr_storage){0};
    if (len > sizeof(*to))
        return -EINVAL;
    if (guest_read(&c->m->mem, c->arg[1], to, len) < 0)
        return -EFAULT;
    return len < sizeof(to->ss_family) ? -EINVAL : to->ss_family;
}

/* What is asked for (to), of a socket of (family). 0 or -errno. */
static int read_address(const struct sockaddr_storage *to, uint64_t len,
                        uint16_t family, struct connector_ask *ask)
{
    const struct sockaddr_in *v4 = (const void *)to;
    const struct sockaddr_in6 *v6 = (const void *)to;
    if (len < (family == AF_INET ? sizeof(*v4) : V6_OLD_SIZE))
        return -EINVAL;
    if (to->ss_family != family)
        return -EAFNOSUPPORT;
    ask->family = family;
    ask->port = ntohs(family == AF_INET ? v4->sin_port : v6->sin6_port);
    if (family == AF_INET)
        memcpy(ask->address, &v4->sin_addr, sizeof(v4->sin_addr));
    else
        memcpy(ask->address, &v6->sin6_addr, sizeof(v6->sin6_addr));
    return 0;
}

/* As with sys_fetch: a connection belongs to a request, which storage is not, and a
 * frozen machine has none. */
static int may_connect(const struct machine *m)
{
    if (m->exchange.request && !m->booting && !m->warming &&
        !m->exchange.stream.in_piece)
        return 1;
    if (tell_once(m, TOLD_EARLY))
        console_note(m->console,
                     "connect: ENETDOWN: only a request connects to others, "
                     "not start-up, storage or a piece of a body");
    return 0;
}

static int begin(struct call *c, const struct open_file *file,
                 const struct sockaddr_storage *to)
{
    struct machine *m = c->m;
    struct connector_ask ask = {.family = 0};
    const struct object *at = inet_object(m, file);
    int ret =
        at ? read_address(to, (uint32_t)c->arg[2], at->inet.family, &ask) : -EBADF;
    if (ret < 0)
        return ret;
    if (!may_connect(m))
        return -ENETDOWN;
    if (!m->reaches) {
        connect_refused(m, &ask);
        return -EACCES;
    }
    memcpy(ask.program, m->facts->name, sizeof(ask.program));
    return net_begin(&m->net, &m->counters->connections, file->object, &ask);
}

/* What is to be done with connections that have options already. */
static long made(struct machine *m, const struct open_file *file,
                 struct connection *one)
{
    one->state = NET_OPEN;
    inet_apply(inet_object(m, file), one->fd);
    return 0;
}

static long end_failed(struct machine *m, const struct open_file *file,
                       struct connection *one)
{
    int error = inet_error(one);
    net_end(m->net, file->object);
    return error ? -error : -ECONNABORTED;
}

static long go_on(struct call *c, const struct open_file *file)
{
    struct connection *one = inet_connection(c->m, file);
    switch (one->state) {
    case NET_MADE:
        return made(c->m, file, one);
    case NET_OPEN:
        return -EISCONN;
    case NET_FAILED:
        return end_failed(c->m, file, one);
    default:
        break;
    }
    uint64_t ns = inet_object(c->m, file)->inet.send_ns;
    long ret = inet_wait(c, file, ns, -EINPROGRESS);
    return ret == -EAGAIN ? -EALREADY : ret;
}

long sys_connect(struct call *c)
{
    struct handle h;
    struct sockaddr_storage to;
    int ret = socket_of(c, &h), family = ret < 0 ? ret : take_address(c, &to);
    if (family < 0)
        return family;
    if (h.file->kind != OPEN_INET)
        return -EISCONN;
    if (family == AF_UNSPEC) {
        net_end(c->m->net, h.file->object);
        return 0;
    }
    if (net_find(c->m->net, h.file->object))
        return go_on(c, h.file);
    ret = begin(c, h.file, &to);
    if (ret < 0)
        return ret;
    return h.file->flags & O_NONBLOCK ? -EINPROGRESS : go_on(c, h.file);
}

/* --- What leads inward --- */

static long refuse(const struct call *c, long error)
{
    struct handle h;
    int ret = socket_of(c, &h);
    if (ret < 0)
        return ret;
    if (tell_once(c->m, TOLD_INWARD))
        console_note(c->m->console, "bind, listen, accept: sockets lead outward only: "
                                    "requests come by way of the host");
    return error;
}

long sys_bind(struct call *c)
{
    return refuse(c, -EACCES);
}

long sys_listen(struct call *c)
{
    return refuse(c, -EOPNOTSUPP);
}

/* --- Names --- */

/* Writes (name), as much as the program has room for, and how long it is. */
static long give_name(struct call *c, const void *name, uint32_t len)
{
    long n = socket_give(c, c->arg[1], c->arg[2], name, len);
    if (n >= 0 && guest_write(&c->m->mem, c->arg[2], &len, sizeof(len)) < 0)
        n = -EFAULT;
    return n < 0 ? n : 0;
}

/* The descriptor of (file)'s connection, or -1. */
static int host_of(const struct call *c, const struct open_file *file)
{
    const struct connection *one = inet_connection(c->m, file);
    int is_open = one && (one->state == NET_MADE || one->state == NET_OPEN);
    return is_open ? one->fd : -1;
}

long sys_getsockname(struct call *c)
{
    struct handle h;
    struct sockaddr_storage name = {.ss_family = AF_UNIX};
    int ret = socket_of(c, &h);
    if (ret < 0)
        return ret;
    if (h.file->kind != OPEN_INET)
        return give_name(c, &name, sizeof(name.ss_family));
    uint16_t family = inet_object(c->m, h.file)->inet.family;
    socklen_t len =
        family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
    name.ss_family = family;
    int fd = host_of(c, h.file);
    if (fd >= 0 && getsockname(fd, (void *)&name, &len) < 0)
        return -errno;
    return give_name(c, &name, len);
}

long sys_getpeername(struct call *c)
{
    struct handle h;
    struct sockaddr_storage name = {.ss_family = AF_UNIX};
    socklen_t len = sizeof(name);
    int ret = socket_of(c, &h);
    if (ret < 0)
        return ret;
    if (h.file->kind != OPEN_INET)
        return give_name(c, &name, sizeof(name.ss_family));
    int fd = host_of(c, h.file);
    if (fd < 0)
        return -ENOTCONN;
    if (getpeername(fd, (void *)&name, &len) < 0)
        return -errno;
    return give_name(c, &name, len);
}
