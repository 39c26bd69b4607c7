/* inet.c: see inet.h. Nothing is kept of what goes through: bytes are in the guest, or
 * in the host's kernel, which bounds them. */
#include "inet.h"

#include <errno.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "waits.h"

#define BUFFERS 1024 /* of one call: IOV_MAX */
#define MOST                                                                           \
    (8UL << 20) /* bytes of one call: what the host does for it has a bound            \
                 */
#define READS ((uint32_t)(POLLIN | POLLRDNORM))
#define WRITES ((uint32_t)(POLLOUT | POLLWRNORM))
#define ALL_EVENTS                                                                     \
    ((short)(POLLIN | POLLPRI | POLLOUT | POLLRDNORM | POLLRDBAND | POLLWRNORM |       \
             POLLRDHUP))

const struct object *inet_object(const struct machine *m, const struct open_file *file)
{
    return objects_find(&m->objects, file->object, OPEN_INET);
}

struct object *inet_change(struct machine *m, const struct open_file *file)
{
    return objects_change(&m->objects, file->object, OPEN_INET);
}

/* Says once why connections fail, whatever the program makes of the error. */
static void explain(const struct machine *m, const struct connection *one)
{
    if (one->state == NET_FAILED && one->error == EACCES)
        connect_refused(m, &one->to);
}

struct connection *inet_connection(const struct machine *m,
                                   const struct open_file *file)
{
    struct connection *one = net_find(m->net, file->object);
    if (one && one->state == NET_ASKED) {
        net_settle(m->net, one);
        explain(m, one);
    }
    return one;
}

int inet_error(struct connection *one)
{
    int error = one->error;
    one->error = 0;
    return error;
}

long inet_wait(struct call *c, const struct open_file *file, uint64_t ns, long late)
{
    if (file->flags & O_NONBLOCK)
        return -EAGAIN;
    uint64_t until = ns ? waits_limit(c->m, ns) : WAITS_FOR_EVER;
    if (clock_now() >= until)
        return late;
    long ret = object_wait(c, file, until, "a connection");
    if (ns)
        c->m->sleep.restart = 0; /* signal(7): SA_RESTART does not count */
    return ret;
}

/* --- Reading --- */

/* Bytes that can be read from (fd), 0 at its end, or -errno. */
static long bytes_there(int fd)
{
    uint8_t one;
    int bytes = 0;
    ssize_t n = recv(fd, &one, 1, MSG_PEEK | MSG_DONTWAIT);
    if (n <= 0)
        return n < 0 ? -errno : 0;
    return ioctl(fd, FIONREAD, &bytes) < 0 || bytes < 1 ? 1 : bytes;
}

/* No buffer is noted as written beyond what is read. */
static long take_bytes(struct call *c, int fd, const struct buffers *b)
{
    struct iovec iov[BUFFERS];
    struct msghdr msg = {.msg_iov = iov};
    long there = bytes_there(fd);
    if (there <= 0)
        return there;
    uint64_t rest = (uint64_t)there < MOST ? (uint64_t)there : MOST;
    for (long i = 0; i < b->count && rest; i++) {
        uint64_t len = b->at[i].len < rest ? b->at[i].len : rest;
        void *to = len ? guest_window(&c->m->mem, b->at[i].addr, len) : NULL;
        if (len && !to)
            return -EFAULT;
        if (len)
            iov[msg.msg_iovlen++] = (struct iovec){to, len};
        rest -= len;
    }
    ssize_t n = recvmsg(fd, &msg, MSG_DONTWAIT | c->flags);
    return n < 0 ? -errno : n;
}

long inet_read(struct call *c, struct open_file *file, const struct buffers *b)
{
    const struct object *at = inet_object(c->m, file);
    struct connection *one = inet_connection(c->m, file);
    if (!b->total || !at)
        return at ? 0 : -EBADF;
    if (!one)
        return -ENOTCONN;
    if (one->state == NET_FAILED)
        return -inet_error(one);
    long n = one->state == NET_ASKED ? -EAGAIN : take_bytes(c, one->fd, b);
    return n == -EAGAIN ? inet_wait(c, file, at->inet.receive_ns, -EAGAIN) : n;
}

/* --- Writing --- */

static long put_bytes(struct call *c, int fd, const struct buffers *b)
{
    struct iovec iov[BUFFERS];
    struct msghdr msg = {.msg_iov = iov};
    uint64_t rest = MOST;
    for (long i = 0; i < b->count && rest; i++) {
        uint64_t len = b->at[i].len < rest ? b->at[i].len : rest;
        const void *from = len ? guest_view(&c->m->mem, b->at[i].addr, len) : NULL;
        if (len && !from)
            return -EFAULT;
        if (len)
            iov[msg.msg_iovlen++] = (struct iovec){(void *)(uintptr_t)from, len};
        rest -= len;
    }
    ssize_t n = sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
    return n < 0 ? -errno : n;
}

/* What does not fit stays the program's, also if it may wait: the call ends early. */
long inet_write(struct call *c, struct open_file *file, const struct buffers *b)
{
    const struct object *at = inet_object(c->m, file);
    struct connection *one = inet_connection(c->m, file);
    int error = one ? inet_error(one) : 0;
    if (!at || error)
        return at ? -error : -EBADF;
    long n = -EPIPE;
    if (one && one->state != NET_FAILED)
        n = one->state == NET_ASKED ? -EAGAIN : put_bytes(c, one->fd, b);
    if (n == -EPIPE)
        return object_broken(c);
    return n == -EAGAIN ? inet_wait(c, file, at->inet.send_ns, -EAGAIN) : n;
}

/* --- What it is ready for --- */

static uint32_t ready_of(const struct connection *one)
{
    struct pollfd p = {.fd = one->fd, .events = ALL_EVENTS};
    return poll(&p, 1, 0) < 0 ? 0 : (uint16_t)p.revents;
}

uint32_t inet_ready(const struct machine *m, const struct open_file *file)
{
    const struct connection *one = inet_connection(m, file);
    if (!one)
        return WRITES | POLLHUP;
    if (one->state == NET_ASKED)
        return 0;
    if (one->state != NET_FAILED)
        return ready_of(one);
    return READS | WRITES | POLLRDHUP | POLLHUP | (one->error ? POLLERR : 0);
}

uint32_t inet_wakes(const struct machine *m, const struct open_file *file, int reads,
                    int writes)
{
    const struct connection *one = net_find(m->net, file->object);
    if (!one)
        return 0;
    return (reads ? one->wakes[0] : 0) + (writes ? one->wakes[1] : 0);
}

long inet_bytes(const struct machine *m, const struct open_file *file)
{
    const struct connection *one = inet_connection(m, file);
    long bytes = 0;
    if (one && (one->state == NET_MADE || one->state == NET_OPEN))
        bytes = bytes_there(one->fd);
    return bytes < 0 ? 0 : bytes;
}

long inet_shutdown(const struct machine *m, const struct open_file *file, int how)
{
    const struct connection *one = inet_connection(m, file);
    if (!one || one->state == NET_FAILED)
        return -ENOTCONN;
    if (one->state == NET_ASKED) {
        net_end(m->net, file->object);
        return 0;
    }
    return shutdown(one->fd, how) < 0 ? -errno : 0;
}

void inet_closed(struct machine *m, const struct open_file *was)
{
    if (was->kind == OPEN_INET)
        net_end(m->net, was->object);
}
