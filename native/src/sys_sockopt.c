/* sys_sockopt.c: options of sockets. Few have an effect: a connection does not outlive
 * its request by much, and where it leads is not the program's to set. The others are
 * kept and told, so that clients which set them go on. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "inet.h"

#define SECONDS_MAX 1000000L /* nobody waits so long */

/* Those that are kept, by their place in struct inet. */
static const struct {
    int level, name;
    int is_switch; /* any value but 0 is 1 */
    int from, to;  /* else it lies between these */
} kept[INET_OPTIONS] = {
    {SOL_SOCKET, SO_KEEPALIVE, 1, 0, 0},      {SOL_SOCKET, SO_REUSEADDR, 1, 0, 0},
    {SOL_SOCKET, SO_BROADCAST, 1, 0, 0},      {IPPROTO_TCP, TCP_NODELAY, 1, 0, 0},
    {IPPROTO_TCP, TCP_KEEPIDLE, 0, 1, 32767}, {IPPROTO_TCP, TCP_KEEPINTVL, 0, 1, 32767},
    {IPPROTO_TCP, TCP_KEEPCNT, 0, 1, 127},    {IPPROTO_IPV6, IPV6_V6ONLY, 1, 0, 0},
};

enum { NODELAY = 3, V6ONLY = 7 };

static const int32_t defaults[INET_OPTIONS] = {[4] = 7200, [5] = 75, [6] = 9};

/* Its place, or -ENOPROTOOPT. */
static int find(const struct inet *at, int level, int name)
{
    for (int i = 0; i < INET_OPTIONS; i++)
        if (kept[i].level == level && kept[i].name == name)
            return i == V6ONLY && at->family != AF_INET6 ? -ENOPROTOOPT : i;
    return -ENOPROTOOPT;
}

void inet_apply(const struct object *at, int fd)
{
    const int on = 1;
    if (at && at->inet.option[NODELAY])
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

/* The socket with options that the first argument names. 0 or -errno. */
static int options_of(const struct call *c, struct handle *h)
{
    int ret = socket_of(c, h);
    return ret == 0 && h->file->kind != OPEN_INET ? -ENOPROTOOPT : ret;
}

static int is_time(int level, int name)
{
    return level == SOL_SOCKET && (name == SO_RCVTIMEO || name == SO_SNDTIMEO);
}

/* --- setsockopt --- */

static long set_time(struct call *c, uint64_t *ns)
{
    struct timeval t;
    if ((uint32_t)c->arg[4] < sizeof(t))
        return -EINVAL;
    if (guest_read(&c->m->mem, c->arg[3], &t, sizeof(t)) < 0)
        return -EFAULT;
    if (t.tv_usec < 0 || t.tv_usec >= 1000000)
        return -EDOM;
    if (t.tv_sec < 0) { /* as Linux: not at all */
        *ns = 1;
        return 0;
    }
    int64_t seconds = t.tv_sec < SECONDS_MAX ? t.tv_sec : SECONDS_MAX;
    *ns = (uint64_t)(seconds * 1000000000L + t.tv_usec * 1000L);
    return 0;
}

static long set_kept(struct call *c, const struct open_file *file, int index)
{
    int value;
    if ((uint32_t)c->arg[4] < sizeof(value))
        return -EINVAL;
    if (guest_read(&c->m->mem, c->arg[3], &value, sizeof(value)) < 0)
        return -EFAULT;
    if (!kept[index].is_switch && (value < kept[index].from || value > kept[index].to))
        return -EINVAL;
    struct object *at = inet_change(c->m, file);
    const struct connection *one = inet_connection(c->m, file);
    at->inet.option[index] = kept[index].is_switch ? value != 0 : value;
    if (index == NODELAY && one && one->state == NET_OPEN &&
        setsockopt(one->fd, IPPROTO_TCP, TCP_NODELAY, &value, sizeof(value)) < 0)
        return -errno;
    return 0;
}

long sys_setsockopt(struct call *c)
{
    struct handle h;
    int level = (int)c->arg[1], name = (int)c->arg[2], ret = options_of(c, &h);
    if (ret < 0)
        return ret;
    if ((int)c->arg[4] < 0)
        return -EINVAL;
    struct object *at = inet_change(c->m, h.file);
    if (!at)
        return -EBADF;
    if (is_time(level, name))
        return set_time(c,
                        name == SO_RCVTIMEO ? &at->inet.receive_ns : &at->inet.send_ns);
    int index = find(&at->inet, level, name);
    return index < 0 ? index : set_kept(c, h.file, index);
}

/* --- getsockopt --- */

/* Writes (value), as much as the program has room for, and how much that is. */
static long give(struct call *c, const void *value, uint32_t len)
{
    long n = socket_give(c, c->arg[3], c->arg[4], value, len);
    const uint32_t given = (uint32_t)n;
    if (n >= 0 && guest_write(&c->m->mem, c->arg[4], &given, sizeof(given)) < 0)
        return -EFAULT;
    return n < 0 ? n : 0;
}

static long give_time(struct call *c, uint64_t ns)
{
    const struct timeval t = {(time_t)(ns / 1000000000UL),
                              (suseconds_t)(ns % 1000000000UL / 1000)};
    return give(c, &t, sizeof(t));
}

static int error_of(const struct machine *m, const struct open_file *file)
{
    struct connection *one = inet_connection(m, file);
    int error = 0;
    socklen_t len = sizeof(error);
    if (!one || one->state == NET_ASKED)
        return 0;
    if (one->state == NET_FAILED)
        return inet_error(one);
    getsockopt(one->fd, SOL_SOCKET, SO_ERROR, &error, &len);
    return error;
}

/* What a socket is, or -ENOPROTOOPT: that is another option. */
static long about(const struct machine *m, const struct handle *h, int name)
{
    int is_inet = h->file->kind == OPEN_INET;
    switch (name) {
    case SO_ERROR:
        return is_inet ? error_of(m, h->file) : 0;
    case SO_TYPE:
        return SOCK_STREAM;
    case SO_DOMAIN:
        return is_inet ? inet_object(m, h->file)->inet.family : AF_UNIX;
    case SO_PROTOCOL:
        return is_inet ? IPPROTO_TCP : 0;
    case SO_ACCEPTCONN:
        return 0;
    default:
        return -ENOPROTOOPT;
    }
}

long sys_getsockopt(struct call *c)
{
    struct handle h;
    int level = (int)c->arg[1], name = (int)c->arg[2], ret = socket_of(c, &h);
    if (ret < 0)
        return ret;
    long value = level == SOL_SOCKET ? about(c->m, &h, name) : -ENOPROTOOPT;
    const struct object *at = inet_object(c->m, h.file);
    if (value < 0 && at && is_time(level, name))
        return give_time(c,
                         name == SO_RCVTIMEO ? at->inet.receive_ns : at->inet.send_ns);
    int index = value < 0 && at ? find(&at->inet, level, name) : -ENOPROTOOPT;
    if (index >= 0)
        value = at->inet.option[index] ? at->inet.option[index] : defaults[index];
    const int told = (int)value;
    return value < 0 ? value : give(c, &told, sizeof(told));
}
