/* opener.c: see opener.h. */
#include "opener.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "watchdog.h"

#define HEAD offsetof(struct opener_answer, text)
#define FDS 2 /* that go with an ask */

/* Room for descriptors beside a message. */
union rights {
    struct cmsghdr head;
    char room[CMSG_SPACE(FDS * sizeof(int))];
};

/* Waits until (fd) is ready for (events), or until (until). 0 or -EIO. */
static int wait_for(int fd, short events, uint64_t until)
{
    for (;;) {
        uint64_t now = clock_now();
        if (now >= until)
            return -EIO;
        struct timespec rest = {.tv_sec = (time_t)((until - now) / 1000000000UL),
                                .tv_nsec = (long)((until - now) % 1000000000UL)};
        struct pollfd p = {.fd = fd, .events = events};
        int ret = ppoll(&p, 1, &rest, NULL);
        if (ret > 0)
            return 0;
        if (ret < 0 && errno != EINTR)
            return -EIO;
    }
}

static void attach(struct msghdr *msg, union rights *rights, const int *fds, size_t n)
{
    memset(rights, 0, sizeof(*rights));
    msg->msg_control = rights;
    msg->msg_controllen = CMSG_SPACE(n * sizeof(int));
    struct cmsghdr *c = CMSG_FIRSTHDR(msg);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(n * sizeof(int));
    memcpy(CMSG_DATA(c), fds, n * sizeof(int));
}

static int send_ask(int opener, const struct opener_ask *ask, const char *path,
                    const int *fds, size_t n, uint64_t until)
{
    struct iovec iov[2] = {{(void *)ask, sizeof(*ask)}, {(void *)path, strlen(path)}};
    struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};
    union rights rights;
    attach(&msg, &rights, fds, n);
    while (sendmsg(opener, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
        if ((errno != EAGAIN && errno != EINTR) || wait_for(opener, POLLOUT, until) < 0)
            return -EIO;
    return 0;
}

/* The one descriptor that came with a message, or (before). */
static int detach(struct msghdr *msg, int before)
{
    struct cmsghdr *c = CMSG_FIRSTHDR(msg);
    if (!c || c->cmsg_type != SCM_RIGHTS || c->cmsg_len != CMSG_LEN(sizeof(int)))
        return before;
    memcpy(&before, CMSG_DATA(c), sizeof(int));
    return before;
}

static int is_whole(const struct opener_answer *answer, size_t have)
{
    return have >= HEAD && answer->text_len < sizeof(answer->text) &&
           have == HEAD + answer->text_len;
}

/* Reads an answer, and the descriptor that comes with it, or -1, into (*fd), which is
 * the caller's whatever comes back. */
static int receive(int from, struct opener_answer *answer, int *fd, uint64_t until)
{
    size_t have = 0;
    *fd = -1;
    while (!is_whole(answer, have)) {
        union rights rights;
        struct iovec iov = {(char *)answer + have, sizeof(*answer) - have};
        struct msghdr msg = {.msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = &rights,
                             .msg_controllen = sizeof(rights)};
        int ret = wait_for(from, POLLIN, until);
        ssize_t n = ret < 0 ? -1 : recvmsg(from, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (n <= 0)
            return -EIO;
        *fd = detach(&msg, *fd);
        have += (size_t)n;
    }
    answer->text[answer->text_len] = 0;
    return 0;
}

int opener_ask(int opener, const struct opener_ask *ask, const char *path, int given,
               uint64_t until, struct opener_answer *answer)
{
    int pair[2], fd = -1;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return -ENFILE;
    const int fds[FDS] = {pair[1], given};
    int ret = send_ask(opener, ask, path, fds, given < 0 ? 1 : 2, until);
    close(pair[1]);
    if (ret == 0)
        ret = receive(pair[0], answer, &fd, until);
    close(pair[0]);
    if (ret == 0)
        ret = -answer->error;
    if (ret == 0 && ask->what == OPENER_OPEN && fd < 0)
        ret = -ENFILE; /* it was sent, and there was no room for it here */
    if (fd >= 0 && (ret < 0 || ask->what != OPENER_OPEN)) {
        close(fd);
        fd = -1;
    }
    return ret < 0 ? ret : fd < 0 ? 0 : fd;
}
