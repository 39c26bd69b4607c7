/* Files, with an opener that does what a test wants. */
#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"
#include "watchdog.h"

#define SOON 50000000UL     /* ns: of an answer that does not come */
#define LATER 60000000000UL /* of one that does */

/* What the opener does, once a thread runs it. */
struct bogus {
    int door, theirs;
    int32_t error;
    int is_state, fds; /* descriptors that it sends with each answer */
    size_t cut;        /* bytes of the answer that it leaves out */
    pthread_t thread;
};

static struct bogus o;
static struct descriptors d;
static struct files f, frozen;

static void send_answer(int to)
{
    struct opener_answer answer = {.error = o.error, .is_state = (uint32_t)o.is_state};
    int fds[2] = {memfd_create("one", 0), memfd_create("two", 0)};
    answer.stat.st_mode = S_IFREG;
    struct iovec iov = {&answer, offsetof(struct opener_answer, text) - o.cut};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    _Alignas(struct cmsghdr) char room[CMSG_SPACE(sizeof(fds))] = {0};
    if (o.fds) {
        msg.msg_control = room;
        msg.msg_controllen = CMSG_SPACE((size_t)o.fds * sizeof(int));
        struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN((size_t)o.fds * sizeof(int));
        memcpy(CMSG_DATA(c), fds, (size_t)o.fds * sizeof(int));
    }
    CHECK(sendmsg(to, &msg, MSG_NOSIGNAL) > 0);
    close(fds[0]);
    close(fds[1]);
}

/* Answers until nobody can ask. */
static void *answer_all(void *unused)
{
    char ask[8192];
    _Alignas(struct cmsghdr) char room[CMSG_SPACE(2 * sizeof(int))];
    for (;;) {
        struct iovec iov = {ask, sizeof(ask)};
        struct msghdr msg = {.msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = room,
                             .msg_controllen = sizeof(room)};
        if (recvmsg(o.theirs, &msg, 0) <= 0)
            return unused;
        int fds[2] = {-1, -1};
        struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
        memcpy(fds, CMSG_DATA(c), c->cmsg_len - CMSG_LEN(0));
        send_answer(fds[0]);
        close(fds[0]);
        if (fds[1] >= 0)
            close(fds[1]);
    }
}

static int descriptors_of_process(void)
{
    int lowest = dup(0);
    close(lowest);
    return lowest;
}

static void begin(struct bogus bogus, int answers)
{
    int pair[2];
    o = bogus;
    CHECK_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
    o.door = pair[0];
    o.theirs = pair[1];
    o.thread = 0;
    if (answers)
        CHECK_EQ(pthread_create(&o.thread, NULL, answer_all, NULL), 0);
    descriptors_init(&d);
    files_init(&f, o.door, OPENER_START, NULL);
}

static void end(void)
{
    close(o.door);
    if (o.thread)
        pthread_join(o.thread, NULL);
    close(o.theirs);
}

static long open_one(uint64_t ns)
{
    return files_open(&f, &d, "/file", O_RDONLY, 0, clock_now() + ns);
}

TEST(an_opener_that_does_not_answer_is_waited_for_until_then)
{
    int before = descriptors_of_process();
    begin((struct bogus){0}, 0);
    uint64_t start = clock_now();
    CHECK_EQ(open_one(SOON), -EIO);
    CHECK(clock_now() - start >= SOON);
    while (send(o.door, "x", 1, MSG_DONTWAIT) > 0)
        ; /* until its queue is full */
    CHECK_EQ(open_one(SOON), -EIO);
    close(o.theirs);
    CHECK_EQ(open_one(LATER), -EIO);
    o.theirs = -1;
    end();
    CHECK_EQ(descriptors_of_process(), before);
}

TEST(an_answer_that_is_cut_off_is_none)
{
    int before = descriptors_of_process();
    for (size_t cut = 1; cut < offsetof(struct opener_answer, text); cut += 16) {
        begin((struct bogus){.fds = 1, .cut = cut}, 1);
        CHECK_EQ(open_one(LATER), -EIO);
        end();
    }
    CHECK_EQ(descriptors_of_process(), before);
}

TEST(an_answer_without_a_descriptor_or_with_an_error_opens_nothing)
{
    int before = descriptors_of_process();
    begin((struct bogus){.fds = 0}, 1);
    CHECK_EQ(open_one(LATER), -ENFILE);
    end();
    begin((struct bogus){.fds = 1, .error = ENOENT}, 1);
    CHECK_EQ(open_one(LATER), -ENOENT);
    CHECK_EQ(f.count, 0);
    end();
    CHECK_EQ(descriptors_of_process(), before);
}

TEST(files_that_are_closed_leave_nothing)
{
    int before = descriptors_of_process();
    begin((struct bogus){.fds = 1}, 1);
    for (int round = 0; round < 3; round++) {
        for (int fd = 3; fd < DESCRIPTORS; fd++)
            CHECK_EQ(open_one(LATER), fd);
        CHECK_EQ(open_one(LATER), -EMFILE);
        for (uint32_t fd = 3; fd < 20; fd++)
            CHECK_EQ(files_close(&f, &d, fd, 0), 0);
        files_drop(&f);
        CHECK_EQ(f.count, 0);
        descriptors_init(&d);
    }
    end();
    CHECK_EQ(descriptors_of_process(), before);
}

/* Start-up opens a file for reading and one for writing, and is frozen. */
static void freeze(enum opener_who who)
{
    begin((struct bogus){.fds = 1}, 1);
    f.who = who;
    CHECK_EQ(open_one(LATER), 3);
    CHECK_EQ(files_open(&f, &d, "/file", O_RDWR, 0, clock_now() + LATER), 4);
    CHECK_EQ(files_freeze(&frozen, &f, &d, clock_now() + LATER), 0);
    CHECK_EQ(f.count, 0);
}

TEST(what_start_up_has_opened_is_the_snapshots)
{
    int before = descriptors_of_process();
    freeze(OPENER_START);
    CHECK_EQ(descriptors_find(&d, 4), -EBADF); /* it was open for writing */
    struct files clone;
    files_init(&clone, -1, OPENER_REQUEST, &frozen);
    int index = descriptors_find(&d, 3);
    CHECK(fcntl(files_host(&clone, &d, index), F_GETFD) >= 0);
    CHECK_EQ(files_close(&clone, &d, 3, 0), 0);
    CHECK(fcntl(frozen.own[index], F_GETFD) >= 0);
    CHECK_EQ(files_open(&clone, &d, "/file", O_RDONLY, 0, clock_now() + LATER), 3);
    CHECK(files_host(&clone, &d, descriptors_find(&d, 3)) != frozen.own[index]);
    CHECK_EQ(frozen.open, 1);
    files_drop(&clone);
    CHECK_EQ(frozen.open, 0);
    files_release(&frozen);
    end();
    CHECK_EQ(descriptors_of_process(), before);
}

TEST(another_process_gets_what_start_up_has_opened)
{
    int before = descriptors_of_process(), fds[DESCRIPTORS];
    freeze(OPENER_STORAGE);
    CHECK_EQ(files_list(&frozen, &d, fds), 2);
    struct files other;
    for (int count = 0; count < 4; count++) {
        files_init(&other, -1, OPENER_STORAGE, NULL);
        int copies[3] = {dup(fds[0]), dup(fds[1]), dup(fds[1])};
        for (int i = count; i < 3; i++)
            close(copies[i]);
        CHECK_EQ(files_adopt(&other, &d, -1, copies, count), count == 2 ? 0 : -EINVAL);
        files_release(&other);
    }
    files_release(&frozen);
    end();
    CHECK_EQ(descriptors_of_process(), before);
}

TEST(the_end_of_a_call_closes_what_it_has_opened)
{
    int before = descriptors_of_process();
    freeze(OPENER_STORAGE);
    struct files call;
    files_init(&call, -1, OPENER_STORAGE, &frozen);
    o.is_state = 1;
    CHECK_EQ(files_open(&call, &d, "/state", O_RDWR, 0, clock_now() + LATER), 5);
    CHECK_EQ(files_open(&call, &d, "/state", O_RDWR, 0, clock_now() + LATER), -EBUSY);
    CHECK_EQ(files_end_call(&call, &d, 1, clock_now() + LATER), 0);
    CHECK_EQ(descriptors_find(&d, 5), -EBADF);
    CHECK(descriptors_find(&d, 3) >= 0 && descriptors_find(&d, 4) >= 0);
    CHECK_EQ(files_open(&call, &d, "/state", O_RDWR, 0, clock_now() + LATER), 5);
    o.error = ENOSPC;
    CHECK_EQ(files_end_call(&call, &d, 1, clock_now() + LATER), -ENOSPC);
    CHECK_EQ(call.count, 0);
    files_release(&frozen);
    end();
    CHECK_EQ(descriptors_of_process(), before);
}
