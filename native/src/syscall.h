/* syscall.h: the Linux system calls that programs make, answered from one table. */
#ifndef SKERRY_SYSCALL_H
#define SKERRY_SYSCALL_H

#include <fcntl.h>
#include <time.h>

#include "machine.h"

struct call {
    struct machine *m;
    uint64_t arg[6];
    int ends;  /* set by a handler: the program does not go on */
    int flags; /* MSG_NOSIGNAL and MSG_PEEK, of a message that is read or written */
    int waits; /* likewise: the call has no answer yet, and will be made again */
};

/* Answers the system call that (m) has just made. 0, or -EPROTO when the run ends. */
int syscall_answer(struct machine *m);

/* The name of a system call, "unnamed" for a number that has none. */
const char *syscall_name(uint64_t number);

/* How far a system call is served: an enum of skerry.h, and a few words. */
struct syscall_note {
    int status;
    const char *text;
};
struct syscall_note syscall_note(uint64_t number);

/* The open file that the first argument names, and the host's descriptor behind it, -1
 * for the standard three. 0 or -EBADF. */
struct handle {
    struct open_file *file;
    int host;
    const struct machine *m;
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
long file_copy(struct call *c, uint64_t addr, uint64_t len);

/* (*until) becomes the time at (addr), or so much later than now, as clock_now would
 * tell it. 0; or -EINVAL or -EFAULT, and it is as it was. */
long time_until(const struct guestmem *mem, clockid_t clock, int absolute,
                uint64_t addr, uint64_t *until);

/* The program sleeps before it goes on, as time_until says. Returns what that does. */
long sleep_for(struct call *c, clockid_t clock, int absolute, uint64_t addr);

/* The program sleeps until a signal comes. */
void sleep_until_signal(struct call *c);

/* Handlers, one file a subject. They return what Linux would: a value or -errno. */
typedef long syscall_handler(struct call *c);
syscall_handler sys_brk, sys_mmap, sys_munmap, sys_mprotect, sys_mremap, sys_madvise;
syscall_handler sys_read, sys_write, sys_writev, sys_readv, sys_pread64, sys_pwrite64;
syscall_handler sys_lseek, sys_getdents64, sys_ftruncate, sys_fsync;
syscall_handler sys_close, sys_dup, sys_dup2, sys_dup3, sys_fcntl, sys_ioctl;
syscall_handler sys_pipe, sys_pipe2, sys_socketpair, sys_sendto, sys_recvfrom,
    sys_shutdown;
syscall_handler sys_socket, sys_connect, sys_bind, sys_listen, sys_getsockname,
    sys_getpeername, sys_getsockopt, sys_setsockopt, sys_sendmsg, sys_recvmsg;
syscall_handler sys_memfd_create;
syscall_handler sys_eventfd, sys_eventfd2, sys_timerfd_create, sys_timerfd_settime;
syscall_handler sys_timerfd_gettime, sys_epoll_create, sys_epoll_create1, sys_epoll_ctl;
syscall_handler sys_epoll_wait, sys_epoll_pwait, sys_epoll_pwait2;
syscall_handler sys_poll, sys_ppoll, sys_select, sys_pselect6;
syscall_handler sys_fstat, sys_open, sys_openat, sys_creat, sys_stat, sys_lstat;
syscall_handler sys_newfstatat, sys_statx, sys_access, sys_faccessat, sys_faccessat2;
syscall_handler sys_getxattr, sys_lgetxattr, sys_fgetxattr;
syscall_handler sys_readlink, sys_readlinkat, sys_getcwd, sys_chdir, sys_fchdir;
syscall_handler sys_exit, sys_arch_prctl, sys_getpid, sys_zero, sys_uname,
    sys_prlimit64;
syscall_handler sys_getrandom, sys_sched_getaffinity, sys_sysinfo, sys_futex, sys_prctl;
syscall_handler sys_not_here;
syscall_handler sys_clone, sys_exit_group, sys_gettid, sys_set_tid_address;
syscall_handler sys_set_robust_list, sys_get_robust_list, sys_sched_yield;
syscall_handler sys_kill, sys_tgkill, sys_rt_sigaction, sys_rt_sigprocmask;
syscall_handler sys_sigaltstack, sys_getrusage, sys_rt_sigpending, sys_rt_sigreturn;
syscall_handler sys_tkill, sys_rt_sigqueueinfo, sys_rt_tgsigqueueinfo;
syscall_handler sys_pause, sys_rt_sigsuspend, sys_rt_sigtimedwait;
syscall_handler sys_alarm, sys_getitimer, sys_setitimer;
syscall_handler sys_clock_gettime, sys_clock_getres, sys_gettimeofday, sys_time;
syscall_handler sys_getpgrp, sys_getpgid, sys_getresuid, sys_getgroups;
syscall_handler sys_umask, sys_capget, sys_personality, sys_sched_getscheduler;
syscall_handler sys_sched_getparam, sys_sched_setscheduler, sys_sched_setparam;
syscall_handler sys_sched_get_priority_max, sys_sched_get_priority_min;
syscall_handler sys_sched_setaffinity, sys_getcpu, sys_times, sys_membarrier;
syscall_handler sys_getrlimit, sys_setrlimit, sys_clock_settime, sys_mlock, sys_munlock;
syscall_handler sys_mlockall, sys_msync, sys_mlock2, sys_getpriority, sys_setpriority;
syscall_handler sys_sched_rr_get_interval, sys_close_range, sys_flock, sys_preadv;
syscall_handler sys_pwritev, sys_preadv2, sys_pwritev2, sys_fadvise64, sys_readahead;
syscall_handler sys_syncfs, sys_statfs, sys_fstatfs;
syscall_handler sys_nanosleep, sys_clock_nanosleep;

#endif
