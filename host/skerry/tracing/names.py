"""Names of the numbers that system calls take: flags, and choices."""

import errno
import fcntl
import os
import resource
import select
import signal
import socket
from dataclasses import dataclass, field
from types import ModuleType


@dataclass(frozen=True, slots=True)
class Names:
    """(bits) that may be combined, and (choices), one of which is the number, without
    bits, or its part that (mask) covers. Nothing at all is (zero)."""

    bits: dict[int, str] = field(default_factory=dict)
    choices: dict[int, str] = field(default_factory=dict)
    mask: int = -1
    zero: str = "0"

    def text(self, value: int) -> str:
        if value in self.choices:
            return self.choices[value]
        if not value:
            return self.zero
        if not self.bits:
            return str(value)
        return "|".join(self._parts(value))

    def _parts(self, value: int) -> list[str]:
        parts = []
        if self.choices:
            chosen = value & self.mask
            parts.append(self.choices.get(chosen, hex(chosen)))
            value &= ~self.mask
        for bits, name in self.bits.items():
            if value & bits == bits:
                parts.append(name)
                value &= ~bits
        return [*parts, hex(value)] if value else parts


def _of(module: ModuleType, *names: str, prefix: str = "") -> dict[int, str]:
    """{value: name} of those that this Python knows."""
    return {
        int(getattr(module, prefix + name)): prefix + name
        for name in names
        if hasattr(module, prefix + name)
    }


def _listed(text: str) -> dict[int, str]:
    """{value: name} of "NAME=1 ..."."""
    pairs = [each.split("=") for each in text.split()]
    return {int(value, 0): name for name, value in pairs}


_OPEN = """CREAT EXCL TRUNC APPEND SYNC TMPFILE DSYNC ASYNC DIRECT DIRECTORY NOATIME
NOCTTY NOFOLLOW NONBLOCK PATH CLOEXEC"""
_MAP_BITS = """MAP_FIXED=0x10 MAP_ANONYMOUS=0x20 MAP_GROWSDOWN=0x100 MAP_DENYWRITE=0x800
MAP_LOCKED=0x2000 MAP_NORESERVE=0x4000 MAP_POPULATE=0x8000 MAP_NONBLOCK=0x10000
MAP_STACK=0x20000 MAP_HUGETLB=0x40000 MAP_FIXED_NOREPLACE=0x100000"""
_CLONE = """CLONE_VM=0x100 CLONE_FS=0x200 CLONE_FILES=0x400 CLONE_SIGHAND=0x800
CLONE_PIDFD=0x1000 CLONE_PTRACE=0x2000 CLONE_VFORK=0x4000 CLONE_PARENT=0x8000
CLONE_THREAD=0x10000 CLONE_NEWNS=0x20000 CLONE_SYSVSEM=0x40000 CLONE_SETTLS=0x80000
CLONE_PARENT_SETTID=0x100000 CLONE_CHILD_CLEARTID=0x200000 CLONE_DETACHED=0x400000
CLONE_UNTRACED=0x800000 CLONE_CHILD_SETTID=0x1000000"""
_FUTEX = """FUTEX_WAIT=0 FUTEX_WAKE=1 FUTEX_FD=2 FUTEX_REQUEUE=3 FUTEX_CMP_REQUEUE=4
FUTEX_WAKE_OP=5 FUTEX_LOCK_PI=6 FUTEX_UNLOCK_PI=7 FUTEX_TRYLOCK_PI=8 FUTEX_WAIT_BITSET=9
FUTEX_WAKE_BITSET=10 FUTEX_WAIT_REQUEUE_PI=11 FUTEX_CMP_REQUEUE_PI=12"""
_ADVICE = """MADV_NORMAL=0 MADV_RANDOM=1 MADV_SEQUENTIAL=2 MADV_WILLNEED=3
MADV_DONTNEED=4 MADV_FREE=8 MADV_REMOVE=9 MADV_DONTFORK=10 MADV_DOFORK=11
MADV_MERGEABLE=12 MADV_UNMERGEABLE=13 MADV_HUGEPAGE=14 MADV_NOHUGEPAGE=15
MADV_DONTDUMP=16 MADV_DODUMP=17 MADV_COLD=20 MADV_PAGEOUT=21 MADV_POPULATE_READ=22
MADV_POPULATE_WRITE=23 MADV_COLLAPSE=25"""
_AT = """AT_SYMLINK_NOFOLLOW=0x100 AT_REMOVEDIR=0x200 AT_SYMLINK_FOLLOW=0x400
AT_NO_AUTOMOUNT=0x800 AT_EMPTY_PATH=0x1000 AT_STATX_FORCE_SYNC=0x2000
AT_STATX_DONT_SYNC=0x4000 AT_RECURSIVE=0x8000"""
_IOCTL = """TCGETS=0x5401 TCSETS=0x5402 TCSETSW=0x5403 TIOCGPGRP=0x540f TIOCSPGRP=0x5410
TIOCGWINSZ=0x5413 TIOCSWINSZ=0x5414 FIONREAD=0x541b FIONBIO=0x5421 FIONCLEX=0x5450
FIOCLEX=0x5451 FIOASYNC=0x5452"""
_CLOCKS = """CLOCK_REALTIME=0 CLOCK_MONOTONIC=1 CLOCK_PROCESS_CPUTIME_ID=2
CLOCK_THREAD_CPUTIME_ID=3 CLOCK_MONOTONIC_RAW=4 CLOCK_REALTIME_COARSE=5
CLOCK_MONOTONIC_COARSE=6 CLOCK_BOOTTIME=7 CLOCK_REALTIME_ALARM=8 CLOCK_BOOTTIME_ALARM=9
CLOCK_TAI=11"""
_LIMITS = "CPU FSIZE DATA STACK CORE RSS NPROC NOFILE MEMLOCK AS LOCKS SIGPENDING "
_LIMITS += "MSGQUEUE NICE RTPRIO RTTIME"
_SA = """SA_NOCLDSTOP=1 SA_NOCLDWAIT=2 SA_SIGINFO=4 SA_RESTORER=0x4000000
SA_ONSTACK=0x8000000 SA_RESTART=0x10000000 SA_NODEFER=0x40000000 SA_RESETHAND=0x80000000
"""
_SIGNALS = {
    each.value: each.name for each in signal.Signals if each.name[:5] != "SIGRT"
}
_NONBLOCK_CLOEXEC = {os.O_NONBLOCK: "NONBLOCK", os.O_CLOEXEC: "CLOEXEC"}


def _with_prefix(prefix: str) -> dict[int, str]:
    return {value: prefix + name for value, name in _NONBLOCK_CLOEXEC.items()}


NAMES = {
    "open": Names(
        _of(os, *_OPEN.split(), prefix="O_"),
        {0: "O_RDONLY", 1: "O_WRONLY", 2: "O_RDWR"},
        os.O_ACCMODE,
    ),
    "prot": Names(
        _listed("PROT_READ=1 PROT_WRITE=2 PROT_EXEC=4 PROT_SEM=8"), zero="PROT_NONE"
    ),
    "map": Names(
        _listed(_MAP_BITS),
        _listed("MAP_SHARED=1 MAP_PRIVATE=2 MAP_SHARED_VALIDATE=3"),
        3,
    ),
    "remap": Names(_listed("MREMAP_MAYMOVE=1 MREMAP_FIXED=2 MREMAP_DONTUNMAP=4")),
    "sync": Names(_listed("MS_ASYNC=1 MS_INVALIDATE=2 MS_SYNC=4")),
    "advice": Names(choices=_listed(_ADVICE)),
    "atflags": Names(_listed(_AT)),
    "faccess": Names(_listed(_AT + " AT_EACCESS=0x200")),
    "access": Names(_of(os, "R_OK", "W_OK", "X_OK"), zero="F_OK"),
    "whence": Names(
        choices=_of(os, *["SET", "CUR", "END", "DATA", "HOLE"], prefix="SEEK_")
    ),
    "fcntl": Names(
        choices={
            getattr(fcntl, name): name
            for name in sorted(dir(fcntl))
            if name[:2] == "F_" and "LCK" not in name and "SEAL_" not in name
        }
        | _listed("F_GETLK=5 F_SETLK=6 F_SETLKW=7")
    ),
    "ioctl": Names(choices=_listed(_IOCTL)),
    "clock": Names(choices=_listed(_CLOCKS)),
    "timer": Names(_listed("TIMER_ABSTIME=1")),
    "signal": Names(choices=_SIGNALS),
    "sigmask": Names(choices=_listed("SIG_BLOCK=0 SIG_UNBLOCK=1 SIG_SETMASK=2")),
    "sa": Names(_listed(_SA)),
    "clone": Names(_listed(_CLONE), {0: "0"} | _SIGNALS, 0xFF),
    "futex": Names(
        _listed("FUTEX_PRIVATE_FLAG=0x80 FUTEX_CLOCK_REALTIME=0x100"),
        _listed(_FUTEX),
        0x7F,
    ),
    "limit": Names(
        choices=_of(resource, *_LIMITS.split(), prefix="RLIMIT_"), zero="RLIMIT_CPU"
    ),
    "who": Names(choices=_listed("RUSAGE_SELF=0 RUSAGE_CHILDREN=-1 RUSAGE_THREAD=1")),
    "wait": Names(_listed("WNOHANG=1 WUNTRACED=2 WCONTINUED=8")),
    "random": Names(_listed("GRND_NONBLOCK=1 GRND_RANDOM=2 GRND_INSECURE=4")),
    "arch": Names(
        choices=_listed(
            "ARCH_SET_GS=0x1001 ARCH_SET_FS=0x1002 ARCH_GET_FS=0x1003 "
            "ARCH_GET_GS=0x1004 ARCH_GET_CPUID=0x1011 ARCH_SET_CPUID=0x1012"
        )
    ),
    "poll": Names(
        _of(select, *["IN", "PRI", "OUT", "ERR", "HUP", "NVAL"], prefix="POLL")
    ),
    "epoll": Names(
        _of(
            select,
            *["IN", "PRI", "OUT", "ERR", "HUP", "RDHUP", "EXCLUSIVE", "ONESHOT", "ET"],
            prefix="EPOLL",
        )
    ),
    "epollctl": Names(
        choices=_listed("EPOLL_CTL_ADD=1 EPOLL_CTL_DEL=2 EPOLL_CTL_MOD=3")
    ),
    "epollnew": Names(_with_prefix("EPOLL_")),
    "pipe": Names(_with_prefix("O_")),
    "eventfd": Names({1: "EFD_SEMAPHORE"} | _with_prefix("EFD_")),
    "timerfd": Names(_with_prefix("TFD_")),
    "signalfd": Names(_with_prefix("SFD_")),
    "memfd": Names(_listed("MFD_CLOEXEC=1 MFD_ALLOW_SEALING=2 MFD_HUGETLB=4")),
    "family": Names(
        choices=_of(
            socket,
            *["UNSPEC", "UNIX", "INET", "INET6", "NETLINK", "PACKET", "VSOCK"],
            prefix="AF_",
        )
    ),
    "socket": Names(
        {os.O_NONBLOCK: "SOCK_NONBLOCK", os.O_CLOEXEC: "SOCK_CLOEXEC"},
        _of(socket, *["STREAM", "DGRAM", "RAW", "RDM", "SEQPACKET"], prefix="SOCK_"),
        0xF,
    ),
}


# A signal has ended the call, and its handler decides what comes of it: linux/errno.h
RESTARTS = {
    512: "ERESTARTSYS",
    513: "ERESTARTNOINTR",
    514: "ERESTARTNOHAND",
    516: "ERESTART_RESTARTBLOCK",
}


def error_name(result: int) -> str | None:
    """ENOENT for -2; None if (result) is no error."""
    if not -4096 < result < 0:
        return None
    return RESTARTS.get(-result) or errno.errorcode.get(-result, f"E{-result}")
