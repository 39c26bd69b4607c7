/* syscall.c: the table of system calls, and the way there and back. */
#include "syscall.h"

#include <asm/unistd_64.h>
#include <errno.h>

#include "turns.h"
#include "waits.h"

static syscall_handler *const table[SYSCALL_NUMBERS] = {
    [__NR_read] = sys_read,
    [__NR_write] = sys_write,
    [__NR_open] = sys_open,
    [__NR_close] = sys_close,
    [__NR_stat] = sys_stat,
    [__NR_fstat] = sys_fstat,
    [__NR_lstat] = sys_lstat,
    [__NR_poll] = sys_poll,
    [__NR_lseek] = sys_lseek,
    [__NR_mmap] = sys_mmap,
    [__NR_mprotect] = sys_mprotect,
    [__NR_munmap] = sys_munmap,
    [__NR_brk] = sys_brk,
    [__NR_rt_sigaction] = sys_rt_sigaction,
    [__NR_rt_sigprocmask] = sys_rt_sigprocmask,
    [__NR_rt_sigreturn] = sys_rt_sigreturn,
    [__NR_ioctl] = sys_ioctl,
    [__NR_pread64] = sys_pread64,
    [__NR_pwrite64] = sys_pwrite64,
    [__NR_readv] = sys_readv,
    [__NR_writev] = sys_writev,
    [__NR_access] = sys_access,
    [__NR_sched_yield] = sys_sched_yield,
    [__NR_mremap] = sys_mremap,
    [__NR_madvise] = sys_madvise,
    [__NR_dup] = sys_dup,
    [__NR_dup2] = sys_dup2,
    [__NR_pause] = sys_pause,
    [__NR_nanosleep] = sys_nanosleep,
    [__NR_getitimer] = sys_getitimer,
    [__NR_alarm] = sys_alarm,
    [__NR_setitimer] = sys_setitimer,
    [__NR_getpid] = sys_getpid,
    [__NR_clone] = sys_clone,
    [__NR_exit] = sys_exit,
    [__NR_kill] = sys_kill,
    [__NR_uname] = sys_uname,
    [__NR_fcntl] = sys_fcntl,
    [__NR_fsync] = sys_fsync,
    [__NR_fdatasync] = sys_fsync,
    [__NR_ftruncate] = sys_ftruncate,
    [__NR_getcwd] = sys_getcwd,
    [__NR_chdir] = sys_chdir,
    [__NR_fchdir] = sys_fchdir,
    [__NR_creat] = sys_creat,
    [__NR_readlink] = sys_readlink,
    [__NR_gettimeofday] = sys_gettimeofday,
    [__NR_getrusage] = sys_getrusage,
    [__NR_sysinfo] = sys_sysinfo,
    [__NR_getuid] = sys_zero,
    [__NR_getgid] = sys_zero,
    [__NR_geteuid] = sys_zero,
    [__NR_getegid] = sys_zero,
    [__NR_getppid] = sys_zero,
    [__NR_rt_sigpending] = sys_rt_sigpending,
    [__NR_rt_sigtimedwait] = sys_rt_sigtimedwait,
    [__NR_rt_sigqueueinfo] = sys_rt_sigqueueinfo,
    [__NR_rt_sigsuspend] = sys_rt_sigsuspend,
    [__NR_sigaltstack] = sys_sigaltstack,
    [__NR_prctl] = sys_prctl,
    [__NR_arch_prctl] = sys_arch_prctl,
    [__NR_gettid] = sys_gettid,
    [__NR_tkill] = sys_tkill,
    [__NR_time] = sys_time,
    [__NR_futex] = sys_futex,
    [__NR_sched_getaffinity] = sys_sched_getaffinity,
    [__NR_getdents64] = sys_getdents64,
    [__NR_set_tid_address] = sys_set_tid_address,
    [__NR_clock_gettime] = sys_clock_gettime,
    [__NR_clock_getres] = sys_clock_getres,
    [__NR_clock_nanosleep] = sys_clock_nanosleep,
    [__NR_exit_group] = sys_exit_group,
    [__NR_tgkill] = sys_tgkill,
    [__NR_openat] = sys_openat,
    [__NR_newfstatat] = sys_newfstatat,
    [__NR_readlinkat] = sys_readlinkat,
    [__NR_faccessat] = sys_faccessat,
    [__NR_set_robust_list] = sys_set_robust_list,
    [__NR_get_robust_list] = sys_get_robust_list,
    [__NR_dup3] = sys_dup3,
    [__NR_rt_tgsigqueueinfo] = sys_rt_tgsigqueueinfo,
    [__NR_prlimit64] = sys_prlimit64,
    [__NR_getrandom] = sys_getrandom,
    [__NR_statx] = sys_statx,
    [__NR_rseq] = sys_not_here,
    [__NR_clone3] = sys_not_here, /* libraries go on with clone */
    [__NR_faccessat2] = sys_faccessat2,
    [__NR_pipe] = sys_pipe,
    [__NR_pipe2] = sys_pipe2,
    [__NR_socketpair] = sys_socketpair,
    [__NR_socket] = sys_socket,
    [__NR_connect] = sys_connect,
    [__NR_bind] = sys_bind,
    [__NR_listen] = sys_listen,
    [__NR_accept] = sys_listen, /* refused alike */
    [__NR_accept4] = sys_listen,
    [__NR_getsockname] = sys_getsockname,
    [__NR_getpeername] = sys_getpeername,
    [__NR_getsockopt] = sys_getsockopt,
    [__NR_setsockopt] = sys_setsockopt,
    [__NR_sendmsg] = sys_sendmsg,
    [__NR_recvmsg] = sys_recvmsg,
    [__NR_sendto] = sys_sendto,
    [__NR_recvfrom] = sys_recvfrom,
    [__NR_shutdown] = sys_shutdown,
    [__NR_memfd_create] = sys_memfd_create,
    [__NR_eventfd] = sys_eventfd,
    [__NR_eventfd2] = sys_eventfd2,
    [__NR_timerfd_create] = sys_timerfd_create,
    [__NR_timerfd_settime] = sys_timerfd_settime,
    [__NR_timerfd_gettime] = sys_timerfd_gettime,
    [__NR_epoll_create] = sys_epoll_create,
    [__NR_epoll_create1] = sys_epoll_create1,
    [__NR_epoll_ctl] = sys_epoll_ctl,
    [__NR_epoll_wait] = sys_epoll_wait,
    [__NR_epoll_pwait] = sys_epoll_pwait,
    [__NR_epoll_pwait2] = sys_epoll_pwait2,
    [__NR_ppoll] = sys_ppoll,
    [__NR_select] = sys_select,
    [__NR_pselect6] = sys_pselect6,
    [__NR_getpgrp] = sys_getpgrp,
    [__NR_getpgid] = sys_getpgid,
    [__NR_getresuid] = sys_getresuid,
    [__NR_getgroups] = sys_getgroups,
    [__NR_umask] = sys_umask,
    [__NR_capget] = sys_capget,
    [__NR_personality] = sys_personality,
    [__NR_sched_getscheduler] = sys_sched_getscheduler,
    [__NR_sched_getparam] = sys_sched_getparam,
    [__NR_sched_setscheduler] = sys_sched_setscheduler,
    [__NR_sched_setparam] = sys_sched_setparam,
    [__NR_sched_get_priority_max] = sys_sched_get_priority_max,
    [__NR_sched_get_priority_min] = sys_sched_get_priority_min,
    [__NR_sched_setaffinity] = sys_sched_setaffinity,
    [__NR_getcpu] = sys_getcpu,
    [__NR_times] = sys_times,
    [__NR_membarrier] = sys_membarrier,
    [__NR_getrlimit] = sys_getrlimit,
    [__NR_setrlimit] = sys_setrlimit,
    [__NR_clock_settime] = sys_clock_settime,
    [__NR_mlock] = sys_mlock,
    [__NR_mlockall] = sys_mlockall,
    [__NR_msync] = sys_msync,
    [__NR_getsid] = sys_getpgid,
    [__NR_getresgid] = sys_getresuid,
    [__NR_munlock] = sys_munlock,
    [__NR_munlockall] = sys_zero,
    [__NR_getpriority] = sys_getpriority,
    [__NR_setpriority] = sys_setpriority,
    [__NR_sched_rr_get_interval] = sys_sched_rr_get_interval,
    [__NR_mlock2] = sys_mlock2,
    [__NR_close_range] = sys_close_range,
    [__NR_flock] = sys_flock,
    [__NR_preadv] = sys_preadv,
    [__NR_pwritev] = sys_pwritev,
    [__NR_preadv2] = sys_preadv2,
    [__NR_pwritev2] = sys_pwritev2,
    [__NR_fadvise64] = sys_fadvise64,
    [__NR_readahead] = sys_readahead,
    [__NR_syncfs] = sys_syncfs,
    [__NR_statfs] = sys_statfs,
    [__NR_fstatfs] = sys_fstatfs,
    [__NR_sync] = sys_zero,
    [__NR_mincore] = sys_not_here,
    [__NR_getxattr] = sys_getxattr,
    [__NR_lgetxattr] = sys_lgetxattr,
    [__NR_fgetxattr] = sys_fgetxattr,
    [__NR_listxattr] = sys_getxattr,
    [__NR_llistxattr] = sys_lgetxattr,
    [__NR_flistxattr] = sys_fgetxattr,
};

/* Counts a call that we do not have; its first use is logged. */
static long unknown(struct machine *m, uint64_t number)
{
    struct program_counters *n = m->counters;
    __atomic_add_fetch(&n->unknown_syscalls, 1, __ATOMIC_RELAXED);
    uint64_t slot = number < SYSCALL_NUMBERS ? number : SYSCALL_NUMBERS - 1;
    uint64_t bit = 1UL << slot % 64;
    if (!(__atomic_fetch_or(&n->logged[slot / 64], bit, __ATOMIC_RELAXED) & bit))
        console_note(m->console, "system call %lu (%s) is not there: ENOSYS",
                     (unsigned long)number, syscall_name(number));
    return -ENOSYS;
}

/* Tells if what the call answers is known when its thread goes on. */
static int goes_away(const struct machine *m)
{
    return m->asleep || (m->threads && m->threads->leaves);
}

int syscall_answer(struct machine *m)
{
    const struct kvm_regs *r = vcpu_regs(&m->vm);
    uint64_t number = r->rax;
    struct call c = {m, {r->rdi, r->rsi, r->rdx, r->r10, r->r8, r->r9}, 0, 0, 0};
    syscall_handler *handler = number < SYSCALL_NUMBERS ? table[number] : NULL;
    m->touched = 1;
    if (m->threads)
        turns_before_call(m);
    machine_begin_call(m);
    threads_trace(m, SKERRY_CALL_SYSCALL, number, c.arg);
    long ret = handler ? handler(&c) : unknown(m, number);
    int ends = machine_end_call(m) < 0 || c.ends;
    m->waits = c.waits && !ends;
    if (m->waits)
        return m->threads ? turns_after_call(m) : 0;
    machine_answered(m);
    if (ends || !goes_away(m))
        threads_traced(m, ret, ends);
    if (ends)
        return -EPROTO;
    vcpu_return(&m->vm, (uint64_t)ret, r->rdx);
    return m->threads ? turns_after_call(m) : 0;
}

int skerry_syscall(uint32_t number, struct skerry_syscall *to)
{
    if (number >= SYSCALL_NUMBERS)
        return -ENOENT;
    struct syscall_note note = syscall_note(number);
    to->name = syscall_name(number);
    to->note = note.text;
    to->status = note.status;
    to->answered = table[number] != NULL;
    return 0;
}
