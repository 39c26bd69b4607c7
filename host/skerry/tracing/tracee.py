"""A program that runs natively, seen through ptrace: each call of all its threads and
of the processes that they make. Needs python-ptrace."""

import ctypes
import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from ptrace.binding.func import (
    PTRACE_EVENT_EXEC,
    PTRACE_O_TRACECLONE,
    PTRACE_O_TRACEEXEC,
    PTRACE_O_TRACEFORK,
    PTRACE_O_TRACESYSGOOD,
    PTRACE_O_TRACEVFORK,
    ptrace,
    ptrace_geteventmsg,
    ptrace_getregs,
    ptrace_setoptions,
    ptrace_syscall,
    ptrace_traceme,
)
from ptrace.error import PtraceError

from skerry.errors import SkerryError
from skerry.tracing.decode import CUT, Call, Decoder, Read
from skerry.tracing.memory import read_memory
from skerry.tracing.names import NAMES
from skerry.tracing.overheard import signature_of
from skerry.tracing.signatures import host_calls

_OPTIONS = (
    PTRACE_O_TRACECLONE
    | PTRACE_O_TRACEEXEC
    | PTRACE_O_TRACEFORK
    | PTRACE_O_TRACESYSGOOD
    | PTRACE_O_TRACEVFORK
    | 0x100000  # PTRACE_O_EXITKILL: nothing outlives us
)
_GET_SYSCALL_INFO = 0x420E
_ENTRY, _EXIT = 1, 2
_SYSCALL_STOP = signal.SIGTRAP | 0x80
_WALL = 0x40000000  # threads too
_OUT = (0xEE, 0xEF, 0xE6, 0xE7)  # the instructions that programs call their host with


class _Info(ctypes.Structure):
    """struct ptrace_syscall_info."""

    _fields_ = (
        ("op", ctypes.c_uint8),
        ("arch", ctypes.c_uint32),
        ("instruction", ctypes.c_uint64),
        ("stack", ctypes.c_uint64),
        ("number", ctypes.c_uint64),  # or, behind the call, its result
        ("values", ctypes.c_uint64 * 6),
    )


@dataclass(slots=True)
class _Begun:
    """A call that is being made."""

    number: int
    decoder: Decoder


@dataclass(frozen=True, slots=True)
class Ending:
    """How it ended: (text) for people, and the exit (status) to pass on."""

    text: str
    status: int


class Tracee:
    """Program (arguments), stopped before its first instruction. Each call is shown
    (show) when it has been answered. SkerryError if it cannot be run."""

    def __init__(
        self,
        path: str,
        arguments: Sequence[str],
        names: dict[int, str],
        show: Callable[[Call], None],
        cut: int = CUT,
    ) -> None:
        self._names = names
        self._show = show
        self._cut = cut
        self._begun: dict[int, _Begun] = {}
        self.host_call: str | None = None  # the one that it stopped at
        self._pid = _start(path, arguments)
        self._threads = {self._pid}
        os.waitpid(self._pid, _WALL)  # behind its execve
        ptrace_setoptions(self._pid, _OPTIONS)

    def run(self) -> Ending:
        """Until the program, and all that it has started, has ended; or until it makes
        a call that only a skerry guest can make: (host_call)."""
        ending = Ending("it was lost", 1)
        ptrace_syscall(self._pid)
        while self._threads:
            try:
                thread, status = os.waitpid(-1, _WALL)
            except ChildProcessError:
                break
            if os.WIFSTOPPED(status):
                self._go_on(thread, status)
            else:
                self._threads.discard(thread)
                self._leave(thread)
                if thread == self._pid:
                    ending = _ending(status)
            if self.host_call:
                break
        return ending

    def kill(self) -> None:
        """Ends all that still runs."""
        for thread in self._threads:
            try:
                os.kill(thread, signal.SIGKILL)
            except ProcessLookupError:
                continue
        while self._threads:
            try:
                thread, status = os.waitpid(-1, _WALL)
            except ChildProcessError:
                break
            if not os.WIFSTOPPED(status):
                self._threads.discard(thread)
        for thread in list(self._begun):
            self._leave(thread)

    def _go_on(self, thread: int, status: int) -> None:
        stop, event = os.WSTOPSIG(status), status >> 16
        is_new = thread not in self._threads
        self._threads.add(thread)
        passed = 0
        try:
            if stop == _SYSCALL_STOP:
                self._take(thread)
            elif stop == signal.SIGSEGV and self._calls_host(thread):
                return
            elif event == PTRACE_EVENT_EXEC:
                self._replace(ptrace_geteventmsg(thread), thread)
            elif not event and not (is_new and stop == signal.SIGSTOP):
                passed = stop
            ptrace_syscall(thread, passed)
        except PtraceError:
            return  # it has been killed meanwhile: its end comes next

    def _replace(self, old: int, thread: int) -> None:
        """Thread (old) becomes another program, and with it the first of its process;
        all others have ended."""
        if old == thread:
            return
        self._leave(thread)
        self._threads.discard(old)
        begun = self._begun.pop(old, None)
        if begun:
            self._begun[thread] = begun

    def _take(self, thread: int) -> None:
        """Thread (thread) begins a call, or has the answer."""
        info = _Info()
        ptrace(_GET_SYSCALL_INFO, thread, ctypes.sizeof(info), ctypes.addressof(info))
        if info.op == _ENTRY:
            self._enter(thread, int(info.number), list(info.values))
        elif info.op == _EXIT:
            self._leave(thread, ctypes.c_int64(info.number).value)

    def _enter(self, thread: int, number: int, values: list[int]) -> None:
        signature = signature_of(self._names.get(number, f"syscall_{number}"))
        decoder = Decoder(signature, values, self._cut)
        decoder.begin(self._reader(thread))
        self._begun[thread] = _Begun(number, decoder)

    def _leave(self, thread: int, result: int | None = None) -> None:
        begun = self._begun.pop(thread, None)
        if begun is None:
            return
        signature = begun.decoder.signature
        texts = begun.decoder.end(self._reader(thread), result)
        who = "" if thread == self._pid else str(thread)
        address = signature.gives_address
        self._show(Call(signature.name, texts, result, address, who, begun.number))

    def _reader(self, thread: int) -> Read:
        return partial(read_memory, thread)

    def _calls_host(self, thread: int) -> bool:
        """It faults where it makes a host call, which no Linux answers."""
        registers = ptrace_getregs(thread)
        code = read_memory(thread, registers.rip, 1)
        if not code or code[0] not in _OUT:
            return False
        number = registers.rax & 0xFFFFFFFF
        call = host_calls().get(number)
        self.host_call = call.name if call else hex(number)
        return True


def _start(path: str, arguments: Sequence[str]) -> int:
    """The process of (path), which stops when it has become that program."""
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            ptrace_traceme()
            os.execv(path, [*arguments])
        except (OSError, PtraceError) as error:
            os.write(theirs, (getattr(error, "strerror", "") or str(error)).encode())
        os._exit(127)
    os.close(theirs)
    with os.fdopen(ours) as pipe:
        trouble = pipe.read()
    if trouble:
        os.waitpid(pid, 0)
        raise SkerryError(f"{path}: cannot be run: {trouble}")
    return pid


def _ending(status: int) -> Ending:
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return Ending(f"it ended with exit status {code}", code)
    name = NAMES["signal"].text(-code)
    return Ending(f"it was ended by {name}", 128 - code)
