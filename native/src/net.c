/* net.c: see net.h. */
#include "net.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "watchdog.h"

#define IN ((uint32_t)(EPOLLIN | EPOLLRDHUP | EPOLLPRI))
#define OUT ((uint32_t)EPOLLOUT)
#define BOTH ((uint32_t)(EPOLLHUP | EPOLLERR))
#define EDGES ((uint32_t)EPOLLET)

static struct net *open_net(uint32_t *total)
{
    struct net *net = calloc(1, sizeof(*net));
    if (!net)
        return NULL;
    net->total = total;
    net->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (net->epoll >= 0)
        return net;
    free(net);
    return NULL;
}

static int count_one(struct net *net)
{
    if (net->count == NET_MAX)
        return -ENOBUFS;
    if (__atomic_add_fetch(net->total, 1, __ATOMIC_RELAXED) > NET_TOTAL_MAX) {
        __atomic_sub_fetch(net->total, 1, __ATOMIC_RELAXED);
        return -ENOBUFS;
    }
    net->count++;
    return 0;
}

static void count_off(struct net *net)
{
    net->count--;
    __atomic_sub_fetch(net->total, 1, __ATOMIC_RELAXED);
}

static int watch(struct net *net, const struct connection *one, uint32_t events)
{
    struct epoll_event e = {.events = events | EDGES,
                            .data.u32 = (uint32_t)(one - net->at)};
    return epoll_ctl(net->epoll, EPOLL_CTL_ADD, one->fd, &e) < 0 ? -errno : 0;
}

int net_begin(struct net **made, uint32_t *total, int number,
              const struct connector_ask *to)
{
    struct net *net = *made ? *made : open_net(total);
    if (!net)
        return -ENOBUFS;
    *made = net;
    int ret = count_one(net);
    if (ret < 0)
        return ret;
    int fd = connector_ask(to);
    if (fd < 0) {
        count_off(net);
        return fd;
    }
    struct connection *one = &net->at[number - 1];
    one->state = NET_ASKED;
    one->fd = fd;
    one->error = 0;
    one->to = *to;
    ret = watch(net, one, IN);
    if (ret < 0)
        net_end(net, number);
    return ret;
}

struct connection *net_find(struct net *net, int number)
{
    if (!net || number < 1 || number > DESCRIPTORS)
        return NULL;
    struct connection *one = &net->at[number - 1];
    return one->state == NET_NONE ? NULL : one;
}

static void wake(struct connection *one, uint32_t events)
{
    one->wakes[0] += !!(events & (IN | BOTH));
    one->wakes[1] += !!(events & (OUT | BOTH));
}

void net_look(struct net *net)
{
    struct epoll_event e[NET_MAX];
    int count = epoll_wait(net->epoll, e, NET_MAX, 0);
    for (int i = 0; i < count; i++)
        wake(&net->at[e[i].data.u32], e[i].events);
    net->news |= count > 0;
}

static void fail(struct connection *one, int error)
{
    one->state = NET_FAILED;
    one->fd = -1;
    one->error = error;
}

void net_settle(struct net *net, struct connection *one)
{
    int fd, ret = one->state == NET_ASKED ? connector_answer(one->fd, &fd) : -EAGAIN;
    if (ret == -EAGAIN)
        return;
    close(one->fd);
    wake(one, BOTH);
    if (ret < 0) {
        fail(one, -ret);
        return;
    }
    one->state = NET_MADE;
    one->fd = fd;
    ret = watch(net, one, IN | OUT);
    if (ret < 0) {
        close(fd);
        fail(one, -ret);
        return;
    }
    net_look(net); /* that it can be written to is no news of its own */
}

void net_end(struct net *net, int number)
{
    struct connection *one = net_find(net, number);
    if (!one)
        return;
    if (one->state != NET_FAILED)
        close(one->fd);
    one->state = NET_NONE;
    wake(one, BOTH);
    count_off(net);
}

int net_news(struct net *net)
{
    net_look(net);
    int news = net->news;
    net->news = 0;
    return news;
}

void net_wait(const struct net *net, uint64_t until)
{
    uint64_t now = clock_now(), rest = until > now ? until - now : 0;
    const struct timespec time = {.tv_sec = (time_t)(rest / 1000000000UL),
                                  .tv_nsec = (long)(rest % 1000000000UL)};
    struct pollfd p = {.fd = net->epoll, .events = POLLIN};
    ppoll(&p, 1, &time, NULL);
}

void net_close(struct net **made)
{
    struct net *net = *made;
    if (!net)
        return;
    for (int number = 1; number <= DESCRIPTORS; number++)
        net_end(net, number);
    close(net->epoll);
    free(net);
    *made = NULL;
}
