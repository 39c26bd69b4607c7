/* connector.c: see connector.h. */
#include "connector.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "skerry.h"

/* Where to ask. The number stays the same, as other threads may be using it. */
static int door = -1;

/* Room for a descriptor beside a message. */
union right {
    struct cmsghdr head;
    char room[CMSG_SPACE(sizeof(int))];
};

int skerry_connector(int fd)
{
    if (door < 0)
        door = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    else if (dup3(fd, door, O_CLOEXEC) < 0)
        return -errno;
    return door < 0 ? -errno : 0;
}

/* As nobody waits here, a connector that does not keep up is as good as none. */
static int send_ask(const struct connector_ask *ask, int back)
{
    struct iovec iov = {(void *)(uintptr_t)ask, sizeof(*ask)};
    union right right = {.head = {.cmsg_level = SOL_SOCKET,
                                  .cmsg_type = SCM_RIGHTS,
                                  .cmsg_len = CMSG_LEN(sizeof(int))}};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = &right,
                         .msg_controllen = sizeof(right)};
    memcpy(CMSG_DATA(&right.head), &back, sizeof(back));
    ssize_t n = sendmsg(door, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
    return n == sizeof(*ask) ? 0 : -ENETUNREACH;
}

int connector_ask(const struct connector_ask *ask)
{
    int pair[2];
    if (door < 0)
        return -ENETUNREACH;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return -errno;
    int ret = send_ask(ask, pair[1]);
    close(pair[1]);
    if (ret == 0)
        return pair[0];
    close(pair[0]);
    return ret;
}

/* The descriptor that came with (msg), or -1. */
static int take_right(struct msghdr *msg)
{
    struct cmsghdr *c = CMSG_FIRSTHDR(msg);
    int fd = -1;
    if (c && c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof(int)))
        memcpy(&fd, CMSG_DATA(c), sizeof(fd));
    return fd;
}

int connector_answer(int from, int *fd)
{
    int32_t error;
    union right right;
    struct iovec iov = {&error, sizeof(error)};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = &right,
                         .msg_controllen = sizeof(right)};
    ssize_t n = recvmsg(from, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? -EAGAIN : -ENETUNREACH;
    *fd = take_right(&msg);
    if (*fd >= 0)
        return 0;
    if (n != sizeof(error)) /* who asked was told nothing */
        return -ENETUNREACH;
    return error > 0 && error < 4096 ? -error : -ENFILE; /* it had no room here */
}
