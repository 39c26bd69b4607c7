/* self.c: what a program asks about itself, its machine and the time. */
#include "oracle.h"

#include <linux/membarrier.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/utsname.h>
#include <time.h>

static char p[8192];

static void who(void)
{
    static struct utsname name;
    static int cleared;
    CALL(getpid);
    CALL(gettid);
    CALL(getppid);
    CALL(getuid);
    CALL(getgid);
    CALL(geteuid);
    CALL(getegid);
    CALL(getpgrp);
    CALL(getpgid, 0);
    CALL(getsid, 0);
    CALL(getgroups, 0, NULL);
    CALL(set_tid_address, &cleared);
    CALL(umask, 01077);
    CALL(umask, 022);
    CALL(uname, &name);
    CALL(uname, BAD);
    show(name.sysname, sizeof("Linux"));
    show(name.machine, sizeof("x86_64"));
}

static void chance(void)
{
    CALL(getrandom, p, 16L, 0);
    CALL(getrandom, p, 0L, 0);
    CALL(getrandom, p, 300L, GRND_NONBLOCK);
    CALL(getrandom, p, 16L, GRND_RANDOM);
    CALL(getrandom, p, 16L, GRND_RANDOM | 4);
    CALL(getrandom, p, 16L, 8);
    CALL(getrandom, BAD, 16L, 0);
}

static void clocks(void)
{
    struct timespec t;
    struct timeval tv;
    struct timezone zone = {5, 5};
    const struct timespec one = {0, 1}, no[] = {{0, 1000000000}, {-1, 0}, {0, -1}};
    CALL(gettimeofday, &tv, NULL);
    CALL(gettimeofday, NULL, &zone);
    show(&zone, sizeof(zone));
    CALL(gettimeofday, BAD, NULL);
    CALL(time, NULL);
    CALL(time, BAD);
    for (int clock = 0; clock < 13; clock++)
        CALL(clock_getres, clock, &t);
    CALL(clock_getres, CLOCK_MONOTONIC, NULL);
    CALL(clock_getres, CLOCK_MONOTONIC, BAD);
    CALL(nanosleep, &one, NULL);
    for (int i = 0; i < 3; i++)
        CALL(nanosleep, &no[i], NULL);
    CALL(nanosleep, BAD, NULL);
    CALL(sched_yield);
}

static void memory(void)
{
    long end = CALL(brk, 0L), grown = 0;
    char *room = (char *)CALL(brk, end + 8192);
    grown = room - (char *)end;
    show(&grown, sizeof(grown));
    memset((char *)end, 7, 8192);
    CALL(brk, end + 10);
    room = (char *)CALL(brk, end + 8192) - 4096;
    show(room, 16);
    show((char *)end, 10);
    grown = CALL(brk, 1L) - end;
    show(&grown, sizeof(grown));
}

static void settings(void)
{
    char name[16], *const text = "a name that is too long";
    int value;
    CALL(prctl, PR_SET_NAME, text);
    CALL(prctl, PR_GET_NAME, name);
    show(name, sizeof(name));
    CALL(prctl, PR_SET_NAME, "short");
    CALL(prctl, PR_GET_NAME, name);
    show(name, sizeof(name));
    CALL(prctl, PR_SET_NAME, BAD);
    CALL(prctl, PR_GET_NAME, BAD);
    CALL(prctl, PR_SET_DUMPABLE, 2);
    CALL(prctl, PR_SET_DUMPABLE, 1);
    CALL(prctl, PR_GET_DUMPABLE);
    CALL(prctl, PR_SET_PDEATHSIG, 65);
    CALL(prctl, PR_SET_PDEATHSIG, 9);
    CALL(prctl, PR_GET_PDEATHSIG, &value);
    IS(value);
    CALL(prctl, PR_GET_PDEATHSIG, BAD);
    CALL(prctl, PR_SET_PDEATHSIG, 0);
    CALL(prctl, PR_SET_CHILD_SUBREAPER, 1);
    CALL(prctl, PR_GET_CHILD_SUBREAPER, &value);
    IS(value);
    CALL(prctl, PR_SET_TIMERSLACK, 70000);
    CALL(prctl, PR_GET_TIMERSLACK);
    CALL(prctl, PR_SET_NO_NEW_PRIVS, 2);
    CALL(prctl, PR_SET_NO_NEW_PRIVS, 1, 1);
    CALL(prctl, PR_SET_NO_NEW_PRIVS, 1);
    CALL(prctl, PR_GET_NO_NEW_PRIVS);
    CALL(prctl, PR_GET_NO_NEW_PRIVS, 1);
    CALL(prctl, PR_GET_KEEPCAPS);
    CALL(prctl, PR_CAPBSET_READ, 99);
    CALL(prctl, 99999);
}

static void priorities(void)
{
    CALL(getpriority, PRIO_PROCESS, 0);
    CALL(getpriority, PRIO_PROCESS, 5000000);
    CALL(getpriority, PRIO_PGRP, 5000000);
    CALL(getpriority, 3, 0);
    CALL(setpriority, PRIO_PROCESS, 0, 5);
    CALL(getpriority, PRIO_PROCESS, 0);
    CALL(setpriority, PRIO_PROCESS, 0, 99);
    CALL(getpriority, PRIO_PROCESS, 0);
    CALL(setpriority, PRIO_PROCESS, 5000000, 5);
    CALL(setpriority, 3, 0, 5);
}

static void scheduling(void)
{
    const int all[] = {SCHED_OTHER, SCHED_FIFO, SCHED_RR, SCHED_BATCH, SCHED_IDLE, 99};
    uint64_t cpus = 1;
    struct timespec slice = {9};
    int priority = 0;
    CALL(sched_rr_get_interval, 0, &slice);
    IS(slice.tv_sec);
    CALL(sched_rr_get_interval, 0, BAD);
    CALL(sched_rr_get_interval, -1, &slice);
    CALL(sched_rr_get_interval, 5000000, &slice);
    for (int i = 0; i < 6; i++) {
        CALL(sched_get_priority_max, all[i]);
        CALL(sched_get_priority_min, all[i]);
    }
    CALL(sched_getaffinity, 0, 128L, p);
    CALL(sched_getaffinity, 0, 7L, p);
    CALL(sched_getaffinity, 0, 128L, BAD);
    CALL(sched_getaffinity, 5000000, 128L, p);
    CALL(sched_setaffinity, 0, 8L, &cpus);
    CALL(sched_setaffinity, 5000000, 8L, &cpus);
    CALL(sched_setaffinity, 0, 8L, BAD);
    CALL(sched_getparam, 0, &priority);
    CALL(sched_setparam, 0, &priority);
    CALL(sched_getscheduler, 0);
    CALL(sched_setscheduler, 0, SCHED_OTHER, &priority);
    CALL(sched_getscheduler, 5000000);
}

static void barriers(void)
{
    IS((CALL(membarrier, MEMBARRIER_CMD_QUERY, 0, 0) & 127) == 127);
    CALL(membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
    CALL(membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0);
    CALL(membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
    CALL(membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE, 0, 0);
    CALL(membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE, 0, 0);
    CALL(membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE, 0, 0);
    CALL(membarrier, MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, 0, 0);
    CALL(membarrier, MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0, 0);
    CALL(membarrier, 3, 0, 0);
    CALL(membarrier, 1 << 20, 0, 0);
    CALL(membarrier, MEMBARRIER_CMD_GLOBAL_EXPEDITED, 2, 0);
}

static void usage(void)
{
    struct rusage used;
    struct tms spent;
    CALL(getrusage, RUSAGE_SELF, &used);
    IS(used.ru_utime.tv_sec + used.ru_utime.tv_usec + used.ru_stime.tv_usec > 0);
    CALL(getrusage, RUSAGE_CHILDREN, &used);
    IS(used.ru_utime.tv_sec + used.ru_utime.tv_usec);
    CALL(getrusage, RUSAGE_THREAD, &used);
    CALL(getrusage, 9, &used);
    CALL(getrusage, RUSAGE_SELF, BAD);
    IS(CALL(times, &spent) > 0);
    CALL(times, BAD);
}

static void limits(void)
{
    struct rlimit few = {20, 20}, more = {20, 21}, wrong = {5, 4}, got, below = {9, 20};
    CALL(setrlimit, RLIMIT_NOFILE, &few);
    CALL(getrlimit, RLIMIT_NOFILE, &got);
    CALL(setrlimit, RLIMIT_NOFILE, &wrong);
    CALL(dup2, 1, 20);
    CALL(dup2, 1, 19);
    CALL(fcntl, 1, F_DUPFD, 19);
    CALL(fcntl, 1, F_DUPFD, 20);
    CALL(prlimit64, 0, RLIMIT_NOFILE, &below, &got);
    CALL(dup2, 1, 9);
    CALL(fcntl, 19, F_GETFD);
    CALL(close_range, 9, ~0U, 0);
    CALL(fcntl, 19, F_GETFD);
    CALL(close_range, 5, 4, 0);
    CALL(close_range, 5, 6, 99);
    CALL(dup2, 1, 7);
    CALL(close_range, 6, 8, 4);
    CALL(fcntl, 7, F_GETFD);
    CALL(fcntl, 1, F_GETFD);
    CALL(setrlimit, RLIMIT_NOFILE, BAD);
    CALL(setrlimit, 99, &few);
    CALL(prlimit64, 5000000, RLIMIT_NOFILE, NULL, &got);
    CALL(close, 7);
}

int main(void)
{
    begin();
    who();
    chance();
    clocks();
    memory();
    settings();
    priorities();
    scheduling();
    barriers();
    usage();
    limits();
    return 7;
}
