"""What the arguments of each call are, a line a call: its name, then a word for each
argument. decode.py knows the words; NAME:n names argument n (from 0), which has the
size, or what to do. A call that ends in "->" has an address as its result."""

from functools import cache

_SYSCALLS = """
read fd out:r size
write fd in:2 size
open path open creating:1
close fd
stat path stat
fstat fd stat
lstat path stat
poll polls:1 size int
lseek fd off whence
mmap addr size prot map fd off ->
mprotect addr size prot
munmap addr size
brk addr ->
rt_sigaction signal sigaction oldaction size
rt_sigprocmask sigmask sigset oldset size
rt_sigreturn
ioctl fd ioctl addr
pread64 fd out:r size off
pwrite64 fd in:2 size off
readv fd iov:2 size
writev fd iov:2 size
access path access
pipe pipefds
select int addr addr addr timeval
sched_yield
mremap addr size size remap addr ->
msync addr size sync
mincore addr size addr
madvise addr size advice
dup fd
dup2 fd fd
pause
nanosleep timespec oldtime
getitimer int addr
alarm int
setitimer int addr addr
getpid
sendfile fd fd addr size
socket family socket int
connect fd in:2 size
accept fd addr addr
sendto fd in:2 size hex addr size
recvfrom fd out:r size hex addr addr
sendmsg fd addr hex
recvmsg fd addr hex
shutdown fd int
bind fd in:2 size
listen fd int
getsockname fd addr addr
getpeername fd addr addr
socketpair family socket int pipefds
setsockopt fd int int in:4 size
getsockopt fd int int addr addr
clone clone addr addr addr addr
fork
vfork
execve path addr addr
exit int
wait4 int wstatus wait addr
kill int signal
uname utsname
fcntl fd fcntl fcntlarg:1
flock fd int
fsync fd
fdatasync fd
truncate path off
ftruncate fd off
getdents fd addr size
getcwd out:r size
chdir path
fchdir fd
rename path path
mkdir path mode
rmdir path
creat path mode
link path path
unlink path
symlink path path
readlink path out:r size
chmod path mode
fchmod fd mode
chown path int int
fchown fd int int
lchown path int int
umask mode
gettimeofday outtime addr
getrlimit limit rlimit
getrusage who addr
sysinfo sysinfo
times addr
getuid
getgid
setuid int
setgid int
geteuid
getegid
setpgid int int
getppid
getpgrp
setsid
getgroups int addr
rt_sigpending addr size
rt_sigtimedwait sigset addr timespec size
rt_sigqueueinfo int signal addr
rt_sigsuspend sigset size
sigaltstack stack oldstack
statfs path addr
fstatfs fd addr
prctl int hex hex hex hex
mlock addr size
munlock addr size
mlockall hex
munlockall
arch_prctl arch addr
setrlimit limit inlimit
gettid
tkill int signal
time addr
futex addr futex int futextime:1 addr hex
sched_setaffinity int size addr
sched_getaffinity int size out:r
epoll_create int
getdents64 fd addr size
set_tid_address addr
fadvise64 fd off size int
clock_settime clock timespec
clock_gettime clock outspec
clock_getres clock outspec
clock_nanosleep clock timer timespec oldtime
exit_group int
epoll_wait fd addr int int
epoll_ctl fd epollctl fd epollevent
tgkill int int signal
waitid int int addr wait addr
openat at path open creating:2
mkdirat at path mode
newfstatat at path stat atflags
unlinkat at path atflags
renameat at path at path
linkat at path at path atflags
symlinkat path at path
readlinkat at path out:r size
fchmodat at path mode
faccessat at path access
pselect6 int addr addr addr timespec addr
ppoll polls:1 size timespec addr size
set_robust_list addr size
get_robust_list int addr addr
splice fd addr fd addr size hex
utimensat at path addr atflags
epoll_pwait fd addr int int addr size
timerfd_create clock timerfd
eventfd int
fallocate fd hex off size
timerfd_settime fd timer addr addr
timerfd_gettime fd addr
accept4 fd addr addr hex
signalfd4 fd sigset size signalfd
eventfd2 int eventfd
epoll_create1 epollnew
dup3 fd fd pipe
pipe2 pipefds pipe
preadv fd iov:2 size off
pwritev fd iov:2 size off
rt_tgsigqueueinfo int int signal addr
prlimit64 int limit inlimit rlimit
getcpu addr addr addr
renameat2 at path at path hex
seccomp int hex addr
getrandom out:r size random
memfd_create path memfd
execveat at path addr addr atflags
membarrier int hex int
mlock2 addr size hex
copy_file_range fd addr fd addr size hex
statx at path atflags hex statx
rseq addr size hex hex
clone3 addr size
close_range int int hex
openat2 at path addr size
faccessat2 at path access faccess
getpriority int int
setpriority int int int
sched_rr_get_interval int addr
preadv2 fd iov:2 size off off hex
pwritev2 fd iov:2 size off off hex
readahead fd off size
syncfs fd
sync
sched_setparam int addr
sched_getparam int addr
sched_setscheduler int int addr
sched_getscheduler int
sched_get_priority_max int
sched_get_priority_min int
getresuid addr addr addr
getresgid addr addr addr
capget addr addr
personality hex
getpgid int
getsid int
epoll_pwait2 fd addr int timespec addr size
"""

# The guest's own, under the names of guest/include/kvm_api.h.
_HOST_CALLS = """
10000 register_func callback addr
10001 wait_for_requests
10002 wait_for_requests_paused addr
10005 set_cacheable int int int int
10010 backend_response int in:2 size in:4 size addr
10011 storage_return in:1 size
10012 streaming_response int in:2 size int addr addr
10013 storage_noreturn in:1 size
10020 http_append side in:2 size
10021 http_set side in:2 size
10022 http_find side in:2 size out:r size
10023 http_method out:r size
10030 regex_compile in:1 size
10031 regex_free int
10032 regex_match int in:2 size
10033 regex_subst int addr addr addr size hex
10035 regex_copyto int addr addr
10700 shared_memory_area ->
10703 make_ephemeral int
10706 is_storage
10707 storage_allow addr
10708 storage_callv addr size addr out:r size
10709 storage_task addr in:2 size int int
1070A stop_storage_task int
10A00 meminfo addr size
20000 fetch in:1 size addr addr
7E000 returned
7F000 log in:1 size
7F7F7 breakpoint
7FDEB is_debug
"""


class Signature:
    """What a call is called, and takes."""

    def __init__(self, line: str) -> None:
        self.name, *words = line.split()
        self.gives_address = words[-1:] == ["->"]
        self.words = words[:-1] if self.gives_address else words


@cache
def by_name() -> dict[str, Signature]:
    """Those of system calls."""
    found = map(Signature, _SYSCALLS.strip().splitlines())
    return {each.name: each for each in found}


@cache
def host_calls() -> dict[int, Signature]:
    """Those of host calls, by number."""
    lines = (line.split(" ", 1) for line in _HOST_CALLS.strip().splitlines())
    return {int(number, 16): Signature(rest) for number, rest in lines}
