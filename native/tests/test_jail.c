/* The layers of the jail, each alone, in children that end with what they found. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/kvm.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "landlock.h"
#include "privileges.h"
#include "seccomp.h"
#include "seccomp_calls.h"
#include "skerry.h"

#define NOBODY 65534
#define FELL 99 /* a child that did not get into its layer */
#define READING "/etc"

/* Runs (try) in a child: its result, or minus the signal that has ended it. */
static int child(int (*try)(void))
{
    int status;
    pid_t pid = fork();
    if (pid == 0)
        _exit(try());
    CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

/* 0, or the errno of a result that is negative. */
static int error_of(long result)
{
    return result < 0 ? errno : 0;
}

static int opens(const char *path, int flags)
{
    return error_of(open(path, flags));
}

/* --- Landlock --- */

static int landlock(const char *const *readable, uint32_t count)
{
    struct skerry_error err;
    if (privileges_freeze(&err) < 0)
        _exit(FELL);
    int version = landlock_enter(readable, count, &err);
    if (version < 0)
        _exit(FELL);
    return version;
}

static int opens_files(void)
{
    int before = opens("/etc/passwd", O_RDONLY);
    int version = landlock(NULL, 0);
    return before == 0 && (!version || (opens("/etc/passwd", O_RDONLY) == EACCES &&
                                        opens("/dev/null", O_RDWR) == EACCES &&
                                        opens("/", O_DIRECTORY) == EACCES));
}

TEST(landlock_alone_opens_no_file)
{
    CHECK_EQ(child(opens_files), 1);
}

static int reads_what_was_named(void)
{
    static const char *const readable[] = {READING};
    int version = landlock(readable, 1);
    int other = opens("/bin/sh", O_RDONLY);
    return opens(READING "/passwd", O_RDONLY) == 0 && (!version || other == EACCES) &&
           (!version || opens(READING "/passwd", O_RDWR) == EACCES);
}

TEST(landlock_alone_leaves_named_directories_to_be_read)
{
    CHECK_EQ(child(reads_what_was_named), 1);
}

static int makes_files(void)
{
    int version = landlock(NULL, 0);
    return !version || (error_of(mkdir("/tmp/skerry-jail", 0700)) == EACCES &&
                        error_of(unlink("/etc/passwd")) == EACCES &&
                        error_of(execl("/bin/true", "true", NULL)) == EACCES);
}

TEST(landlock_alone_makes_removes_and_runs_nothing)
{
    CHECK_EQ(child(makes_files), 1);
}

static int uses_ports(void)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in port = {.sin_family = AF_INET,
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int version = landlock(NULL, 0);
    return version < 4 ||
           (error_of(bind(fd, (void *)&port, sizeof(port))) == EACCES &&
            error_of(connect(fd, (void *)&port, sizeof(port))) == EACCES);
}

TEST(landlock_alone_binds_and_connects_no_port)
{
    CHECK_EQ(child(uses_ports), 1);
}

static int signals_parent(void)
{
    int before = error_of(kill(getppid(), 0));
    return before == 0 &&
           (landlock(NULL, 0) < 6 || error_of(kill(getppid(), 0)) == EPERM);
}

TEST(landlock_alone_signals_nobody_outside)
{
    CHECK_EQ(child(signals_parent), 1);
}

static int writes_to_what_is_open(void)
{
    FILE *file = tmpfile();
    landlock(NULL, 0);
    return error_of(write(fileno(file), "text", 4)) == 0 &&
           error_of(ftruncate(fileno(file), 8192)) == 0 &&
           error_of(fdatasync(fileno(file))) == 0;
}

TEST(landlock_leaves_what_is_open)
{
    CHECK_EQ(child(writes_to_what_is_open), 1);
}

/* --- seccomp --- */

static void filter(int kill, int reads)
{
    struct skerry_error err;
    if (privileges_freeze(&err) < 0 || seccomp_enter(kill, reads, &err) < 0)
        _exit(FELL);
}

/* The lines about refused calls are not for who runs the tests. */
static void filter_quietly(void)
{
    dup2(open("/dev/null", O_WRONLY), STDERR_FILENO);
    filter(0, 0);
}

static int makes_processes(void)
{
    filter_quietly();
    return error_of(syscall(SYS_fork)) == EPERM &&
           error_of(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0)) == EPERM &&
           error_of(execl("/bin/true", "true", NULL)) == EPERM;
}

TEST(seccomp_alone_makes_no_process)
{
    CHECK_EQ(child(makes_processes), 1);
}

static int makes_code(void)
{
    void *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    filter_quietly();
    void *code = mmap(NULL, 4096, PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return code == MAP_FAILED && errno == EPERM &&
           error_of(mprotect(page, 4096, PROT_READ | PROT_EXEC)) == EPERM &&
           error_of(mprotect(page, 4096, PROT_READ | PROT_WRITE)) == 0;
}

TEST(seccomp_alone_makes_no_memory_executable)
{
    CHECK_EQ(child(makes_code), 1);
}

static int makes_sockets(void)
{
    int pair[2];
    filter_quietly();
    return error_of(socket(AF_INET, SOCK_STREAM, 0)) == EPERM &&
           error_of(socketpair(AF_UNIX, SOCK_STREAM, 0, pair)) == 0 &&
           error_of(send(pair[0], "text", 4, 0)) == 0;
}

TEST(seccomp_alone_makes_no_socket_but_pairs)
{
    CHECK_EQ(child(makes_sockets), 1);
}

static int opens_quietly(void)
{
    int lines[2];
    char line[64];
    if (pipe2(lines, O_NONBLOCK) < 0)
        return 0;
    dup2(lines[1], STDERR_FILENO);
    filter(0, 0);
    return opens("/etc/passwd", O_RDONLY) == EACCES &&
           error_of(read(lines[0], line, sizeof(line))) == EAGAIN &&
           opens("/dev/null", O_RDWR) == EPERM && read(lines[0], line, 8) == 8;
}

TEST(seccomp_alone_opens_nothing_and_speaks_of_writing_only)
{
    CHECK_EQ(child(opens_quietly), 1);
}

static int opens_with_reads(void)
{
    int lines = open("/dev/null", O_WRONLY);
    dup2(lines, STDERR_FILENO);
    filter(0, 1);
    return opens("/etc/passwd", O_RDONLY) == 0 && opens("/dev/null", O_RDWR) == EPERM &&
           opens("/tmp", O_TMPFILE | O_RDWR) == EPERM;
}

TEST(seccomp_with_reads_opens_for_reading_only)
{
    CHECK_EQ(child(opens_with_reads), 1);
}

static int asks_kvm(void)
{
    int kvm = open("/dev/kvm", O_RDWR);
    filter_quietly();
    return ioctl(kvm, KVM_GET_API_VERSION, 0) == KVM_API_VERSION &&
           error_of(ioctl(kvm, KVM_GET_MSR_INDEX_LIST, 0)) == EPERM;
}

TEST(seccomp_lets_pass_the_ioctls_that_guests_need)
{
    CHECK_EQ(child(asks_kvm), 1);
}

static int forbidden_with_kill(void)
{
    filter(1, 0);
    return (int)syscall(SYS_fork);
}

TEST(seccomp_with_kill_ends_the_process)
{
    CHECK_EQ(child(forbidden_with_kill), -SIGSYS);
}

static volatile int entered, found;

static void *try_in_thread(void *unused)
{
    while (!entered)
        sched_yield();
    found = error_of(syscall(SYS_fork));
    return unused;
}

static int thread_from_before(void)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, try_in_thread, NULL))
        return FELL;
    filter_quietly();
    entered = 1;
    pthread_join(thread, NULL);
    return found == EPERM;
}

TEST(seccomp_holds_threads_from_before)
{
    CHECK_EQ(child(thread_from_before), 1);
}

static int makes_a_ring(void)
{
    char parameters[120] = {0};
    struct skerry_error err;
    if (skerry_jail_prepare(&err) < 0)
        return FELL;
    return error_of(syscall(SYS_io_uring_setup, 8, parameters)) == ENOSYS &&
           opens("/etc/passwd", O_RDONLY) == 0;
}

TEST(a_prepared_process_makes_no_ring_and_is_free_otherwise)
{
    CHECK_EQ(child(makes_a_ring), 1);
}

TEST(the_table_has_no_row_that_another_hides)
{
    for (size_t i = 0; i < seccomp_call_count; i++)
        for (size_t j = i + 1; j < seccomp_call_count; j++) {
            const struct seccomp_call *a = &seccomp_calls[i], *b = &seccomp_calls[j];
            CHECK(a->number != b->number || a->test[0].mask);
            CHECK(memcmp(a, b, sizeof(*a)) != 0);
        }
}

/* --- Privileges --- */

static int no_new_privileges(void)
{
    struct skerry_error err;
    return privileges_freeze(&err) == 0 && prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1;
}

TEST(no_program_gives_new_privileges)
{
    CHECK_EQ(child(no_new_privileges), 1);
}

static int limits(void)
{
    struct skerry_error err;
    struct rlimit core, files;
    if (privileges_limit(64, &err) < 0)
        return FELL;
    getrlimit(RLIMIT_CORE, &core);
    getrlimit(RLIMIT_NOFILE, &files);
    return core.rlim_max == 0 && files.rlim_max == 64 && files.rlim_cur == 64;
}

TEST(limits_are_lowered_for_good)
{
    CHECK_EQ(child(limits), 1);
}

static int has_capability(unsigned cap)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {0};
    if (syscall(SYS_capget, &head, data) < 0)
        _exit(FELL);
    return (data[cap / 32].permitted >> (cap % 32) & 1) != 0;
}

/* As the user who runs the tests: then capabilities go by their own step. */
static int keeps_user(void)
{
    struct skerry_error err;
    uid_t before = getuid();
    if (privileges_drop(0, 0, &err) < 0)
        return FELL;
    int left = 0;
    for (unsigned cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
        left +=
            has_capability(cap) || (!before && prctl(PR_CAPBSET_READ, cap, 0, 0, 0));
    return getuid() == before && left == 0 && prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0;
}

TEST(capabilities_go_without_a_change_of_user)
{
    CHECK_EQ(child(keeps_user), 1);
}

static int becomes_nobody(void)
{
    struct skerry_error err;
    uid_t real, effective, saved;
    struct rlimit threads, before;
    getrlimit(RLIMIT_NPROC, &before);
    if (privileges_drop(NOBODY, NOBODY, &err) < 0)
        return FELL;
    getresuid(&real, &effective, &saved);
    getrlimit(RLIMIT_NPROC, &threads);
    return real == NOBODY && effective == NOBODY && saved == NOBODY &&
           (threads.rlim_max == 4096 || before.rlim_max < 4096) && getgid() == NOBODY &&
           getgroups(0, NULL) == 0 && error_of(setuid(0)) == EPERM &&
           prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0;
}

TEST(root_becomes_another_for_good)
{
    if (getuid() == 0)
        CHECK_EQ(child(becomes_nobody), 1);
}
