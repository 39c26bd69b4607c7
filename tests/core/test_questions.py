"""What a program asks about itself is answered as Linux does: who it is, how it is
scheduled, what it may have. The same program runs here and in a guest."""

import pytest
from support.guests import compile_guest
from support.oracle import MAIN, SHOW, differing, on_linux, results

pytestmark = pytest.mark.core

PROGRAM = (
    SHOW
    + r"""
#include <linux/capability.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/times.h>
#include <time.h>

static char p[8192] __attribute__((aligned(4096)));

static void who(void)
{
    int a = 9, b = 9, c = 9;
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_header_struct old = {99, 0}, other = {head.version, 99999999};
    struct __user_cap_header_struct wrong = {head.version, -1};
    IS(syscall(SYS_getpgid, 0) == syscall(SYS_getpgrp));
    IS(syscall(SYS_getpgid, getpid()) == syscall(SYS_getpgrp));
    TRY(getpgid, 99999999);
    TRY(getpgid, -1);
    IS(syscall(SYS_getsid, 0) > 0);
    TRY(getsid, 99999999);
    TRY(getresuid, &a, &b, &c);
    IS(a == b && b == c && a == getuid());
    TRY(getresgid, &a, &b, &c);
    IS(a == b && b == c && a == getgid());
    TRY(getresuid, &a, &b, BAD);
    TRY(getresuid, BAD, &b, &c);
    TRY(getgroups, -1, &a);
    umask(027);
    IS(umask(01777));
    IS(umask(022));
    TRY(capget, &head, p);
    TRY(capget, &head, 0);
    TRY(capget, &head, BAD);
    TRY(capget, BAD, p);
    TRY(capget, &other, p);
    TRY(capget, &wrong, p);
    TRY(capget, &old, p);
    IS(old.version == _LINUX_CAPABILITY_VERSION_3);
    old.version = 99;
    TRY(capget, &old, 0);
    TRY(personality, 0xffffffff);
    TRY(personality, PER_LINUX);
}

static void scheduling(void)
{
    struct sched_param none = {0}, odd = {1}, got = {9};
    unsigned cpu = 99, node = 99;
    struct tms t;
    uint64_t all = -1, nothing = 0;
    TRY(sched_getscheduler, 0);
    TRY(sched_getscheduler, -1);
    TRY(sched_getscheduler, 99999999);
    TRY(sched_getparam, 0, &got);
    IS(got.sched_priority);
    TRY(sched_getparam, 0, 0);
    TRY(sched_getparam, 0, BAD);
    TRY(sched_getparam, -1, &got);
    TRY(sched_getparam, 99999999, &got);
    TRY(sched_setscheduler, 0, SCHED_OTHER, &none);
    TRY(sched_setscheduler, 0, SCHED_OTHER, &odd);
    TRY(sched_setscheduler, 0, SCHED_FIFO, &none);
    TRY(sched_setscheduler, 0, 99, &none);
    TRY(sched_setscheduler, 0, -1, &none);
    TRY(sched_setscheduler, 0, SCHED_OTHER, 0);
    TRY(sched_setscheduler, 0, SCHED_OTHER, BAD);
    TRY(sched_setparam, 0, &none);
    TRY(sched_setparam, 0, &odd);
    for (int i = 0; i < 7; i++) {
        TRY(sched_get_priority_max, i);
        TRY(sched_get_priority_min, i);
    }
    TRY(sched_get_priority_max, -1);
    TRY(sched_setaffinity, 0, 8, &all);
    TRY(sched_setaffinity, 0, 8, &nothing);
    TRY(sched_setaffinity, 0, 8, BAD);
    TRY(sched_setaffinity, 99999999, 8, &all);
    TRY(getcpu, &cpu, &node, 0);
    IS(cpu < 99 && node < 99);
    TRY(getcpu, 0, 0, 0);
    TRY(getcpu, BAD, 0, 0);
    IS(times(&t) > 0);
    IS(syscall(SYS_times, 0) > 0);
    TRY(times, BAD);
}

static void limits(void)
{
    struct rlimit limit, odd = {2, 1};
    struct itimerval timer = {{9}, {9}};
    struct timespec now = {5, 0}, wrong = {5, 1000000000};
    TRY(getrlimit, RLIMIT_STACK, &limit);
    TRY(setrlimit, RLIMIT_STACK, &limit);
    TRY(getrlimit, RLIMIT_NOFILE, &limit);
    TRY(setrlimit, RLIMIT_NOFILE, &limit);
    TRY(setrlimit, RLIMIT_NOFILE, &odd);
    TRY(getrlimit, 99, &limit);
    TRY(setrlimit, 99, &limit);
    TRY(getrlimit, RLIMIT_STACK, BAD);
    TRY(setrlimit, RLIMIT_STACK, BAD);
    TRY(clock_settime, 99, &now);
    TRY(clock_settime, CLOCK_MONOTONIC, &now);
    TRY(clock_settime, CLOCK_REALTIME, BAD);
    TRY(clock_settime, CLOCK_REALTIME, &wrong);
    TRY(mlock, p + 1, 100);
    TRY(munlock, p, 8192);
    TRY(mlock, p, 0);
    TRY(mlock, 8, 100);
    TRY(munlockall);
    TRY(mlockall, 0);
    TRY(mlockall, 8);
    TRY(mlockall, MCL_ONFAULT);
    TRY(msync, p, 4096, MS_SYNC);
    TRY(msync, p, 4096, MS_SYNC | MS_ASYNC);
    TRY(msync, p + 1, 4096, MS_SYNC);
    TRY(msync, p, 4096, 99);
    TRY(msync, 0, 4096, MS_ASYNC);
    TRY(getitimer, ITIMER_REAL, &timer);
    IS(timer.it_value.tv_sec + timer.it_interval.tv_sec);
    TRY(getitimer, 3, &timer);
    TRY(getitimer, ITIMER_PROF, BAD);
    TRY(membarrier, 99, 0);
}

static void try_all(void)
{
    who();
    scheduling();
    limits();
}
"""
    + MAIN
)


# Natively it is 0 where the session is one outside the PID namespace.
SESSION = {"syscall(SYS_getsid, 0) > 0": "1"}


@pytest.mark.parametrize("when", ["at the start", "in a request"])
def test_questions_are_answered_as_linux_does(guest, when):
    linux = on_linux(compile_guest(PROGRAM))
    vm = guest(PROGRAM, whole=True)
    ours = results(vm.text(f"/{when}"))
    assert differing(ours, linux | SESSION) == {}
    assert vm.snapshot.unknown_syscalls == 0, vm.lines()
