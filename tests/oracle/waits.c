/* waits.c: what is waited on, and how: pipes, pairs, counters, timers and sets of
 * descriptors, with arguments that are at the edge or beyond it. */
#include "oracle.h"

#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>

static char p[8192], *edge; /* nothing can be used from there on */
static const struct timespec none = {0}, bad = {0, 1000000000}, negative = {-1, 0},
                             soon = {0, 1000000};

static void polling(void)
{
    int ends[2];
    uint64_t set = 0;
    pipe(ends);
    struct pollfd fds[] = {{ends[0], POLLIN},
                           {ends[1], POLLOUT | POLLIN},
                           {-1, POLLIN},
                           {99, POLLIN},
                           {ends[0], 0}},
                  *last = (struct pollfd *)edge - 1;
    CALL(poll, fds, 5L, 0);
    CALL(poll, fds, 1L, 0);
    CALL(poll, fds, 1L, 1);
    CALL(poll, fds, 5L, -1);
    CALL(write, ends[1], "x", 1L);
    CALL(poll, fds, 5L, -1);
    *last = fds[0];
    CALL(poll, last, 1L, -1);
    CALL(poll, last, 2L, -1);
    CALL(poll, BAD, 1L, 0);
    CALL(poll, BAD, 0L, 0);
    CALL(poll, fds, 1L << 31, 0);
    CALL(ppoll, fds, 1L, &none, NULL, 0L);
    CALL(ppoll, fds, 1L, &bad, NULL, 0L);
    CALL(ppoll, fds, 1L, &negative, NULL, 0L);
    CALL(ppoll, fds, 1L, BAD, NULL, 0L);
    CALL(ppoll, fds, 1L, &none, &set, 8L);
    CALL(ppoll, fds, 1L, &none, &set, 4L);
    CALL(ppoll, fds, 1L, &none, BAD, 8L);
    CALL(read, ends[0], p, 10L);
    CALL(close, ends[1]);
    CALL(poll, fds, 2L, -1);
    CALL(read, ends[0], p, 10L);
    CALL(close, ends[0]);
}

static int ends[2];
static fd_set in, out;

static void both(void)
{
    FD_ZERO(&in);
    FD_ZERO(&out);
    FD_SET(ends[0], &in);
    FD_SET(ends[1], &out);
    FD_SET(ends[1], &in);
}

static void found(void)
{
    IS(FD_ISSET(ends[0], &in));
    IS(FD_ISSET(ends[1], &in));
    IS(FD_ISSET(ends[1], &out));
}

static void selecting(void)
{
    struct {
        const uint64_t *set;
        uint64_t size;
    } mask = {BAD, 8}, small = {(uint64_t[]){0}, 4}, good = {(uint64_t[]){0}, 8};
    struct timeval now = {0}, odd = {0, -1}, early = {-1, 0};
    pipe(ends);
    both();
    CALL(select, ends[1] + 1, &in, &out, NULL, NULL);
    found();
    both();
    CALL(select, ends[0] + 1, &in, NULL, &out, &now);
    found();
    CALL(write, ends[1], "x", 1L);
    both();
    CALL(select, 1024, &in, &out, NULL, &now);
    found();
    both();
    CALL(select, ends[1], &in, &out, NULL, &now);
    found();
    CALL(select, 0, BAD, BAD, BAD, &now);
    CALL(select, -1, NULL, NULL, NULL, &now);
    CALL(select, 5, BAD, NULL, NULL, &now);
    CALL(select, 5, NULL, NULL, NULL, BAD);
    CALL(select, 0, NULL, NULL, NULL, &odd);
    CALL(select, 0, NULL, NULL, NULL, &early);
    FD_SET(60, &in);
    CALL(select, 64, &in, NULL, NULL, &now);
    both();
    CALL(pselect6, 64, &in, &out, NULL, &none, NULL);
    found();
    CALL(pselect6, 64, &in, &out, NULL, &none, &good);
    CALL(pselect6, 64, &in, &out, NULL, &none, &mask);
    CALL(pselect6, 64, &in, &out, NULL, &none, &small);
    CALL(pselect6, 64, &in, &out, NULL, &none, BAD);
    CALL(pselect6, 64, &in, &out, NULL, &bad, NULL);
    CALL(pselect6, 64, &in, &out, NULL, BAD, NULL);
    CALL(pselect6, 0, NULL, NULL, NULL, &soon, NULL);
    CALL(close, ends[0]);
    CALL(close, ends[1]);
}

/* --- epoll --- */

static struct epoll_event got[4];
static void wait_now(int set)
{
    memset(got, 0, sizeof(got));
    CALL(epoll_wait, set, got, 4, 0);
    show(got, sizeof(got));
}

static void sets(void)
{
    int ends[2], set = (int)CALL(epoll_create1, EPOLL_CLOEXEC),
                 old = (int)CALL(epoll_create, 1);
    struct epoll_event in = {EPOLLIN, {.u64 = 7}}, out = {EPOLLOUT, {.u64 = 8}},
                       edges = {EPOLLIN | EPOLLET, {.u64 = 9}},
                       once = {EPOLLIN | EPOLLONESHOT, {.u64 = 10}};
    uint64_t mask = 0;
    pipe(ends);
    CALL(epoll_create, 0);
    CALL(epoll_create, -1);
    CALL(epoll_create1, 1);
    CALL(epoll_ctl, set, EPOLL_CTL_ADD, ends[0], &in);
    CALL(epoll_ctl, set, EPOLL_CTL_ADD, ends[0], &in);
    CALL(epoll_ctl, set, EPOLL_CTL_ADD, ends[1], &out);
    wait_now(set);
    CALL(epoll_ctl, set, EPOLL_CTL_MOD, ends[1], &in);
    CALL(write, ends[1], "xy", 2L);
    wait_now(set);
    CALL(epoll_wait, set, got, 1, -1);
    CALL(epoll_ctl, set, EPOLL_CTL_MOD, ends[0], &edges);
    wait_now(set);
    wait_now(set);
    CALL(write, ends[1], "z", 1L);
    wait_now(set);
    CALL(epoll_ctl, set, EPOLL_CTL_MOD, ends[0], &once);
    wait_now(set);
    wait_now(set);
    CALL(epoll_ctl, set, EPOLL_CTL_MOD, ends[0], &once);
    wait_now(set);
    CALL(epoll_ctl, set, EPOLL_CTL_DEL, ends[0], NULL);
    CALL(epoll_ctl, set, EPOLL_CTL_DEL, ends[0], NULL);
    CALL(epoll_ctl, set, EPOLL_CTL_MOD, ends[0], &in);
    CALL(epoll_ctl, set, 9, ends[0], &in);
    CALL(epoll_ctl, set, EPOLL_CTL_ADD, ends[0], BAD);
    CALL(epoll_ctl, set, EPOLL_CTL_ADD, 99, &in);
    CALL(epoll_ctl, 99, EPOLL_CTL_ADD, ends[0], &in);
    CALL(epoll_ctl, set, EPOLL_CTL_ADD, set, &in);
    CALL(epoll_ctl, ends[0], EPOLL_CTL_ADD, ends[1], &in);
    CALL(epoll_ctl, set, EPOLL_CTL_ADD, old, &in);
    CALL(epoll_ctl, old, EPOLL_CTL_ADD, set, &in);
    CALL(epoll_wait, set, got, 0, 0);
    CALL(epoll_wait, set, got, -1, 0);
    CALL(epoll_wait, ends[0], got, 1, 0);
    CALL(epoll_wait, 99, got, 1, 0);
    CALL(epoll_wait, set, got, 1, 1);
    CALL(epoll_ctl, set, EPOLL_CTL_ADD, ends[0], &in);
    CALL(epoll_wait, set, BAD, 1, 0);
    CALL(epoll_pwait, set, got, 1, 0, &mask, 8L);
    CALL(epoll_pwait, set, got, 1, 0, &mask, 4L);
    CALL(epoll_pwait, set, got, 1, 0, BAD, 8L);
    CALL(epoll_pwait2, set, got, 1, &none, NULL, 0L);
    CALL(epoll_pwait2, set, got, 1, &bad, NULL, 0L);
    CALL(epoll_pwait2, set, got, 1, BAD, NULL, 0L);
    CALL(close, ends[1]);
    CALL(read, ends[0], p, 10L);
    wait_now(set);
    CALL(close, ends[0]);
    wait_now(set);
    CALL(close, set);
    CALL(close, old);
}

/* --- Counters, timers --- */

static void events(void)
{
    uint64_t count = 3, most = ~0ul - 1, over = ~0ul;
    int fd = (int)CALL(eventfd2, 5, EFD_NONBLOCK),
        steps = (int)CALL(eventfd2, 2, EFD_SEMAPHORE | EFD_NONBLOCK | EFD_CLOEXEC),
        plain = (int)CALL(eventfd, 9);
    CALL(eventfd2, 5, 64);
    CALL(write, fd, &count, 8L);
    CALL(read, fd, p, 8L);
    CALL(read, fd, p, 8L);
    CALL(read, fd, p, 7L);
    CALL(write, fd, &count, 7L);
    CALL(write, fd, &over, 8L);
    CALL(write, fd, &most, 8L);
    CALL(write, fd, &count, 8L);
    CALL(write, fd, BAD, 8L);
    CALL(read, fd, BAD, 8L);
    CALL(read, fd, p, 8L);
    for (int i = 0; i < 3; i++)
        CALL(read, steps, p, 8L);
    CALL(read, plain, p, 100L);
    CALL(lseek, fd, 0L, SEEK_SET);
    CALL(pread64, fd, p, 8L, 0L);
    CALL(fcntl, steps, F_GETFL);
    CALL(fcntl, steps, F_GETFD);
    CALL(close, fd);
    CALL(close, steps);
    CALL(close, plain);
}

static void timers(void)
{
    const struct itimerspec once = {{0}, {0, 1000000}}, off = {{0}, {0}},
                            wrong = {{0}, {0, 1000000000}}, early = {{0}, {-1, 0}},
                            past = {{0}, {1, 0}};
    struct itimerspec now;
    int fd = (int)CALL(timerfd_create, CLOCK_MONOTONIC, TFD_NONBLOCK),
        waits = (int)CALL(timerfd_create, CLOCK_REALTIME, TFD_CLOEXEC);
    CALL(timerfd_create, 99, 0);
    CALL(timerfd_create, CLOCK_PROCESS_CPUTIME_ID, 0);
    CALL(timerfd_create, CLOCK_MONOTONIC, 1);
    CALL(timerfd_gettime, fd, &now);
    show(&now, sizeof(now));
    CALL(read, fd, p, 8L);
    CALL(read, fd, p, 4L);
    CALL(timerfd_settime, waits, 0, &once, &now);
    show(&now, sizeof(now));
    CALL(read, waits, p, 8L);
    CALL(timerfd_settime, waits, TFD_TIMER_ABSTIME, &past, NULL);
    CALL(read, waits, p, 8L);
    CALL(timerfd_settime, fd, TFD_TIMER_ABSTIME, &past, NULL);
    CALL(timerfd_settime, fd, 0, &off, NULL);
    CALL(read, fd, p, 8L);
    CALL(timerfd_settime, fd, 0, &wrong, NULL);
    CALL(timerfd_settime, fd, 0, &early, NULL);
    CALL(timerfd_settime, fd, 8, &once, NULL);
    CALL(timerfd_settime, fd, 0, BAD, NULL);
    CALL(timerfd_settime, fd, 0, NULL, NULL);
    CALL(timerfd_settime, 99, 0, &once, NULL);
    CALL(timerfd_settime, 1, 0, &once, NULL);
    CALL(timerfd_settime, fd, 0, &off, BAD);
    CALL(timerfd_gettime, fd, BAD);
    CALL(timerfd_gettime, 99, &now);
    CALL(write, fd, p, 8L);
    CALL(close, fd);
    CALL(close, waits);
}

/* --- Pipes, pairs, memory files --- */

static void pipes(void)
{
    int ends[2], *last = (int *)edge - 1;
    CALL(pipe2, ends, O_NONBLOCK | O_CLOEXEC);
    CALL(fcntl, ends[0], F_GETFL);
    CALL(fcntl, ends[1], F_GETFL);
    CALL(fcntl, ends[1], F_GETFD);
    CALL(read, ends[0], p, 10L);
    CALL(write, ends[1], BAD, 10L);
    CALL(write, ends[1], p, 0L);
    CALL(write, ends[0], p, 1L);
    CALL(read, ends[1], p, 1L);
    CALL(write, ends[1], "abc", 3L);
    CALL(read, ends[0], BAD, 10L);
    CALL(read, ends[0], p, 2L);
    CALL(lseek, ends[0], 0L, SEEK_CUR);
    CALL(pwrite64, ends[1], p, 1L, 0L);
    CALL(fsync, ends[1]);
    CALL(ftruncate, ends[1], 0L);
    CALL(close, ends[0]);
    CALL(write, ends[1], "abc", 3L);
    CALL(close, ends[1]);
    CALL(pipe2, ends, 1);
    CALL(pipe2, BAD, 0);
    CALL(pipe2, last, 0);
    CALL(pipe, BAD);
    int next = dup(1);
    IS(next);
    close(next);
}

static void pairs(void)
{
    int ends[2];
    CALL(socketpair, AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends);
    CALL(recvfrom, ends[0], p, 10L, 0, NULL, NULL);
    CALL(sendto, ends[1], "hello", 5L, MSG_NOSIGNAL, NULL, 0);
    CALL(recvfrom, ends[0], p, 3L, MSG_DONTWAIT, NULL, NULL);
    CALL(recvfrom, ends[0], p, 10L, 0, NULL, NULL);
    CALL(sendto, ends[1], BAD, 5L, 0, NULL, 0);
    CALL(sendto, 99, "x", 1L, 0, NULL, 0);
    CALL(sendto, 1, "x", 1L, 0, NULL, 0);
    CALL(recvfrom, 1, p, 1L, 0, NULL, NULL);
    CALL(sendto, ends[0], "bye", 3L, 0, NULL, 0);
    CALL(recvfrom, ends[1], BAD, 3L, 0, NULL, NULL);
    CALL(shutdown, ends[0], SHUT_WR);
    CALL(sendto, ends[0], "x", 1L, MSG_NOSIGNAL, NULL, 0);
    CALL(recvfrom, ends[1], p, 10L, 0, NULL, NULL);
    CALL(recvfrom, ends[1], p, 10L, 0, NULL, NULL);
    CALL(shutdown, ends[0], 9);
    CALL(shutdown, 1, SHUT_WR);
    CALL(shutdown, 99, SHUT_WR);
    CALL(close, ends[1]);
    CALL(read, ends[0], p, 1L);
    CALL(close, ends[0]);
    CALL(socketpair, AF_UNIX, SOCK_STREAM, 0, BAD);
    CALL(socketpair, AF_UNIX, 99, 0, ends);
    CALL(socketpair, AF_UNIX, SOCK_STREAM, 99, ends);
    CALL(socketpair, 99, SOCK_STREAM, 0, ends);
}

static void memory_files(void)
{
    char name[256];
    memset(name, 'n', 255);
    name[250] = 0;
    int fd = (int)CALL(memfd_create, "one", MFD_CLOEXEC);
    CALL(memfd_create, name, 0);
    name[249] = 0;
    int other = (int)CALL(memfd_create, name, 0);
    CALL(memfd_create, "one", 0x40000000u);
    CALL(memfd_create, BAD, 0);
    CALL(write, fd, "0123456789", 10L);
    CALL(read, fd, p, 10L);
    CALL(lseek, fd, -3L, SEEK_END);
    CALL(read, fd, p, 10L);
    CALL(pwrite64, fd, "XY", 2L, 20L);
    CALL(pread64, fd, p, 100L, 8L);
    CALL(ftruncate, fd, 4L);
    CALL(ftruncate, fd, 8L);
    CALL(pread64, fd, p, 100L, 0L);
    CALL(ftruncate, fd, -1L);
    CALL(pwrite64, fd, BAD, 2L, 0L);
    CALL(fcntl, fd, F_GETFL);
    CALL(close, fd);
    CALL(close, other);
}

static void sleeps(void)
{
    struct timespec past = {1}, rest = {7, 7};
    CALL(nanosleep, &none, NULL);
    CALL(nanosleep, &soon, &rest);
    CALL(clock_nanosleep, CLOCK_MONOTONIC, 0, &soon, BAD);
    CALL(clock_nanosleep, CLOCK_REALTIME, TIMER_ABSTIME, &past, &rest);
    CALL(clock_nanosleep, CLOCK_BOOTTIME, 0, &soon, NULL);
    CALL(clock_nanosleep, CLOCK_TAI, 0, &soon, NULL);
    CALL(clock_nanosleep, CLOCK_MONOTONIC, 0, &bad, NULL);
    CALL(clock_nanosleep, CLOCK_MONOTONIC, 0, &negative, NULL);
    CALL(clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, &negative, NULL);
    CALL(clock_nanosleep, CLOCK_MONOTONIC, 0, BAD, NULL);
    CALL(clock_nanosleep, CLOCK_MONOTONIC_RAW, 0, &soon, NULL);
    CALL(clock_nanosleep, CLOCK_MONOTONIC_COARSE, 0, &soon, NULL);
    CALL(clock_nanosleep, CLOCK_THREAD_CPUTIME_ID, 0, &soon, NULL);
    CALL(clock_nanosleep, 99, 0, &soon, NULL);
    CALL(clock_nanosleep, -1, 0, &soon, NULL);
    show(&rest, sizeof(rest));
}

int main(void)
{
    edge = (char *)mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                        -1, 0) +
           4096;
    mprotect(edge, 4096, PROT_NONE);
    signal(SIGPIPE, SIG_IGN);
    begin();
    polling();
    selecting();
    sets();
    events();
    timers();
    pipes();
    pairs();
    memory_files();
    sleeps();
    return 0;
}
