/* sys_message.c: sendmsg and recvmsg: a write and a read of many buffers, with flags.
 * Nothing travels beside the bytes. */
#include <errno.h>
#include <stddef.h>
#include <sys/socket.h>

#include "inet.h"

#define IOV_MAX_COUNT 1024

/* A whole struct msghdr of the program. 0 or -errno. */
static int take_header(const struct call *c, struct msghdr *msg)
{
    if (guest_read(&c->m->mem, c->arg[1], msg, sizeof(*msg)) < 0)
        return -EFAULT;
    return msg->msg_iovlen > IOV_MAX_COUNT ? -EMSGSIZE : 0;
}

/* Its buffers, at (iov). 0 or -errno. */
static int take_buffers(const struct call *c, const struct msghdr *msg,
                        struct guest_buffer iov[IOV_MAX_COUNT], struct buffers *b)
{
    *b = (struct buffers){iov, (long)msg->msg_iovlen, 0};
    if (guest_read(&c->m->mem, (uint64_t)msg->msg_iov, iov,
                   msg->msg_iovlen * sizeof(*iov)) < 0)
        return -EFAULT;
    for (long i = 0; i < b->count; i++) {
        if (iov[i].len > INT64_MAX)
            return -EINVAL;
        if (__builtin_add_overflow(b->total, iov[i].len, &b->total))
            b->total = INT64_MAX;
    }
    return 0;
}

static int begin(const struct call *c, struct handle *h, struct msghdr *msg)
{
    int ret = socket_of(c, h);
    return ret < 0 ? ret : take_header(c, msg);
}

long sys_sendmsg(struct call *c)
{
    struct handle h;
    struct msghdr msg;
    struct guest_buffer iov[IOV_MAX_COUNT];
    struct buffers b;
    int ret = begin(c, &h, &msg);
    if (ret == 0 && msg.msg_controllen)
        ret = -EOPNOTSUPP;
    if (ret == 0 && msg.msg_name && msg.msg_namelen && h.file->kind == OPEN_SOCKET)
        ret = -EISCONN;
    if (ret == 0)
        ret = take_buffers(c, &msg, iov, &b);
    return ret < 0 ? ret : message_write(c, &h, (uint32_t)c->arg[2], &b);
}

/* What came beside the bytes: no address, no data, no flags. */
static long tell_none(struct call *c, const struct msghdr *msg)
{
    const uint64_t none = 0;
    const uint64_t at = c->arg[1];
    if ((msg->msg_name &&
         guest_write(&c->m->mem, at + offsetof(struct msghdr, msg_namelen), &none,
                     sizeof(msg->msg_namelen)) < 0) ||
        guest_write(&c->m->mem, at + offsetof(struct msghdr, msg_controllen), &none,
                    sizeof(msg->msg_controllen)) < 0 ||
        guest_write(&c->m->mem, at + offsetof(struct msghdr, msg_flags), &none,
                    sizeof(msg->msg_flags)) < 0)
        return -EFAULT;
    return 0;
}

long sys_recvmsg(struct call *c)
{
    struct handle h;
    struct msghdr msg;
    struct guest_buffer iov[IOV_MAX_COUNT];
    struct buffers b;
    int ret = begin(c, &h, &msg);
    if (ret == 0)
        ret = take_buffers(c, &msg, iov, &b);
    if (ret < 0)
        return ret;
    long n = message_read(c, &h, (uint32_t)c->arg[2], &b);
    if (n < 0 || c->waits)
        return n;
    ret = (int)tell_none(c, &msg);
    return ret < 0 ? ret : n;
}
