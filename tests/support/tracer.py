"""What a process asks of KVM: its ioctls by name, seen through ptrace.

Attaching stops all threads. The event loop's thread then runs, from one system call to
the next; every other thread is parked where it waits. So the requests that follow are
proven to need no other thread; and the watchdog, whose clock goes on while the tracer
looks at a stopped thread, cannot take a slow look for a slow guest.
"""

import ctypes
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self, TypeVar

from ptrace.debugger import NewProcessEvent, ProcessSignal, PtraceDebugger
from ptrace.debugger.process import PtraceProcess
from ptrace.func_call import FunctionCallOptions
from support.client import LONG

T = TypeVar("T")

# linux/kvm.h: the numbers of _IO(0xAE, n) and its like that can be met on x86. Those of
# vCPUs and those of VMs overlap in three places; then the vCPU's stands here.
KVMIO = 0xAE
NAMES = {
    0x00: "KVM_GET_API_VERSION",
    0x01: "KVM_CREATE_VM",
    0x02: "KVM_GET_MSR_INDEX_LIST",
    0x03: "KVM_CHECK_EXTENSION",
    0x04: "KVM_GET_VCPU_MMAP_SIZE",
    0x05: "KVM_GET_SUPPORTED_CPUID",
    0x40: "KVM_SET_MEMORY_REGION",
    0x41: "KVM_CREATE_VCPU",
    0x42: "KVM_GET_DIRTY_LOG",
    0x46: "KVM_SET_USER_MEMORY_REGION",
    0x47: "KVM_SET_TSS_ADDR",
    0x48: "KVM_SET_IDENTITY_MAP_ADDR",
    0x60: "KVM_CREATE_IRQCHIP",
    0x61: "KVM_IRQ_LINE",
    0x76: "KVM_IRQFD",
    0x79: "KVM_IOEVENTFD",
    0x80: "KVM_RUN",
    0x81: "KVM_GET_REGS",
    0x82: "KVM_SET_REGS",
    0x83: "KVM_GET_SREGS",
    0x84: "KVM_SET_SREGS",
    0x85: "KVM_TRANSLATE",
    0x86: "KVM_INTERRUPT",
    0x88: "KVM_GET_MSRS",
    0x89: "KVM_SET_MSRS",
    0x8A: "KVM_SET_CPUID",
    0x8B: "KVM_SET_SIGNAL_MASK",
    0x8C: "KVM_GET_FPU",
    0x8D: "KVM_SET_FPU",
    0x8E: "KVM_GET_LAPIC",
    0x8F: "KVM_SET_LAPIC",
    0x90: "KVM_SET_CPUID2",
    0x91: "KVM_GET_CPUID2",
    0x98: "KVM_GET_MP_STATE",
    0x99: "KVM_SET_MP_STATE",
    0x9A: "KVM_NMI",
    0x9B: "KVM_SET_GUEST_DEBUG",
    0x9F: "KVM_GET_VCPU_EVENTS",
    0xA0: "KVM_SET_VCPU_EVENTS",
    0xA1: "KVM_GET_DEBUGREGS",
    0xA2: "KVM_SET_DEBUGREGS",
    0xA3: "KVM_ENABLE_CAP",
    0xA4: "KVM_GET_XSAVE",
    0xA5: "KVM_SET_XSAVE",
    0xA6: "KVM_GET_XCRS",
    0xA7: "KVM_SET_XCRS",
    0xAD: "KVM_KVMCLOCK_CTRL",
    0xC0: "KVM_CLEAR_DIRTY_LOG",
    0xC6: "KVM_X86_SET_MSR_FILTER",
    0xC7: "KVM_RESET_DIRTY_RINGS",
    0xCC: "KVM_GET_SREGS2",
    0xCD: "KVM_SET_SREGS2",
    0xCE: "KVM_GET_STATS_FD",
    0xCF: "KVM_GET_XSAVE2",
}

SLEEPS = {"nanosleep", "clock_nanosleep", "restart_syscall"}
EPOLL_WAITS = {"epoll_wait", "epoll_pwait", "epoll_pwait2"}
FUTEX_WAITS = {0, 9}  # FUTEX_WAIT, FUTEX_WAIT_BITSET
FUTEX_COMMAND = 0x7F
PF_USER_WORKER = 0x4000  # proc_pid_stat(5), flags; linux/sched.h
SYSCALL_STOP = signal.SIGTRAP | 0x80
_tgkill = ctypes.CDLL(None, use_errno=True).tgkill


def ioctl_name(request: int) -> str:
    """KVM's name for (request), an ioctl's second argument; else its number in hex."""
    kind, number = request >> 8 & 0xFF, request & 0xFF
    name = NAMES.get(number) if kind == KVMIO else None
    return name or f"ioctl {request & 0xFFFFFFFF:#x}"


class Tracer:
    """Attached to all threads of (pid), an idle server. A context manager."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._seen: list[str] = []
        self._idle = False  # the event loop waits for its next event
        self._debugger = PtraceDebugger()
        self._debugger.traceClone()
        self._attach()
        for thread in self._debugger:
            if thread.pid != pid:
                self._park(thread)
        self._debugger[pid].syscall()
        self._pump(lambda: self._idle)

    def ioctls_during(self, work: Callable[[], T]) -> tuple[list[str], T]:
        """The names of all ioctls from the begin of (work), which runs in a thread of
        ours, until it is done and the event loop waits again; and what it returned."""
        self._seen = []
        with ThreadPoolExecutor(1) as threads:
            done = threads.submit(work)
            self._pump(lambda: done.done() and self._idle)
        return self._seen, done.result()

    def _attach(self) -> None:
        """Attaches to all threads, until no new one has appeared meanwhile."""
        while new := self._threads() - set(self._debugger.dict):
            for thread in new:
                self._debugger.addProcess(thread, False, is_thread=thread != self._pid)

    def _threads(self) -> set[int]:
        """Those that run user code: KVM adds one that is the kernel's."""
        every = Path(f"/proc/{self._pid}/task").iterdir()
        return {int(each.name) for each in every if not _is_kernel(each)}

    def _park(self, thread: PtraceProcess) -> None:
        """Runs (thread) until it is about to wait; there it holds no lock."""
        call = None
        while call is None or call.result is not None or not _waits(call):
            thread.syscall()
            call = self._call(self._next(lambda: False, thread.pid))

    def _pump(self, until: Callable[[], bool]) -> None:
        """Lets the process run, noting what it calls, until (until)."""
        while event := self._next(until):
            self._take(event)

    def _next(self, until: Callable[[], bool], thread: int | None = None) -> Any:
        """The next event of (thread), or of any; None once (until) is true."""
        end = time.monotonic() + LONG
        while not until():
            event = self._debugger.waitProcessEvent(thread, blocking=False)
            if event is not None:
                return event
            if time.monotonic() > end:
                raise TimeoutError("the traced process does not get on")
            time.sleep(0.0002)
        return None

    def _take(self, event: Any) -> None:
        if isinstance(event, NewProcessEvent):
            event.process.syscall()
            event.process.parent.syscall()
            return
        if not isinstance(event, ProcessSignal):
            raise event
        call = self._call(event)
        if call and call.result is None:
            self._note(event.process.pid, call)
        event.process.syscall(0 if call else event.signum)

    def _call(self, event: Any) -> Any:
        """The system call that (event) is the entry or the exit of; None if another."""
        if event.signum != SYSCALL_STOP:
            return None
        return event.process.syscall_state.event(FunctionCallOptions())

    def _note(self, thread: int, call: Any) -> None:
        if thread == self._pid:
            self._idle = call.name in EPOLL_WAITS
        if call.name == "ioctl":
            self._seen.append(ioctl_name(call.arguments[1].value))

    def close(self) -> None:
        """Lets all threads go."""
        _tgkill(self._pid, self._pid, signal.SIGSTOP)
        event = None
        while getattr(event, "signum", 0) != signal.SIGSTOP:
            if event:
                self._take(event)
            event = self._next(lambda: False)
        for thread in [*self._debugger]:
            thread.detach()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *unused: object) -> None:
        self.close()


def _is_kernel(thread: Path) -> bool:
    fields = (thread / "stat").read_text().rpartition(")")[2].split()
    return bool(int(fields[6]) & PF_USER_WORKER)


def _waits(call: Any) -> bool:
    if call.name == "futex":
        return call.arguments[1].value & FUTEX_COMMAND in FUTEX_WAITS
    return call.name in SLEEPS | EPOLL_WAITS
