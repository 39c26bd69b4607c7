"""System calls answer as Linux does. One program makes many, good and bad; it runs on
this Linux and in a guest, and what differs must be in a table, with a reason."""

import re
import subprocess

import pytest
from support.guests import compile_guest
from support.oracle import MAIN, SHOW, differing, on_linux, results

from skerry.native import Stream

pytestmark = pytest.mark.core

# One line a call: "CALL = RESULT", the result a number or a name of an error.
PROGRAM = (
    SHOW
    + r"""
#include <asm/prctl.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <termios.h>
#include <time.h>

#define PAGE 4096ul
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)
static char p[8192] __attribute__((aligned(4096)));
static const char constant[8192] __attribute__((aligned(4096))) = "constant";
static char long_path[5000], room[100000];
static char *map(size_t size) { return mmap(0, size, 3, ANON, -1, 0); }
static char *fresh(void) { return memset(map(4 * PAGE), 7, 4 * PAGE); }
static int zeros(const char *at, size_t size)
{
    while (size && !*at)
        at++, size--;
    return size == 0;
}

static void files(void)
{
    struct iovec iov[2] = {{"a", 1}, {"b", 1}}, bad[2] = {{"a", 1}, {BAD, 1}};
    struct iovec none[2] = {{BAD, 0}, {BAD, 0}}, huge[2] = {{p, -1}, {p, 1}};
    struct stat st;
    TRY(read, 0, p, 5);
    TRY(read, 0, p, 0);
    TRY(read, 1, p, 5);
    TRY(read, 7, p, 5);
    TRY(read, -1, p, 5);
    TRY(readv, 0, iov, 2);
    TRY(readv, 1, iov, 2);
    TRY(write, 2, "ab", 2);
    TRY(write, 2, room, sizeof room);
    TRY(write, 2, BAD, 0);
    TRY(write, 2, BAD, 5);
    TRY(write, 2, HIGH, 5);
    TRY(write, 0, "a", 1);
    TRY(write, 3, "a", 1);
    TRY(write, -1, "a", 1);
    TRY(write, 1ul << 32 | 2, "a", 1);
    TRY(writev, 2, iov, 2);
    TRY(writev, 2, iov, 0);
    TRY(writev, 2, none, 2);
    TRY(writev, 2, iov, -1);
    TRY(writev, 2, iov, 1025);
    TRY(writev, 2, BAD, 1);
    TRY(writev, 2, bad + 1, 1);
    TRY(writev, 2, huge, 2);
    TRY(writev, 0, iov, 2);
    TRY(writev, 9, iov, 2);
    TRY(open, "/does/not/exist", O_RDONLY);
    TRY(open, "", O_RDONLY);
    TRY(open, BAD, O_RDONLY);
    TRY(open, long_path, O_RDONLY);
    TRY(openat, AT_FDCWD, "not there", O_RDONLY);
    TRY(openat, AT_FDCWD, BAD, O_RDONLY);
    TRY(openat, 99, "/does/not/exist", O_RDONLY);
    TRY(openat, 99, "not there", O_RDONLY);
    TRY(stat, "/does/not/exist", &st);
    TRY(stat, BAD, &st);
    TRY(lstat, "/does/not/exist", &st);
    TRY(access, "/does/not/exist", R_OK);
    TRY(faccessat, AT_FDCWD, "/does/not/exist", R_OK);
    TRY(readlink, "/does/not/exist", p, 100);
    TRY(readlinkat, AT_FDCWD, "/does/not/exist", p, 100);
    TRY(newfstatat, AT_FDCWD, "/does/not/exist", &st, 0);
    TRY(newfstatat, 1, "", &st, AT_EMPTY_PATH);
    TRY(newfstatat, 1, "", &st, 0);
    TRY(newfstatat, 99, "", &st, AT_EMPTY_PATH);
    TRY(newfstatat, 1, "", BAD, AT_EMPTY_PATH);
    TRY(fstat, 0, &st);
    TRY(fstat, 1, &st);
    IS(S_ISREG(st.st_mode));
    TRY(fstat, 2, &st);
    TRY(fstat, 3, &st);
    TRY(fstat, 1, BAD);
    TRY(lseek, 0, 0, SEEK_SET);
    TRY(lseek, 1, 0, SEEK_END);
    TRY(lseek, 1, 0, 99);
    TRY(lseek, 9, 0, SEEK_SET);
    TRY(ioctl, 1, TCGETS, p);
    TRY(ioctl, 1, TIOCGWINSZ, p);
    TRY(ioctl, 9, TCGETS, p);
    TRY(fcntl, 0, F_GETFD);
    TRY(fcntl, 0, F_GETFL);
    TRY(fcntl, 1, F_GETFL);
    TRY(fcntl, 1, F_SETFD, 0);
    TRY(fcntl, 1, F_SETFL, 0);
    TRY(fcntl, 1, 9999);
    TRY(fcntl, 9, F_GETFD);
    TRY(getcwd, p, 100);
    IS(strcmp(p, "/"));
    TRY(getcwd, p, 1);
    TRY(getcwd, p, 0);
    TRY(getcwd, BAD, 100);
}

static void descriptors(void)
{
    struct pollfd fds[65] = {{-1, POLLIN, 99}, {9, POLLIN, 99}, {2, POLLOUT, 99}};
    TRY(poll, 0, 0, 0);
    TRY(poll, BAD, 1, 0);
    TRY(poll, fds, 3, 0);
    IS(fds[0].revents);
    IS(fds[1].revents);
    IS(fds[2].revents);
    TRY(poll, fds, 65, 0);
    TRY(poll, fds, 1ul << 20, 0);
    TRY(dup, 1);
    TRY(dup, 9);
    TRY(dup2, 1, 9);
    TRY(dup2, 9, 1);
    TRY(fcntl, 1, F_DUPFD, 0);
    TRY(close, 3);
    TRY(close, -1);
    TRY(close, 0);
    TRY(close, 0);
    TRY(read, 0, p, 5);
    TRY(fstat, 0, p);
}

static void memory(void)
{
    char *m = fresh(), *other;
    IS((uint64_t)m % PAGE);
    IS(zeros(map(10 * PAGE), 10 * PAGE));
    TRY(mmap, 0, 0, 3, ANON, -1, 0);
    TRY(mmap, 0, PAGE, 3, MAP_ANONYMOUS, -1, 0);
    TRY(mmap, 0, 1ul << 62, 3, ANON, -1, 0);
    TRY(mmap, 0, -1ul, 3, ANON, -1, 0);
    TRY(mmap, 0, PAGE, 3, MAP_PRIVATE, 9, 0);
    TRY(mmap, 0, PAGE, 3, MAP_PRIVATE, 1, 0);
    TRY(mmap, m + 1, PAGE, 3, ANON | MAP_FIXED, -1, 0);
    TRY(mmap, m, PAGE, 3, ANON | MAP_FIXED_NOREPLACE, -1, 0);
    IS(m[0]);
    IS(mmap(m, PAGE, 3, ANON | MAP_FIXED, -1, 0) == m && zeros(m, PAGE));
    IS(m[PAGE]);
    IS(mmap(0, PAGE, 3, MAP_SHARED | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
    TRY(munmap, m + 1, PAGE);
    TRY(munmap, m, 0);
    TRY(munmap, m, -1ul);
    TRY(munmap, m + PAGE, PAGE);
    TRY(munmap, m + PAGE, PAGE);
    IS(m[2 * PAGE]);
    other = fresh();
    TRY(munmap, other, 4 * PAGE);
    IS(zeros(map(4 * PAGE), 4 * PAGE));
    IS(mmap(m + PAGE, PAGE, 3, ANON | MAP_FIXED_NOREPLACE, -1, 0) == m + PAGE);
    IS(zeros(m + PAGE, PAGE));
    m = fresh();
    TRY(mprotect, m + 1, PAGE, PROT_READ);
    TRY(mprotect, m, 0, PROT_READ);
    TRY(mprotect, m, PAGE, PROT_READ);
    TRY(mprotect, m, PAGE, PROT_READ | PROT_WRITE);
    TRY(mprotect, m, PAGE, 0x10000);
    TRY(mprotect, m, -1ul, PROT_READ);
    TRY(mprotect, 0, PAGE, PROT_READ);
    IS(++m[0]);
    TRY(mprotect, m, PAGE, PROT_READ | PROT_EXEC);
    TRY(mprotect, m, PAGE, PROT_READ | PROT_WRITE);
    TRY(mprotect, constant, PAGE, PROT_READ | PROT_WRITE);
    other = mmap(0, 2 * PAGE, PROT_NONE, ANON, -1, 0);
    TRY(mprotect, other, 2 * PAGE, PROT_READ | PROT_WRITE);
    IS(zeros(other, 2 * PAGE));
    TRY(mremap, m, PAGE, 0, MREMAP_MAYMOVE);
    TRY(mremap, m + 1, PAGE, PAGE, MREMAP_MAYMOVE);
    TRY(mremap, m, PAGE, PAGE, 0x100);
    TRY(mremap, BAD, PAGE, PAGE, MREMAP_MAYMOVE);
    TRY(mremap, 0, PAGE, 2 * PAGE, MREMAP_MAYMOVE);
    IS(mremap(m, 4 * PAGE, 2 * PAGE, 0) == m);
    other = mremap(m, 2 * PAGE, 50 * PAGE, MREMAP_MAYMOVE);
    IS(other[0] == 8 && other[2 * PAGE - 1] == 7 && zeros(other + 2 * PAGE, 48 * PAGE));
    m = fresh();
    TRY(madvise, m, PAGE, MADV_DONTNEED);
    IS(zeros(m, PAGE) && m[PAGE] == 7);
    TRY(madvise, m + 1, PAGE, MADV_DONTNEED);
    TRY(madvise, m, 0, MADV_DONTNEED);
    TRY(madvise, m, PAGE, MADV_NORMAL);
    TRY(madvise, m, PAGE, 9999);
    TRY(madvise, PAGE, PAGE, MADV_DONTNEED);
}

static void program_break(void)
{
    char *now = (char *)syscall(SYS_brk, 0);
    IS(syscall(SYS_brk, 1) == (long)now);
    IS(syscall(SYS_brk, 1ul << 62) == (long)now);
    IS(syscall(SYS_brk, now + 3 * PAGE) == (long)now + 3 * PAGE);
    IS(zeros(now, 3 * PAGE));
    memset(now, 7, 3 * PAGE);
    IS(syscall(SYS_brk, now + 10) == (long)now + 10);
    IS(syscall(SYS_brk, now + 3 * PAGE) == (long)now + 3 * PAGE);
    IS(zeros((char *)(((long)now + 10 + 4095) & -PAGE), PAGE));
    IS(syscall(SYS_brk, now) == (long)now);
}

static void signals(void)
{
    struct { void *handler; long flags; void *restorer; long mask; }
        ignore = {SIG_IGN, 0, 0, 0}, usual = {0}, was = {0};
    uint64_t all = -1, none = 0, before = 9;
    stack_t stack = {p, 0, 8192}, small = {p, 0, 100}, strange = {p, 99, 8192}, now;
    TRY(rt_sigaction, SIGUSR1, &ignore, &was, 8);
    IS(was.handler == SIG_DFL);
    TRY(rt_sigaction, SIGUSR1, 0, &was, 8);
    IS(was.handler == SIG_IGN);
    TRY(rt_sigaction, SIGKILL, &ignore, 0, 8);
    TRY(rt_sigaction, SIGSTOP, &ignore, 0, 8);
    TRY(rt_sigaction, SIGKILL, 0, &was, 8);
    TRY(rt_sigaction, 0, 0, &was, 8);
    TRY(rt_sigaction, 64, 0, &was, 8);
    TRY(rt_sigaction, 65, 0, &was, 8);
    TRY(rt_sigaction, SIGUSR2, 0, &was, 4);
    TRY(rt_sigaction, SIGUSR2, BAD, 0, 8);
    TRY(rt_sigaction, SIGUSR2, 0, BAD, 8);
    TRY(kill, getpid(), SIGUSR1);
    TRY(kill, getpid(), SIGCHLD);
    TRY(kill, getpid(), 0);
    TRY(kill, getpid(), 65);
    TRY(kill, getpid(), -1);
    TRY(kill, 99999999, 0);
    TRY(tgkill, getpid(), gettid(), SIGWINCH);
    TRY(tgkill, getpid(), 99999999, 0);
    TRY(tgkill, -1, gettid(), 0);
    TRY(tgkill, getpid(), -1, 0);
    TRY(tgkill, getpid(), gettid(), 65);
    TRY(tkill, gettid(), 0);
    TRY(rt_sigaction, SIGUSR1, &usual, 0, 8);
    TRY(rt_sigprocmask, SIG_SETMASK, &all, &before, 8);
    IS(before);
    TRY(rt_sigprocmask, 99, 0, &before, 8);
    IS(before);
    TRY(rt_sigprocmask, 99, &none, 0, 8);
    TRY(rt_sigprocmask, SIG_UNBLOCK, &all, 0, 8);
    TRY(rt_sigprocmask, SIG_BLOCK, &all, BAD, 8);
    TRY(rt_sigprocmask, SIG_BLOCK, BAD, 0, 8);
    TRY(rt_sigprocmask, SIG_BLOCK, &none, 0, 4);
    TRY(rt_sigprocmask, SIG_SETMASK, &none, 0, 8);
    TRY(sigaltstack, &stack, &now);
    IS(now.ss_flags);
    TRY(sigaltstack, 0, &now);
    IS(now.ss_sp == p && now.ss_size == 8192 && now.ss_flags == 0);
    TRY(sigaltstack, &small, 0);
    TRY(sigaltstack, &strange, 0);
    TRY(sigaltstack, BAD, 0);
    TRY(sigaltstack, 0, BAD);
    stack.ss_flags = SS_DISABLE;
    TRY(sigaltstack, &stack, 0);
}

static void clocks(void)
{
    struct timespec t = {0, 1000}, wrong = {0, 1000000000}, negative = {-1, 0};
    struct timespec past = {1, 0};
    for (int i = 0; i < 13; i++)
        TRY(clock_gettime, i, &t);
    t = (struct timespec){0, 1000};
    TRY(clock_gettime, 99, &t);
    TRY(clock_gettime, 1, BAD);
    TRY(clock_getres, 1, 0);
    TRY(clock_getres, 1, BAD);
    TRY(clock_getres, 99, 0);
    TRY(gettimeofday, p, 0);
    TRY(gettimeofday, 0, p);
    TRY(gettimeofday, 0, 0);
    TRY(gettimeofday, BAD, 0);
    IS(syscall(SYS_time, 0) > 1700000000);
    TRY(time, BAD);
    TRY(nanosleep, &t, 0);
    TRY(nanosleep, &wrong, 0);
    TRY(nanosleep, &negative, 0);
    TRY(nanosleep, BAD, 0);
    TRY(clock_nanosleep, CLOCK_MONOTONIC, 0, &t, 0);
    TRY(clock_nanosleep, CLOCK_REALTIME, TIMER_ABSTIME, &past, 0);
    TRY(clock_nanosleep, 99, 0, &t, 0);
    TRY(clock_nanosleep, CLOCK_MONOTONIC, 0, &wrong, 0);
}

static void process(void)
{
    struct rlimit limit;
    uint64_t value = 0;
    TRY(getpid);
    TRY(getppid);
    IS(syscall(SYS_gettid) == getpid());
    IS(syscall(SYS_set_tid_address, p) == getpid());
    IS(syscall(SYS_getuid) == syscall(SYS_geteuid));
    IS(syscall(SYS_getgid) == syscall(SYS_getegid));
    TRY(uname, p);
    IS(strcmp(p, "Linux") || strcmp(((struct utsname *)p)->machine, "x86_64"));
    TRY(uname, BAD);
    TRY(prlimit64, 0, RLIMIT_STACK, 0, &limit);
    IS(limit.rlim_cur >= 8 << 20);
    TRY(prlimit64, 0, RLIMIT_STACK, 0, 0);
    TRY(prlimit64, 0, RLIMIT_STACK, 0, BAD);
    TRY(prlimit64, 0, 99, 0, &limit);
    limit = (struct rlimit){0, 0};
    TRY(prlimit64, 99999999, RLIMIT_STACK, 0, &limit);
    TRY(prlimit64, 0, RLIMIT_CORE, &limit, 0);
    TRY(getrusage, RUSAGE_SELF, p);
    TRY(getrusage, 99, p);
    TRY(getrusage, RUSAGE_SELF, BAD);
    TRY(sysinfo, p);
    TRY(sysinfo, BAD);
    TRY(sched_yield);
    IS(syscall(SYS_sched_getaffinity, 0, 1024, p) >= 8);
    TRY(sched_getaffinity, 0, 4, p);
    TRY(sched_getaffinity, 0, 12, p);
    TRY(sched_getaffinity, 0, 1024, BAD);
    TRY(getrandom, p, 16, 0);
    TRY(getrandom, p, 0, 0);
    TRY(getrandom, p, 5000, GRND_NONBLOCK);
    TRY(getrandom, BAD, 16, 0);
    TRY(getrandom, p, 16, 99);
    TRY(getrandom, p, 16, GRND_RANDOM | GRND_INSECURE);
    TRY(set_robust_list, p, 24);
    TRY(set_robust_list, p, 1);
    TRY(prctl, 99999, 0, 0, 0, 0);
    TRY(arch_prctl, ARCH_GET_FS, &value);
    IS(value != 0);
    TRY(arch_prctl, ARCH_GET_FS, BAD);
    TRY(arch_prctl, ARCH_SET_GS, p);
    TRY(arch_prctl, ARCH_GET_GS, &value);
    IS(value == (uint64_t)p);
    TRY(arch_prctl, ARCH_SET_GS, 1ul << 63);
    TRY(arch_prctl, 0x9999, 0);
}

static void futexes(void)
{
    static int word = 5;
    struct timespec soon = {0, 1000000}, wrong = {0, -1}, past = {1, 0};
    TRY(futex, &word, FUTEX_WAKE, 1, 0, 0, 0);
    TRY(futex, &word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, 0, 0, 0);
    TRY(futex, &word, FUTEX_WAIT, 4, 0, 0, 0);
    TRY(futex, &word, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, 4, 0, 0, 0);
    TRY(futex, (char *)&word + 1, FUTEX_WAIT, 4, 0, 0, 0);
    TRY(futex, BAD, FUTEX_WAIT, 4, 0, 0, 0);
    TRY(futex, &word, FUTEX_WAIT, 5, &soon, 0, 0);
    TRY(futex, &word, FUTEX_WAIT, 5, &wrong, 0, 0);
    TRY(futex, &word, FUTEX_WAIT, 5, BAD, 0, 0);
    TRY(futex, &word, FUTEX_WAIT_BITSET, 5, &past, 0, -1);
    TRY(futex, &word, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 5, &past, 0, -1);
    TRY(futex, &word, FUTEX_WAIT_BITSET, 4, 0, 0, 0);
    TRY(futex, &word, 99, 0, 0, 0, 0);
}

static void try_all(void)
{
    memset(long_path, 'x', sizeof long_path - 1);
    files();
    memory();
    program_break();
    signals();
    clocks();
    process();
    futexes();
    descriptors();
}
"""
    + MAIN
)


@pytest.fixture(scope="module")
def linux():
    """What this Linux answers."""
    return on_linux(compile_guest(PROGRAM), stdin=subprocess.PIPE)


# What differs, and why: the call, our result, the reason.
DIFFERENCES = [
    ("write(2, room, sizeof room)", "65536", "work for a guest has a bound a call"),
    ("mmap(0, PAGE, 3, MAP_PRIVATE, 1, 0)", "ENODEV", "output is no file, as a tty"),
    ("getpid()", "1", "there is one process"),
    ("getppid()", "0", "nobody has started it"),
]


@pytest.mark.parametrize("when", ["at the start", "in a request"])
def test_system_calls_answer_as_linux_does(guest, linux, when):
    """... but for the table; and all of the table is still true."""
    vm = guest(PROGRAM, whole=True, arguments=[when])
    ours = results(vm.text(f"/{when}"))
    expected = {call: (here, linux[call]) for call, here, _ in DIFFERENCES}
    assert differing(ours, linux) == expected


REGISTERS = r"""
#define EACH(X) X(0, rbx) X(1, rdx) X(2, rsi) X(3, rdi) X(4, rbp) X(5, r8) X(6, r9) \
    X(7, r10) X(8, r12) X(9, r13) X(10, r14) X(11, r15)
#define LOAD(n, r) "mov before+8*" #n "(%rip), %" #r "\n"
#define STORE(n, r) "mov %" #r ", after+8*" #n "(%rip)\n"
uint64_t before[15], after[15];
void probe(void);
__asm__(
    ".text\nprobe:\n"
    "push %rbx\n push %rbp\n push %r12\n push %r13\n push %r14\n push %r15\n"
    EACH(LOAD) "movups before+96(%rip), %xmm7\n push before+112(%rip)\n popfq\n"
    "mov $110, %eax\n syscall\n"
    EACH(STORE) "movups %xmm7, after+96(%rip)\n pushfq\n popq after+112(%rip)\n cld\n"
    "pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbp\n pop %rbx\n ret\n");
START {}
HANDLE {
    for (int i = 0; i < 14; i++)
        before[i] = 0x0123456789abcdef * (i + 3);
    before[14] = 0x6d7; /* DF IF SF ZF AF PF CF */
    probe();
    reply("%d %lx", memcmp(before, after, 112), after[14]);
}
"""


def test_a_system_call_changes_no_other_registers(guest):
    """... than rax, rcx and r11: compilers count on it."""
    assert guest(REGISTERS).text() == "0 6d7"


UNKNOWN = r"""
#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>
static int refused;
static void try(long number)
{
    refused += syscall(number, 1, 2, 3) == -1 && errno == ENOSYS;
}
START { try(SYS_shmget); try(SYS_fork); }
HANDLE { refused = 0; try(SYS_shmget); try(SYS_landlock_add_rule); try(499);
    try(9999); try(-1); reply("%d", refused); }
"""


def test_unknown_system_calls_are_refused_counted_and_logged_once(guest):
    vm = guest(UNKNOWN)
    assert vm.snapshot.unknown_syscalls == 2
    assert [vm.text(), vm.text()] == ["5", "5"]
    assert vm.snapshot.unknown_syscalls == 12
    lines = [text for kind, text in vm.lines() if kind == Stream.HOST]
    logged = re.findall(r"system call (\S+) \((\w+)\) is not there: ENOSYS", str(lines))
    assert len(logged) == len(lines)
    assert logged == [
        ("29", "shmget"),
        ("57", "fork"),
        ("445", "landlock_add_rule"),
        ("499", "unnamed"),
        ("9999", "unnamed"),
    ]


@pytest.mark.parametrize("compiler", ["gcc", "musl-gcc", "g++"])
def test_start_up_of_a_c_library_needs_no_unknown_system_call(guest, compiler):
    vm = guest('START { puts("x"); } HANDLE { reply("x"); }', compiler=compiler)
    assert vm.text() == "x"
    assert vm.snapshot.unknown_syscalls == 0, vm.lines()
