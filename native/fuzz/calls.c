/* calls.c: see calls.h. What each letter stands for is in arguments.c. */
#include "calls.h"

#include <asm/unistd_64.h>

#include "abi.h"
#include "input.h"

#define ROW(name, kinds) {__NR_##name, kinds}
#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static const struct call_row rows[] = {
    ROW(read, "fpn"),
    ROW(write, "fpn"),
    ROW(open, "tOb"),
    ROW(close, "f"),
    ROW(stat, "tp"),
    ROW(fstat, "fp"),
    ROW(lstat, "tp"),
    ROW(poll, "qcs"),
    ROW(lseek, "fnT"),
    ROW(mmap, "olPMfo"),
    ROW(mmap, "olPMfo"),
    ROW(mmap, "olPMfo"),
    ROW(mprotect, "olP"),
    ROW(munmap, "ol"),
    ROW(brk, "o"),
    ROW(rt_sigaction, "gApz"),
    ROW(rt_sigaction, "gApz"),
    ROW(rt_sigprocmask, "Tmpz"),
    ROW(rt_sigreturn, ""),
    ROW(ioctl, "fIp"),
    ROW(pread64, "fpnn"),
    ROW(pwrite64, "fpnn"),
    ROW(readv, "fvc"),
    ROW(writev, "fvc"),
    ROW(access, "tT"),
    ROW(sched_yield, ""),
    ROW(mremap, "ollTo"),
    ROW(mremap, "ollTo"),
    ROW(msync, "olT"),
    ROW(mincore, "olp"),
    ROW(madvise, "olc"),
    ROW(dup, "f"),
    ROW(dup2, "ff"),
    ROW(pause, ""),
    ROW(nanosleep, "wp"),
    ROW(getitimer, "Tp"),
    ROW(alarm, "c"),
    ROW(setitimer, "0wp"),
    ROW(getpid, ""),
    ROW(sendto, "fpnE00"),
    ROW(recvfrom, "fpnEpp"),
    ROW(shutdown, "fT"),
    ROW(socketpair, "DH0p"),
    ROW(clone, "Couux"),
    ROW(clone, "Couuo"),
    ROW(exit, "s"),
    ROW(kill, "Tg"),
    ROW(uname, "p"),
    ROW(fcntl, "fFn"),
    ROW(fsync, "f"),
    ROW(fdatasync, "f"),
    ROW(ftruncate, "fn"),
    ROW(getcwd, "pn"),
    ROW(chdir, "t"),
    ROW(fchdir, "f"),
    ROW(creat, "tb"),
    ROW(readlink, "tpn"),
    ROW(umask, "s"),
    ROW(gettimeofday, "pp"),
    ROW(getrlimit, "Tp"),
    ROW(getrusage, "Tp"),
    ROW(sysinfo, "p"),
    ROW(times, "p"),
    ROW(getuid, ""),
    ROW(getgid, ""),
    ROW(geteuid, ""),
    ROW(getegid, ""),
    ROW(getppid, ""),
    ROW(getpgrp, ""),
    ROW(getgroups, "sp"),
    ROW(getresuid, "ppp"),
    ROW(getresgid, "ppp"),
    ROW(getpgid, "T"),
    ROW(getsid, "T"),
    ROW(capget, "pp"),
    ROW(rt_sigpending, "pz"),
    ROW(rt_sigtimedwait, "mpwz"),
    ROW(rt_sigqueueinfo, "TgS"),
    ROW(rt_sigsuspend, "mz"),
    ROW(sigaltstack, "kp"),
    ROW(personality, "s"),
    ROW(sched_setparam, "Tp"),
    ROW(sched_getparam, "Tp"),
    ROW(sched_setscheduler, "TTp"),
    ROW(sched_getscheduler, "T"),
    ROW(sched_get_priority_max, "T"),
    ROW(sched_get_priority_min, "T"),
    ROW(mlock, "ol"),
    ROW(munlock, "ol"),
    ROW(mlockall, "T"),
    ROW(munlockall, ""),
    ROW(prctl, "GTppp"),
    ROW(prctl, "Gpppp"),
    ROW(arch_prctl, "Bx"),
    ROW(arch_prctl, "Bp"),
    ROW(setrlimit, "Tp"),
    ROW(gettid, ""),
    ROW(tkill, "Tg"),
    ROW(time, "p"),
    ROW(futex, "uUTwuT"),
    ROW(futex, "uUTwux"),
    ROW(futex, "uUT0uT"),
    ROW(sched_setaffinity, "Tnp"),
    ROW(sched_getaffinity, "Tnp"),
    ROW(epoll_create, "c"),
    ROW(getdents64, "fpn"),
    ROW(set_tid_address, "u"),
    ROW(clock_settime, "0w"),
    ROW(clock_gettime, "sp"),
    ROW(clock_getres, "sp"),
    ROW(clock_nanosleep, "TTwp"),
    ROW(exit_group, "s"),
    ROW(epoll_wait, "fpcs"),
    ROW(epoll_ctl, "fTfe"),
    ROW(epoll_ctl, "fTfe"),
    ROW(tgkill, "TTg"),
    ROW(openat, "ftOb"),
    ROW(newfstatat, "ftpb"),
    ROW(readlinkat, "ftpn"),
    ROW(faccessat, "ftT"),
    ROW(pselect6, "cdddwX"),
    ROW(ppoll, "qcwmz"),
    ROW(select, "cdddw"),
    ROW(set_robust_list, "Ry"),
    ROW(set_robust_list, "Ry"),
    ROW(get_robust_list, "Tpp"),
    ROW(epoll_pwait, "fpcsmz"),
    ROW(timerfd_create, "TN"),
    ROW(eventfd, "c"),
    ROW(timerfd_settime, "fTwp"),
    ROW(timerfd_gettime, "fp"),
    ROW(eventfd2, "cN"),
    ROW(epoll_create1, "0"),
    ROW(dup3, "ffO"),
    ROW(pipe, "p"),
    ROW(pipe2, "pN"),
    ROW(rt_tgsigqueueinfo, "TTgS"),
    ROW(prlimit64, "TTpp"),
    ROW(getcpu, "pp"),
    ROW(getrandom, "pnT"),
    ROW(memfd_create, "tT"),
    ROW(membarrier, "T"),
    ROW(statx, "ftbbp"),
    ROW(rseq, "pnTx"),
    ROW(clone3, "pn"),
    ROW(faccessat2, "ftTb"),
    ROW(epoll_pwait2, "fpcwmz"),
    ROW(socket, "DH0"),
    ROW(connect, "fan"),
    ROW(bind, "fan"),
    ROW(listen, "fc"),
    ROW(accept, "fpp"),
    ROW(accept4, "fppN"),
    ROW(getsockname, "fpp"),
    ROW(getpeername, "fpp"),
    ROW(getsockopt, "fTcpp"),
    ROW(setsockopt, "fTcpc"),
    ROW(sendmsg, "fhE"),
    ROW(recvmsg, "fhE"),
    ROW(getpriority, "TT"),
    ROW(setpriority, "TTs"),
    ROW(sched_rr_get_interval, "Tp"),
    ROW(mlock2, "olT"),
    ROW(close_range, "ffT"),
    ROW(flock, "fc"),
    ROW(preadv, "fvcn0"),
    ROW(pwritev, "fvcn0"),
    ROW(preadv2, "fvcn0c"),
    ROW(pwritev2, "fvcn0c"),
    ROW(fadvise64, "fnnT"),
    ROW(readahead, "fnn"),
    ROW(syncfs, "f"),
    ROW(statfs, "tp"),
    ROW(fstatfs, "fp"),
    ROW(sync, ""),
    ROW(getxattr, "ttpn"),
    ROW(lgetxattr, "ttpn"),
    ROW(fgetxattr, "ftpn"),
    ROW(listxattr, "tpn"),
    ROW(llistxattr, "tpn"),
    ROW(flistxattr, "fpn"),
};

static void set_arguments(struct processor *p, const uint64_t a[6])
{
    struct kvm_regs *r = &p->regs;
    r->rdi = a[0];
    r->rsi = a[1];
    r->rdx = a[2];
    r->r10 = a[3];
    r->r8 = a[4];
    r->r9 = a[5];
}

static void prepare(struct processor *p, uint64_t number, const char *kinds)
{
    uint64_t a[6] = {0};
    for (int i = 0; kinds[i]; i++)
        a[i] = argument(p, kinds[i]);
    set_arguments(p, a);
    p->regs.rax = number;
}

void calls_prepare(struct processor *p)
{
    uint64_t which = number(1);
    if (which < COUNT(rows) || which < 0xf0)
        prepare(p, rows[which % COUNT(rows)].number, rows[which % COUNT(rows)].kinds);
    else
        prepare(p, which < 0xfc ? number(2) % 520 : number(8), "xxxxxx");
}

void calls_prepare_host(struct processor *p)
{
    static const struct {
        uint32_t number;
        const char *kinds;
    } host[] = {{KVM_API_REGISTER_FUNC, "T!"},
                {KVM_API_WAIT_FOR_REQUESTS, ""},
                {KVM_API_WAIT_FOR_REQUESTS_PAUSED, "p"},
                {KVM_API_MAKE_EPHEMERAL, "T"},
                {KVM_API_BACKEND_RESPONSE, "Zpcpcp"},
                {KVM_API_STREAMING_RESPONSE, "Zpcn!o"},
                {KVM_API_RETURNED, "ppc"},
                {KVM_API_STORAGE_CALLV, "!cvpn"},
                {KVM_API_STORAGE_RETURN, "pn"},
                {KVM_API_STORAGE_NORETURN, "pn"},
                {KVM_API_STORAGE_TASK, "!pncc"},
                {KVM_API_STOP_STORAGE_TASK, "c"},
                {KVM_API_HTTP_APPEND, "Tpc"},
                {KVM_API_HTTP_SET, "Tpc"},
                {KVM_API_HTTP_FIND, "Tpcpn"},
                {KVM_API_HTTP_METHOD, "pn"},
                {KVM_API_IS_STORAGE, ""},
                {KVM_API_SHARED_MEMORY_AREA, ""},
                {KVM_API_STORAGE_ALLOW, "!"},
                {KVM_API_MEMINFO, "pn"},
                {KVM_API_LOG, "pn"},
                {KVM_API_FETCH, "pc0p"},
                {KVM_API_IS_DEBUG, ""},
                {KVM_API_BREAKPOINT, ""},
                {KVM_API_SET_CACHEABLE, "Tccpn"},
                {KVM_API_REGEX_COMPILE, "pc"},
                {KVM_API_REGEX_FREE, "T"},
                {KVM_API_REGEX_MATCH, "Tpc"},
                {KVM_API_REGEX_SUBST, "Tpppnn"},
                {KVM_API_REGEX_COPYTO, "TTT"}};
    uint64_t which = choice(COUNT(host));
    prepare(p, host[which].number, host[which].kinds);
    p->regs.rcx = p->regs.r10;
}
