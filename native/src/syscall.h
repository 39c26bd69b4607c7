/* syscall.h: the Linux system calls that programs make, answered from one table. */
#ifndef SKERRY_SYSCALL_H
#define SKERRY_SYSCALL_H

#include <fcntl.h>
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

/* The open file that the first argument names, and the host's descriptor behind it, -1
 * for the standard three. 0 or -EBADF. */
struct handle {
    struct open_file *file;
    int host;
};
int handle_of(const struct call *c, struct handle *h);

/* Tells if it is open for writing. */
static inline int file_writable(const struct open_file *file)
{
    return (file->flags & O_ACCMODE) != O_RDONLY;
}

/* Of an int only the lower half counts. */
static inline uint32_t fd_of(const struct call *c)
{
    return (uint32_t)c->arg[0];
}

/* When the program stops waiting for the opener: with the call that runs, and in a
 * while. */
uint64_t file_until(const struct machine *m);

/* fstat(): what (h) is. 0 or -errno. */
int file_stat(const struct handle *h, struct stat *st);

/* For mmap, by its arguments: bytes of the file from the offset on, or -errno; and a
 * copy of (len) of them to (addr). 0 or -errno. */
long file_to_map(const struct call *c);
long file_copy(const struct call *c, uint64_t addr, uint64_t len);

/* The program sleeps before it goes on: until the time at (addr), or for as long.
 * Returns 0, -EINVAL or -EFAULT. */
long sleep_for(struct call *c, clockid_t clock, int absolute, uint64_t addr);

/* The program sleeps until a signal comes. */
void sleep_until_signal(struct call *c);

/* Handlers, one file a subject. They return what Linux would: a value or -errno. */
typedef long syscall_handler(struct call *c);
syscall_handler sys_brk, sys_mmap, sys_munmap, sys_mprotect, sys_mremap, sys_madvise;
syscall_handler sys_read, sys_write, sys_writev, sys_readv, sys_pread64, sys_pwrite64;
syscall_handler sys_lseek, sys_getdents64, sys_ftruncate, sys_fsync;
syscall_handler sys_close, sys_dup, sys_dup2, sys_dup3, sys_fcntl, sys_ioctl, sys_poll;
syscall_handler sys_fstat, sys_open, sys_openat, sys_creat, sys_stat, sys_lstat;
syscall_handler sys_newfstatat, sys_statx, sys_access, sys_faccessat, sys_faccessat2;
syscall_handler sys_readlink, sys_readlinkat, sys_getcwd, sys_chdir, sys_fchdir;
syscall_handler sys_exit, sys_arch_prctl, sys_getpid, sys_zero, sys_uname,
    sys_prlimit64;
syscall_handler sys_getrandom, sys_sched_getaffinity, sys_sysinfo, sys_futex, sys_prctl;
syscall_handler sys_not_here;
syscall_handler sys_kill, sys_tgkill, sys_rt_sigaction, sys_rt_sigprocmask;
syscall_handler sys_sigaltstack, sys_getrusage, sys_rt_sigpending, sys_rt_sigreturn;
syscall_handler sys_tkill, sys_rt_sigqueueinfo, sys_rt_tgsigqueueinfo;
syscall_handler sys_pause, sys_rt_sigsuspend, sys_rt_sigtimedwait;
syscall_handler sys_alarm, sys_getitimer, sys_setitimer;
syscall_handler sys_clock_gettime, sys_clock_getres, sys_gettimeofday, sys_time;
syscall_handler sys_nanosleep, sys_clock_nanosleep;

#endif
