"""Attacks with descriptors: as many as there are, and more; sets and buffers."""

from support.hostile import FINE

ATTACKS = r"""
static void close_all(void)
{
    for (int fd = 3; fd < 64; fd++)
        close(fd);
}

/* --- As many as there are --- */

static long one_more(int kind)
{
    int two[2];
    switch (kind) {
    case 0: return raw(pipe, two);
    case 1: return raw(eventfd2, 1, 0);
    case 2: return raw(timerfd_create, CLOCK_MONOTONIC, 0);
    case 3: return raw(epoll_create1, 0);
    case 4: return raw(memfd_create, "name", 0);
    case 5: return raw(socketpair, AF_UNIX, SOCK_STREAM, 0, two);
    case 6: return raw(dup, 0);
    case 7: return raw(fcntl, 0, F_DUPFD, 63);
    default: return -EMFILE;
    }
}
static void exhaust(void)
{
    for (int round = 0; round < 2; round++)
        for (int kind = 0; kind < 8; kind++) {
            int made = 0;
            long ret;
            while ((ret = one_more(kind)) >= 0 && made < 100)
                made++;
            EXPECT(ret == -EMFILE);
            EXPECT(made <= 61);
            for (int other = 0; other < 8; other++)
                EXPECT(other == 7 || kind == 7 || one_more(other) < 0 || made == 30);
            close_all();
        }
}
/* Each of a kind is used by the next, and none is given back. */
static void left_open(void)
{
    for (int kind = 0; kind < 8; kind++)
        while (one_more(kind) >= 0);
    EXPECT(raw(dup, 0) == -EMFILE);
}
static void numbers(void)
{
    const long odd[] = {-1, 64, 65, 255, 256, 65536, 1l << 31, 1l << 32, 1l << 63, 319};
    for (int i = 0; i < LENGTH(odd); i++) {
        const long n = odd[i];
        const int valid = (unsigned)n < 3;
        EXPECT((raw(dup2, 1, n) == -EBADF) == !valid);
        EXPECT((raw(dup3, 1, n, 0) == -EBADF) == !valid || (unsigned)n == 1);
        EXPECT((raw(dup, n) == -EBADF) == !valid);
        EXPECT((raw(close, n) == -EBADF) == !valid);
        EXPECT(raw(fcntl, 1, F_DUPFD, n | 64) == -EINVAL);
        EXPECT((raw(read, n, wrong, 0) == -EBADF) == !valid || valid);
    }
}
static void standard(void)
{
    int two[2];
    for (int fd = 0; fd < 3; fd++)
        close(fd);
    EXPECT(raw(pipe, two) == 0 && two[0] == 0 && two[1] == 1);
    EXPECT(raw(memfd_create, "name", 0) == 2);
    EXPECT(raw(write, 1, "into the pipe", 13) == 13);
    EXPECT(raw(write, 2, "into the file", 13) == 13);
    for (int fd = 0; fd < 3; fd++)
        EXPECT(raw(dup2, 2, fd) == fd);
    EXPECT(raw(read, 0, two, 8) == 0);
}

/* --- Buffers --- */

static void full_pipes(void)
{
    static char room[65536];
    long sum = 0, ret = 0;
    int fds[31][2], made = 0;
    for (; made < 30 && raw(pipe2, fds[made], O_NONBLOCK) == 0; made++)
        while ((ret = raw(write, fds[made][1], room, sizeof room)) > 0)
            sum += ret;
    EXPECT(made == 30 && ret == -ENOMEM);
    EXPECT(sum == 1 << 20);
    for (int i = 0; i < made; i++)
        while ((ret = raw(read, fds[i][0], room, sizeof room)) > 0)
            sum -= ret;
    EXPECT(sum == 0);
    close_all();
    EXPECT(raw(pipe, fds[0]) == 0 && raw(write, fds[0][1], room, 65536) == 65536);
    close_all();
}
static void full_files(void)
{
    static char room[1 << 16];
    long sum = 0, ret;
    int fd;
    for (int i = 0; i < 4; i++) {
        fd = memfd_create("name", 0);
        EXPECT(ftruncate(fd, 1l << 62) == 0);
        while (sum < 1l << 30 && (ret = raw(write, fd, room, sizeof room)) > 0)
            sum += ret;
        EXPECT(ret == -ENOSPC);
    }
    EXPECT(sum == 16 << 20);
    EXPECT(raw(pwrite64, fd, "x", 1, 1l << 62) == -ENOSPC);
    EXPECT(raw(pwrite64, fd, "x", 1, -1ul >> 1) == -EFBIG);
    EXPECT(raw(pread64, fd, room, 4096, (1l << 62) - 100) == 100);
    EXPECT(raw(lseek, fd, 1l << 62, SEEK_END) == -EINVAL);
    EXPECT(raw(lseek, fd, -1ul >> 1, SEEK_SET) > 0);
    EXPECT(raw(lseek, fd, 1, SEEK_CUR) == -EINVAL);
    EXPECT(raw(read, fd, room, 4096) == 0);
    EXPECT(raw(mmap, 0, 1l << 46, 1, MAP_PRIVATE, fd, 0) == -ENOMEM);
    EXPECT(raw(ftruncate, fd, -1l) == -EINVAL);
    close_all();
}
static void vectors(void)
{
    static struct iovec iov[1025];
    int two[2];
    char *end = last_page();
    pipe2(two, O_NONBLOCK);
    for (int i = 0; i < 1025; i++)
        iov[i] = (struct iovec){iov, sizeof iov};
    EXPECT(raw(writev, two[1], iov, 1024) == 65536);
    EXPECT(raw(readv, two[0], iov, 1024) == 65536); /* over the vector itself */
    for (int i = 0; i < 1025; i++)
        iov[i] = (struct iovec){i ? wrong : BAD, 1l << 62};
    EXPECT(raw(writev, two[1], iov, 1024) == -EFAULT);
    for (int i = 0; i < 1025; i++)
        iov[i] = (struct iovec){end + 4095, i % 2};
    EXPECT(raw(writev, two[1], iov, 1024) == 512);
    EXPECT(raw(readv, two[0], iov, 1024) == 512);
    EXPECT(raw(writev, two[1], iov, 1025) == -EINVAL);
    EXPECT(raw(writev, two[1], iov, 1l << 32) == -EINVAL);
    EXPECT(raw(writev, two[1], end + 4096 - 16, 2) == -EFAULT);
    EXPECT(raw(write, two[1], end, 4097) == 4096 || raw(write, two[1], end, 4097) < 0);
    EXPECT(raw(read, two[0], HIGH, 1) == -EFAULT);
    EXPECT(raw(write, two[1], end, -1l) < 65536);
    close_all();
}

/* --- Sets --- */

static long set(int ep, int what, int fd, unsigned events)
{
    struct epoll_event e = {events, .data.u64 = events};
    return raw(epoll_ctl, ep, what, fd, &e);
}
static void random_sets(void)
{
    struct epoll_event found[64];
    srand(7);
    for (int i = 0; i < MANY; i++) {
        switch (rand() % 8) {
        case 0: one_more(rand() % 7); break;
        case 1: close(3 + rand() % 61); break;
        case 2: raw(epoll_wait, rand() % 64, found, 64, 0); break;
        case 3: raw(dup2, 3 + rand() % 61, 3 + rand() % 61); break;
        default: set(rand() % 64, rand() % 4, rand() % 64, rand());
        }
    }
    close_all();
}
static void sets_of_sets(void)
{
    int ep[60], made = 0;
    while (made < 60 && (ep[made] = raw(epoll_create1, 0)) >= 0)
        made++;
    EXPECT(set(ep[0], EPOLL_CTL_ADD, ep[0], EPOLLIN) == -EINVAL);
    EXPECT(set(ep[0], EPOLL_CTL_ADD, ep[1], EPOLLIN) == 0);
    EXPECT(set(ep[1], EPOLL_CTL_ADD, ep[0], EPOLLIN) == -ELOOP);
    for (int i = 0; i < made; i++) /* no chain has an end that goes on */
        for (int j = 0; j < made; j++)
            set(ep[i], EPOLL_CTL_ADD, ep[j], EPOLLIN);
    for (int i = 0; i < made; i++) {
        struct epoll_event e[64];
        EXPECT(raw(epoll_wait, ep[i], e, 64, 0) == 0);
    }
    close_all();
}
/* As much as one call can look at: sets in a set, each of them often. */
static void wide_sets(void)
{
    struct epoll_event e = {EPOLLOUT};
    struct pollfd all[64];
    int two[2], in = epoll_create1(0), out = epoll_create1(0), fd;
    pipe(two);
    for (int i = 0; i < 29 && (fd = dup(two[0])) >= 0; i++)
        epoll_ctl(in, EPOLL_CTL_ADD, fd, &e);
    e.events = EPOLLIN;
    while ((fd = dup(in)) >= 0)
        epoll_ctl(out, EPOLL_CTL_ADD, fd, &e);
    for (int i = 0; i < 64; i++)
        all[i] = (struct pollfd){out, POLLIN};
    for (int i = 0; i < 5; i++)
        EXPECT(raw(poll, all, 64, 0) == 0);
    close_all();
}
static void odd_waits(void)
{
    static struct epoll_event many[2];
    int ep = epoll_create1(0), fd = eventfd(1, 0);
    struct epoll_event e = {EPOLLIN};
    char *end = last_page();
    epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e);
    EXPECT(raw(epoll_wait, ep, many, 0, 0) == -EINVAL);
    EXPECT(raw(epoll_wait, ep, many, -1, 0) == -EINVAL);
    EXPECT(raw(epoll_wait, ep, many, 0x7fffffff, 0) == -EINVAL);
    EXPECT(raw(epoll_wait, ep, many, 100000, 0) == 1);
    EXPECT(raw(epoll_wait, ep, end + 4092, 100000, 0) == -EFAULT);
    EXPECT(raw(epoll_wait, ep, BAD, 1, 0) == -EFAULT);
    EXPECT(raw(epoll_wait, ep, HIGH, 1, 0) == -EFAULT);
    EXPECT(raw(epoll_wait, ep, KERNEL, 1, 0) == -EFAULT);
    EXPECT(raw(epoll_ctl, ep, EPOLL_CTL_MOD, fd, KERNEL) == -EFAULT);
    EXPECT(raw(epoll_pwait, ep, many, 1, 0, BAD, 8) == -EFAULT);
    EXPECT(raw(epoll_pwait2, ep, many, 1, HIGH, 0, 8) == -EFAULT);
    close_all();
}

/* --- poll and select of 100,000, and for ever --- */

static void many_polls(void)
{
    const size_t size = 100000 * sizeof(struct pollfd);
    struct pollfd *all = mmap(0, size, RW, ANON, -1, 0);
    char *end = last_page();
    for (int i = 0; i < 100000; i++)
        all[i].events = POLLIN;
    ((struct pollfd *)(end + 4096))[-1] = all[0];
    const long counts[] = {100000, 65, 1 << 16, 1l << 31, -1, (1l << 32) - 1};
    for (int i = 0; i < LENGTH(counts); i++) {
        EXPECT(raw(poll, all, counts[i], 0) == -EINVAL);
        EXPECT(raw(ppoll, all, counts[i], 0, 0, 8) == -EINVAL);
    }
    EXPECT(raw(poll, all, 64, 0) == 64);
    EXPECT(raw(poll, end + 4096 - 8, 2, 0) == -EFAULT);
    EXPECT(raw(poll, end + 4096 - 8, 1, 0) == 1);
    EXPECT(raw(poll, KERNEL, 1, 0) == -EFAULT);
    EXPECT(raw(poll, HIGH, 1, 0) == -EFAULT);
    EXPECT(raw(poll, BAD, 1l << 32, 0) == 0); /* an int has 32 bits */
    munmap(all, size);
}
static void many_selects(void)
{
    static unsigned char bits[12504];
    char *end = last_page();
    struct timeval none = {0};
    memset(bits, 0, sizeof bits);
    bits[0] = 1;
    EXPECT(raw(select, 100000, bits, 0, 0, &none) == 1);
    EXPECT(raw(select, 0x7fffffff, bits, 0, 0, &none) == 1);
    EXPECT(raw(select, -1, bits, 0, 0, &none) == -EINVAL);
    EXPECT(raw(select, 64, end + 4092, 0, 0, &none) == -EFAULT);
    EXPECT(raw(select, 64, bits, KERNEL, HIGH, &none) == -EFAULT);
    EXPECT(raw(select, 64, bits, 0, 0, HIGH) == -EFAULT);
    memset(bits, 255, sizeof bits);
    EXPECT(raw(select, 100000, bits, bits, bits, &none) == -EBADF);
    EXPECT(raw(pselect6, 1, 0, 0, 0, &none, HIGH) == -EFAULT);
}
static void times(void)
{
    const long odd[] = {-1, 1l << 63, 1000000000, -1ul >> 1};
    struct itimerspec set = {0}, was;
    struct pollfd in = {0, POLLIN};
    int fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK);
    unsigned long count;
    for (int i = 0; i < LENGTH(odd); i++) {
        const struct timespec bad = {0, odd[i]}, low = {odd[i] | 1l << 63, 0};
        EXPECT(raw(ppoll, &in, 1, &bad, 0, 8) == -EINVAL);
        EXPECT(raw(ppoll, &in, 1, &low, 0, 8) == -EINVAL);
        set.it_value = bad;
        EXPECT(raw(timerfd_settime, fd, 0, &set, 0) == -EINVAL);
        set.it_value = low;
        EXPECT(raw(timerfd_settime, fd, 0, &set, 0) == -EINVAL);
    }
    const struct timespec late = {-1ul >> 1, 999999999}, soon = {0, 1};
    for (int mode = 0; mode < 2; mode++) {
        set = (struct itimerspec){late, late};
        EXPECT(raw(timerfd_settime, fd, mode, &set, &was) == 0);
        EXPECT(raw(read, fd, &count, 8) == -EAGAIN);
        EXPECT(raw(timerfd_gettime, fd, &was) == 0 && was.it_value.tv_sec > 1000000);
        set = (struct itimerspec){soon, soon}; /* every nanosecond since 1970 */
        EXPECT(raw(timerfd_settime, fd, mode, &set, &was) == 0);
        pass(1);
        EXPECT(raw(read, fd, &count, 8) == 8 && count > 1000);
    }
    EXPECT(raw(timerfd_gettime, fd, KERNEL) == -EFAULT);
    EXPECT(raw(timerfd_settime, fd, 0, &set, HIGH) == -EFAULT);
    close_all();
}
static void counters(void)
{
    int fd = eventfd(-1, EFD_NONBLOCK);
    unsigned long most = -2, none = -1, one = 1;
    for (int i = 0; i < 3; i++)
        raw(write, fd, &most, 8);
    EXPECT(raw(write, fd, &none, 8) == -EINVAL);
    EXPECT(raw(read, fd, KERNEL, 8) == -EFAULT);
    EXPECT(raw(write, fd, &most, 8) == 8);
    EXPECT(raw(write, fd, &one, 8) == -EAGAIN);
    EXPECT(raw(read, fd, &most, 8) == 8 && most == -2ul);
    close_all();
}
static void dead_sockets(void)
{
    int two[2];
    signal(SIGPIPE, SIG_IGN);
    for (int how = 0; how < 4; how++) {
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, two);
        for (int i = 0; i < 3; i++) {
            raw(shutdown, two[i % 2], how);
            raw(write, two[0], wrong, 100);
            raw(write, two[1], wrong, -1l);
            raw(recvfrom, two[0], wrong + 1000, 100, 0, HIGH, HIGH);
            raw(sendto, two[1], KERNEL, 1, 0, 0, 0);
        }
        close(two[how & 1]);
        EXPECT(raw(write, two[~how & 1], wrong, 1) < 0);
        close_all();
    }
    signal(SIGPIPE, SIG_DFL);
}

/* --- What ends a request --- */

static int ends[2];
static void *close_them(void *arg)
{
    for (int fd = 0; fd < 64; fd++)
        close(fd);
    return 0;
}
/* What another thread waits for is gone: the call fails, as no kernel holds it open. */
static void closed_meanwhile(void)
{
    char byte;
    pipe(ends);
    spawn(close_them, 0);
    EXPECT(raw(read, ends[0], &byte, 1) == -EBADF);
    struct pollfd one = {ends[0], POLLIN};
    EXPECT(raw(poll, &one, 1, -1) == 1 && one.revents == POLLNVAL);
}
static void waits_for_itself(void)
{
    char byte;
    pipe(ends);
    read(ends[0], &byte, 1);
}
static void fills_it_itself(void)
{
    pipe(ends);
    for (;;)
        write(ends[1], ways_room, sizeof ways_room);
}
static void broken(void)
{
    pipe(ends);
    close(ends[0]);
    write(ends[1], "x", 1);
}
static void polls_for_ever(void)
{
    const struct timespec late = {-1ul >> 1, 0};
    struct timeval never_us = {-1ul >> 1, 0};
    pipe(ends);
    struct pollfd one = {ends[0], POLLIN};
    raw(ppoll, &one, 1, &late, 0, 8);
    raw(select, 0, 0, 0, 0, &never_us);
}
"""
ATTACKS = "static char ways_room[100000];\n" + ATTACKS

WAYS = {
    "exhaust": FINE,
    "numbers": FINE,
    "full_pipes": FINE,
    "full_files": FINE,
    "vectors": FINE,
    "random_sets": FINE,
    "sets_of_sets": FINE,
    "wide_sets": FINE,
    "odd_waits": FINE,
    "many_polls": FINE,
    "many_selects": FINE,
    "times": FINE,
    "counters": FINE,
    "dead_sockets": FINE,
    "standard": FINE,
    "closed_meanwhile": FINE,
    "left_open": FINE,
    "waits_for_itself": "deadlock: ",
    "fills_it_itself": "deadlock: ",
    "broken": r"ended itself with signal 13 \(SIGPIPE\)",
    "polls_for_ever": "time limit reached",
}
