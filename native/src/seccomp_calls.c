/* seccomp_calls.c: see seccomp_calls.h. What stands here is what a worker was seen to
 * call, and what its libraries call on other kernels; everything else is refused.
 *
 * A row costs a comparison, so what comes for every request stands first. */
#include "seccomp_calls.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#define INT 0xffffffffU
#define WIDE 0xffffffffffffffffU
#define IS(n, what) {.arg = (n), .mask = INT, .value = (uint32_t)(what)}
#define ALL_OF(n, bits) {.arg = (n), .mask = (bits), .value = (bits)}
#define NONE_OF(n, bits) {.arg = (n), .mask = (bits)}
#define IS_NULL(n) {.arg = (n), .mask = WIDE}
/* Of a socket, without its flags. A stream has no other end than its own; a datagram
 * could be sent to any socket that has a name. */
#define KIND(n, kind) {.arg = (n), .mask = 0xf, .value = (kind)}
#define OWN_PID(n) {.arg = (n), .mask = INT, .own_pid = 1}

#define CALL(name) {.number = SYS_##name}
#define CALL_IF(name, ...)                                                             \
    {                                                                                  \
        .number = SYS_##name, .test = { __VA_ARGS__ }                                  \
    }
#define IOCTL(request) CALL_IF(ioctl, IS(1, request))
#define FCNTL(command) CALL_IF(fcntl, IS(1, command))
#define ABSENT(name) {.number = SYS_##name, .verdict = QUIET, .error = ENOSYS}
#define LOOKS(name) {.number = SYS_##name, .verdict = READS, .error = EACCES}
#define LOOKS_IF(name, ...)                                                            \
    {                                                                                  \
        .number = SYS_##name, .verdict = READS, .error = EACCES, .test = {             \
            __VA_ARGS__                                                                \
        }                                                                              \
    }

/* What open() may not be asked for: its other flags only read. */
#define WRITES (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC | (O_TMPFILE & ~O_DIRECTORY))

/* A thread shares everything with its process; a namespace would be a way out. */
#define THREAD (CLONE_VM | CLONE_SIGHAND | CLONE_THREAD)
#define NAMESPACES                                                                     \
    (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |     \
     CLONE_NEWPID | CLONE_NEWNET)

#define PR_NAMES_MEMORY 0x53564d41 /* PR_SET_VMA, linux/prctl.h */

/* clang-format off */
const struct seccomp_call seccomp_calls[] = {
    /* A request: the guest, and bytes from and to its client. */
    IOCTL(KVM_RUN),
    CALL(read),
    CALL(write),
    CALL(epoll_pwait),
    CALL(futex),

    /* More requests, and a clone that was out of the ordinary. */
    IOCTL(KVM_RESET_DIRTY_RINGS), /* a request that wrote much */
    CALL(clock_nanosleep),        /* the watchdog, guests that sleep */
    CALL(madvise),                /* MADV_DONTNEED: reset, and malloc's trimming */
    CALL_IF(tgkill, OWN_PID(0)),  /* the watchdog kicks a thread; abort() */
    CALL(rt_sigreturn),           /* out of the kick's handler */
    IOCTL(KVM_GET_XSAVE),         /* a guest's signal handler, or its next thread */
    IOCTL(KVM_SET_XSAVE),         /* out of the handler, and back to the thread */
    IOCTL(KVM_GET_VCPU_EVENTS),   /* a guest's alarm */
    CALL(getpid),                 /* for tgkill */
    CALL(gettid),                 /* for tgkill */
    CALL(getrandom),              /* guests', and Python's random */

    /* A clone is made: vm.c, vcpu.c. */
    IOCTL(KVM_CREATE_VM),
    IOCTL(KVM_CREATE_VCPU),
    IOCTL(KVM_SET_USER_MEMORY_REGION),
    IOCTL(KVM_ENABLE_CAP), /* the dirty ring */
    IOCTL(KVM_GET_SREGS),
    IOCTL(KVM_SET_SREGS),
    IOCTL(KVM_SET_MSRS),
    IOCTL(KVM_SET_CPUID2),
    IOCTL(KVM_SET_XCRS),
    IOCTL(KVM_SET_DEVICE_ATTR), /* the vCPU's time stamp counter */

    /* A program starts, and the probe: memory.c, snapshot.c, probe.c. */
    CALL(memfd_create),
    IOCTL(KVM_CHECK_EXTENSION),
    IOCTL(KVM_GET_API_VERSION),
    IOCTL(KVM_GET_VCPU_MMAP_SIZE),
    IOCTL(KVM_GET_SUPPORTED_CPUID),

    /* Memory: never executable, so that no code comes in that was not there. */
    CALL_IF(mmap, NONE_OF(2, PROT_EXEC)),
    CALL_IF(mprotect, NONE_OF(2, PROT_EXEC)), /* malloc opens its arenas so */
    CALL(munmap),
    CALL(mremap),                             /* realloc; keeps the protection */
    CALL(brk),

    /* Connections. Sockets are accepted and handed over, never made. */
    CALL(accept4),
    CALL(accept),
    CALL(recvfrom),
    CALL(recvmsg),                          /* and descriptors, from the supervisor */
    CALL_IF(sendto, IS_NULL(4)),            /* on a connection, to nobody else */
    /* And descriptors, to the supervisor. With this flag it connects, unseen by Landlock. */
    CALL_IF(sendmsg, NONE_OF(2, MSG_FASTOPEN)),
    CALL(readv),                            /* libuv, more than one buffer */
    CALL(writev),                           /* libuv, more than one buffer */
    CALL(shutdown),                         /* the end of a response without a length */
    CALL(listen),                           /* on a bound socket that was handed over */
    CALL_IF(socketpair, IS(0, AF_UNIX), KIND(1, SOCK_STREAM)), /* libuv: signals */
    CALL(getsockname),                      /* uvloop, every connection */
    CALL(getpeername),                      /* uvloop, every connection */
    CALL_IF(getsockopt, IS(1, SOL_SOCKET)), /* Python asks the kind of a socket */
    CALL_IF(setsockopt, IS(1, IPPROTO_TCP), IS(2, TCP_NODELAY)),
    CALL_IF(setsockopt, IS(1, SOL_SOCKET), IS(2, SO_LINGER)), /* close with a reset */

    /* Descriptors, and waiting for them. */
    CALL(close),
    IOCTL(FIONBIO),
    IOCTL(FIONREAD),        /* a guest's socket: how much can be read */
    IOCTL(FIOCLEX),
    FCNTL(F_GETFL),
    FCNTL(F_SETFL),
    FCNTL(F_GETFD),
    FCNTL(F_SETFD),
    FCNTL(F_DUPFD_CLOEXEC), /* Python's dup */
    CALL(dup),
    CALL(dup2),             /* the log, when its reader has gone */
    CALL(dup3),
    CALL(pipe2),            /* libuv: signals */
    CALL(eventfd2),         /* libuv: other threads wake the loop */
    CALL(epoll_create1),    /* a loop that is made in the jail */
    CALL(epoll_ctl),
    CALL(epoll_wait),
    CALL(epoll_pwait2),
    CALL(poll),             /* Python: a socket with a timeout */
    CALL(ppoll),            /* the same, by way of glibc */
    CALL(timerfd_create),
    CALL(timerfd_settime),
    CALL(timerfd_gettime),

    /* Storage: a memfd or a file that was open before. */
    CALL(pread64),
    CALL(pwrite64),
    CALL(preadv),
    CALL(pwritev),
    CALL(lseek),
    CALL(fdatasync),
    CALL(fsync),
    CALL(fallocate),
    CALL(ftruncate),
    CALL(msync),        /* of a mapped file */
    CALL(fstat),
    FCNTL(F_ADD_SEALS), /* memory_seal */
    FCNTL(F_GET_SEALS), /* whether a memfd is sealed that was handed over */
    FCNTL(F_OFD_SETLK),
    FCNTL(F_OFD_SETLKW),
    FCNTL(F_OFD_GETLK),
    /* fstat() of glibc before 2.39. With this flag and a name it tells that a file
     * exists, and its size: no more than that. */
    CALL_IF(newfstatat, ALL_OF(3, AT_EMPTY_PATH)),
    IOCTL(TCGETS),      /* Python asks every file that it wraps: a terminal? */

    /* Threads. clone3 hides its flags behind a pointer; without it glibc uses clone. */
    CALL_IF(clone, ALL_OF(0, THREAD), NONE_OF(0, NAMESPACES | CLONE_VFORK)),
    ABSENT(clone3),
    CALL(set_robust_list),                    /* every thread, as it begins */
    CALL(rseq),                               /* every thread, as it begins */
    CALL(exit),
    CALL(exit_group),
    CALL(sched_yield),
    CALL(sched_getaffinity),                  /* malloc: how many arenas */
    CALL_IF(prctl, IS(0, PR_SET_NAME)),       /* of a thread */
    CALL_IF(prctl, IS(0, PR_NAMES_MEMORY)),   /* malloc of glibc 2.39: its mappings */
    CALL_IF(prlimit64, IS(0, 0), IS_NULL(2)), /* own limits, read: stacks of threads */

    /* Signals. */
    CALL(rt_sigaction),   /* SIGTERM, as a loop begins and ends */
    CALL(rt_sigprocmask), /* around the making of threads */
    CALL(sigaltstack),    /* faulthandler */
    CALL(restart_syscall),

    /* Time, where the vDSO does not have it. */
    CALL(clock_gettime),
    CALL(clock_getres),
    CALL(gettimeofday),
    CALL(time),
    CALL(nanosleep),

    /* Who one is: says nothing that a worker does not know. */
    CALL(getuid),
    CALL(geteuid),
    CALL(getgid),
    CALL(getegid),
    CALL(getppid), /* whether the supervisor is still there */
    CALL(getcwd),  /* Python's import, before it looks for a module */
    CALL(uname),
    CALL(getrusage),

    /* What a healthy worker tries and can do without: Python looks for the source of
     * an exception's lines and for modules, malloc for the number of CPUs. */
    LOOKS_IF(openat, NONE_OF(2, WRITES)),
    LOOKS_IF(open, NONE_OF(1, WRITES)),
    LOOKS(newfstatat),
    LOOKS(stat),
    LOOKS(lstat),
    LOOKS(statx),
    LOOKS(access),
    LOOKS(faccessat),
    LOOKS(faccessat2),
    LOOKS(readlink),
    LOOKS(readlinkat),
    LOOKS(getdents64),
    ABSENT(io_uring_setup), /* a ring's work passes no filter; libuv does without */
};
/* clang-format on */

const size_t seccomp_call_count = sizeof(seccomp_calls) / sizeof(*seccomp_calls);
