/* syscall.h: the Linux system calls that programs make, answered from one table. */
#ifndef SKERRY_SYSCALL_H
#define SKERRY_SYSCALL_H

#include <time.h>

#include "machine.h"

struct call {
    struct machine *m;
    uint64_t arg[6];
    int ends; /* set by a handler: the program does not go on */
};

/* Answers the system call that (m) has just made. 0, or -EPROTO when the run ends. */
int syscall_answer(struct machine *m);

/* The name of a system call, "unnamed" for a number that has none. */
const char *syscall_name(uint64_t number);

/* Tells if the program has the descriptor (fd). */
int is_open(const struct machine *m, uint32_t fd);

/* The program sleeps before it goes on: until the time at (addr), or for as long.
 * Returns 0, -EINVAL or -EFAULT. */
long sleep_for(struct call *c, clockid_t clock, int absolute, uint64_t addr);

/* Handlers, one file a subject. They return what Linux would: a value or -errno. */
typedef long syscall_handler(struct call *c);
syscall_handler sys_brk, sys_mmap, sys_munmap, sys_mprotect, sys_mremap, sys_madvise;
syscall_handler sys_read, sys_write, sys_writev, sys_readv, sys_close, sys_fstat;
syscall_handler sys_newfstatat, sys_lseek, sys_ioctl, sys_no_file, sys_no_file_at;
syscall_handler sys_getcwd, sys_fcntl, sys_poll, sys_dup;
syscall_handler sys_exit, sys_arch_prctl, sys_getpid, sys_zero, sys_uname,
    sys_prlimit64;
syscall_handler sys_getrandom, sys_sched_getaffinity, sys_sysinfo, sys_futex, sys_prctl;
syscall_handler sys_not_here;
syscall_handler sys_kill, sys_tgkill, sys_rt_sigaction, sys_rt_sigprocmask;
syscall_handler sys_sigaltstack, sys_getrusage;
syscall_handler sys_clock_gettime, sys_clock_getres, sys_gettimeofday, sys_time;
syscall_handler sys_nanosleep, sys_clock_nanosleep;

#endif
