/* self.c: what a program asks about itself, its machine and the time. */
#include "oracle.h"

#include <sched.h>
#include <sys/random.h>
#include <sys/time.h>
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

static void times(void)
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

int main(void)
{
    begin();
    who();
    chance();
    times();
    memory();
    return 7;
}
