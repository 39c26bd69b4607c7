"""The only importer of _native: guests as Python objects.

Every object is a context manager and owns one C object; close() may be called again.
check() turns a C error into NativeError. A Vm serves one caller at a time; all else may
be used from any thread.
"""

import enum
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeVar

from skerry._native import ffi, lib
from skerry.errors import SkerryError
from skerry.message import Request, Response

_NS = 1_000_000_000
_LINE = 1024


class NativeError(SkerryError):
    """A step of the native core failed: (step) says which, (reason) why."""

    def __init__(self, step: str, reason: str, code: int) -> None:
        super().__init__(f"{step}: {reason}")
        self.step = step
        self.reason = reason
        self.code = code


def check(code: int, error: Any) -> None:
    """Raises what (error) says if (code) is negative."""
    if code < 0:
        step, text = ffi.string(error.step), ffi.string(error.text)
        raise NativeError(step.decode(), text.decode("utf-8", "replace"), error.code)


class Owner:
    """Owns the C object (raw); (_close) is its closing function."""

    _close: Any

    def __init__(self, raw: Any) -> None:
        self.raw = ffi.gc(raw, self._close)

    def close(self) -> None:
        """Gives the object up; what others still use lives on."""
        ffi.release(self.raw)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


T = TypeVar("T", bound=Owner)


def _adopt(kind: type[T], raw: Any) -> T:
    """An owner of (raw), which came ready made."""
    owner = kind.__new__(kind)
    Owner.__init__(owner, raw)
    return owner


def _error() -> Any:
    return ffi.new("struct skerry_error *")


class Stream(enum.IntEnum):
    """Where a line of a program comes from."""

    STDOUT = lib.SKERRY_LINE_STDOUT
    STDERR = lib.SKERRY_LINE_STDERR
    LOG = lib.SKERRY_LINE_LOG
    HOST = lib.SKERRY_LINE_HOST


class Console(Owner):
    """The lines that a program has printed, waiting to be taken."""

    _close = lib.skerry_console_close

    def __init__(self) -> None:
        super().__init__(lib.skerry_console_open())
        self._line = ffi.new("char[]", _LINE)
        self._kind = ffi.new("int *")

    def take(self) -> list[tuple[Stream, str]]:
        """All lines so far, oldest first."""
        lines = []
        while (line := self._take()) is not None:
            lines.append(line)
        return lines

    def _take(self) -> tuple[Stream, str] | None:
        size = lib.skerry_console_take(self.raw, self._line, _LINE, self._kind)
        if size < 0:
            return None
        text = ffi.unpack(self._line, size).decode("utf-8", "replace")
        return Stream(self._kind[0]), text


class SharedMemory(Owner):
    """(size) bytes, a multiple of 2 MB, that all machines of a program share."""

    _close = lib.skerry_shm_close

    def __init__(self, size: int) -> None:
        out, error = ffi.new("struct skerry_shm **"), ffi.new("struct skerry_error *")
        check(lib.skerry_shm_open(size, out, error), error)
        super().__init__(out[0])

    def export(self) -> int:
        """Its descriptor, for another process; it stays this object's own."""
        return int(lib.skerry_shm_export(self.raw))

    @classmethod
    def attach(cls, fd: int, size: int) -> Self:
        """What export() gave to another process; takes (fd) over."""
        out, error = ffi.new("struct skerry_shm **"), _error()
        check(lib.skerry_shm_import(fd, size, out, error), error)
        return _adopt(cls, out[0])


@dataclass(frozen=True, slots=True)
class BootOptions:
    """How a program is started. Sizes in bytes, times in seconds."""

    name: str
    elf: bytes
    argv: Sequence[str]
    environment: Sequence[str]
    max_memory: int
    max_request_memory: int
    max_boot_time: float
    is_storage: bool = False


class Snapshot(Owner):
    """A program that has started, frozen where it waits for requests."""

    _close = lib.skerry_snapshot_close

    def export(self) -> tuple[bytes, int]:
        """What it is, and its memory's descriptor, for another process; the descriptor
        stays this object's own."""
        data = ffi.new("char[]", lib.skerry_snapshot_size())
        fd = lib.skerry_snapshot_export(self.raw, data)
        return bytes(ffi.buffer(data)), fd

    @classmethod
    def attach(cls, data: bytes, fd: int, shared: SharedMemory | None) -> Self:
        """What export() gave to another process; takes (fd) over."""
        out, error = ffi.new("struct skerry_snapshot **"), _error()
        raw = shared.raw if shared else ffi.NULL
        code = lib.skerry_snapshot_import(data, len(data), fd, raw, out, error)
        check(code, error)
        return _adopt(cls, out[0])

    @property
    def unknown_syscalls(self) -> int:
        """Calls of system calls that skerry does not have."""
        return int(lib.skerry_unknown_syscalls(self.raw))

    @property
    def body_limit(self) -> int:
        """Bytes of the largest request body that the program can take."""
        return int(lib.skerry_body_limit(self.raw))


@dataclass(frozen=True, slots=True)
class StorageFile:
    """The file (fd) that keeps the state of a storage VM; (path) names it in messages.
    (digest), 32 bytes, says what program, started how, it is the state of; (text) says
    so to people. With (waits), answers wait until a power loss loses nothing that they
    tell of."""

    fd: int
    path: str
    digest: bytes
    text: str
    waits: bool

    def raw(self) -> tuple[Any, list[Any]]:
        """The C struct, and what keeps it alive."""
        path = ffi.new("char[]", self.path.encode())
        text = ffi.new("char[]", self.text.encode())
        digest = ffi.new("uint8_t[32]", self.digest)
        raw = ffi.new("struct skerry_storage_file *")
        raw.fd, raw.waits = self.fd, self.waits
        raw.path, raw.text, raw.digest = path, text, digest
        return raw, [path, text, digest]


@dataclass(frozen=True, slots=True)
class StorageCounts:
    """Storage calls so far; those that were rolled back; owners of the lock that died;
    commits."""

    calls: int
    failed: int
    repaired: int
    commits: int


class Storage(Owner):
    """The storage VM made from a frozen storage program. All descriptors that it is
    made with stay the caller's. (control), for a process that may not open files, is
    a memfd without a size, and that opened anew for this process alone."""

    _close = lib.skerry_storage_close

    def __init__(
        self,
        snapshot: Snapshot,
        console: Console,
        max_storage_time: float,
        file: StorageFile | None = None,
        control: tuple[int, int] = (-1, -1),
    ) -> None:
        out, error = ffi.new("struct skerry_storage **"), _error()
        limit = int(max_storage_time * _NS)
        raw, _held = file.raw() if file else (ffi.NULL, ())
        code = lib.skerry_storage_open(
            snapshot.raw, limit, raw, control, console.raw, out, error
        )
        check(code, error)
        super().__init__(out[0])

    def export(self) -> tuple[bytes, list[int]]:
        """What it is, and its descriptors, for another process: memory, control,
        committed image, and its file's, which may be -1. They stay this object's own.
        """
        data, fds = ffi.new("char[]", lib.skerry_snapshot_size()), ffi.new("int[4]")
        lib.skerry_storage_export(self.raw, data, fds)
        return bytes(ffi.buffer(data)), list(fds)

    @classmethod
    def attach(
        cls,
        data: bytes,
        fds: Sequence[int],
        shared: SharedMemory | None,
        console: Console,
        max_storage_time: float,
    ) -> Self:
        """What export() gave to another process; takes (fds) over. Both work on the
        same state from now on. The last of them is the second, opened anew for this
        process alone, or -1: then this does it."""
        out, error = ffi.new("struct skerry_storage **"), _error()
        five = ffi.new("int[5]", fds)
        raw, limit = shared.raw if shared else ffi.NULL, int(max_storage_time * _NS)
        code = lib.skerry_storage_import(
            data, len(data), five, raw, limit, console.raw, out, error
        )
        check(code, error)
        return _adopt(cls, out[0])

    def set_waits(self, waits: bool) -> None:
        """Whether answers wait for sync(), in all processes that have this storage."""
        lib.skerry_storage_set_waits(self.raw, waits)

    def sync(self) -> None:
        """Makes all calls so far outlive a power loss. Blocks; for any thread. When it
        fails, no call succeeds from then on."""
        error = _error()
        check(lib.skerry_storage_sync(self.raw, error), error)

    def counts(self) -> StorageCounts:
        """Of all processes, since the storage was made."""
        raw = ffi.new("struct skerry_storage_counts *")
        lib.skerry_storage_counts(self.raw, raw)
        return StorageCounts(raw.calls, raw.failed, raw.repaired, raw.commits)


def _strings(values: Sequence[str]) -> tuple[Any, list[Any]]:
    """A C array of (values), and what keeps them alive."""
    held = [ffi.new("char[]", value.encode()) for value in values]
    return ffi.new("char *[]", held), held


def boot(
    options: BootOptions,
    console: Console,
    shared: SharedMemory | None = None,
    storage: Storage | None = None,
) -> Snapshot:
    """Runs a program until it waits for requests, and freezes it."""
    name = ffi.new("char[]", options.name.encode())
    argv, argv_held = _strings(options.argv)
    envp, envp_held = _strings(options.environment)
    raw = ffi.new("struct skerry_boot_options *")
    raw.name, raw.argv, raw.argc = name, argv, len(argv_held)
    raw.envp, raw.envc = envp, len(envp_held)
    raw.elf, raw.elf_len = ffi.from_buffer("uint8_t[]", options.elf), len(options.elf)
    raw.is_storage = options.is_storage
    raw.max_memory = options.max_memory
    raw.max_request_memory = options.max_request_memory
    raw.boot_ns = int(options.max_boot_time * _NS)
    raw.shm = shared.raw if shared else ffi.NULL
    raw.storage = storage.raw if storage else ffi.NULL
    out, error = ffi.new("struct skerry_snapshot **"), _error()
    check(lib.skerry_boot(raw, console.raw, out, error), error)
    return Snapshot(out[0])


_REPLY = struct.Struct("iIIIQ")  # the first fields of struct skerry_reply
_REPLY_SIZE = ffi.sizeof("struct skerry_reply")
_FAILED = int(lib.SKERRY_FAILED)
_DISCARD = int(lib.SKERRY_DISCARD)
_LARGE = int(lib.SKERRY_LARGE)
_LINES = int(lib.SKERRY_LINES)
_BUSY = int(lib.SKERRY_BUSY)
_UNSYNCED = int(lib.SKERRY_UNSYNCED)
_RARE = _FAILED | _DISCARD | _LARGE | _LINES | _BUSY | _UNSYNCED
_HAS = int(lib.SKERRY_HAS_DATE) | int(lib.SKERRY_HAS_SERVER)  # as in Response
_add = lib.skerry_add
_run = lib.skerry_run
BATCH = int(lib.SKERRY_BATCH)  # requests that Vm.serve_batch takes


class Vm(Owner):
    """A clone that answers one request at a time. After an answer it is as frozen
    again or, when (rare) and (discard) are set, has to be closed.

    A request may take (limit) seconds; serve() returns early after (inline) seconds if
    that is not 0. With (hold) the clone stays as the request left it until reset(): for
    tests that look at it.
    """

    _close = lib.skerry_vm_close

    def __init__(
        self,
        snapshot: Snapshot,
        console: Console,
        limit: float,
        inline: float = 0.0,
        storage: Storage | None = None,
        hold: bool = False,
    ) -> None:
        out, error = ffi.new("struct skerry_vm **"), _error()
        limits = ffi.new("struct skerry_limits *")
        limits.request_ns, limits.inline_ns = int(limit * _NS), int(inline * _NS)
        limits.hold = hold
        raw_storage = storage.raw if storage else ffi.NULL
        code = lib.skerry_vm_open(
            snapshot.raw, raw_storage, limits, console.raw, out, error
        )
        check(code, error)
        super().__init__(out[0])
        self._replies = lib.skerry_vm_replies(self.raw)
        self._reply_bytes = ffi.buffer(self._replies, BATCH * _REPLY_SIZE)
        self._out = ffi.buffer(lib.skerry_vm_out(self.raw), lib.SKERRY_OUT_SIZE)
        self._requests: Sequence[Request] = ()
        self._last = 0  # index of the last reply
        self.rare = 0  # not 0: look at the next five
        self.busy = False  # the last request goes on: resume() it
        self.discard = False  # close this clone
        self.failed = False  # the last request failed
        self.unsynced = False  # the answers have to wait for Storage.sync()
        self.has_lines = False  # the console has lines

    def serve(self, request: Request) -> Response | None:
        """Runs (request). None: it takes longer than the inline time: resume() it."""
        answers = self.serve_batch((request,))
        return answers[0] if answers else None

    def serve_batch(self, requests: Sequence[Request]) -> list[Response]:
        """Runs (requests), at most BATCH, one after the other. Returns the answers to
        as many as were done; the others have not begun, but for the first of them if
        (rare) and (busy) are set. (rare) is about the last one that began."""
        raw = self.raw
        self._requests = requests  # their bytes are used until they are answered
        for each in requests:
            body = each.body
            _add(
                raw,
                each.method,
                each.target,
                each.headers,
                each.content_type,
                body,
                len(body),
            )
        return self._answers(_run(raw))

    def resume(self) -> Response:
        """Carries a request on to its end; may take up to its limit."""
        lib.skerry_resume(self.raw)
        return self._answers(1)[0]

    def _answers(self, count: int) -> list[Response]:
        answers = []
        out, rare = self._out, 0
        for index in range(count):
            status, flags, at, head_len, body_len = _REPLY.unpack_from(
                self._reply_bytes, index * _REPLY_SIZE
            )
            rare |= flags & _RARE
            rest = out[at : at + head_len + body_len]
            answers.append(Response(status, rest, head_len, flags & _HAS))
        self.rare = rare
        if rare:
            self._look_closer(answers, count - 1)
        return answers

    def _look_closer(self, answers: list[Response], last: int) -> None:
        """Something is out of the ordinary, with the last answer most likely."""
        self._last = last
        rare, reply = self.rare, self._replies[last]
        self.busy = bool(rare & _BUSY)
        self.discard = bool(rare & _DISCARD)
        self.failed = bool(rare & _FAILED)
        self.has_lines = bool(rare & _LINES)
        self.unsynced = bool(rare & _UNSYNCED)
        if rare & _BUSY:
            answers.pop()
        elif rare & _LARGE:
            rest = ffi.buffer(reply.head, reply.head_len)[:]
            answers[last].rest = rest + ffi.buffer(reply.body, reply.body_len)[:]
            self.discard = self.discard or self.reset() < 0

    @property
    def reason(self) -> str:
        """Why the last request failed, or ""."""
        reply = self._replies[self._last if self.rare else 0]
        text: bytes = ffi.string(reply.reason) if reply.reason else b""
        return text.decode("utf-8", "replace")

    @property
    def exits(self) -> tuple[int, int]:
        """KVM_RUN calls of the first request served last: all, and those of storage."""
        return self._replies[0].exits, self._replies[0].storage_runs

    def reset(self) -> int:
        """Puts the clone back to the frozen state once more. Returns the number of
        pages that took, or -errno: then the clone cannot be used again."""
        pages: int = lib.skerry_reset(self.raw)
        return pages

    def differing_pages(self) -> int:
        """Pages that are not as frozen, found by looking at all of them. Slow."""
        return int(lib.skerry_differing_pages(self.raw))


@dataclass(frozen=True, slots=True)
class KvmFacts:
    """What this machine's KVM does. See skerry.h."""

    ring0_stub: bool
    reset_holds: bool
    xcr0: int
    dirty_ring: int
    sync_regs: int
    exit_ns: int


def open_kvm() -> None:
    """Opens /dev/kvm, for a process that gets all machines from another one and may not
    open files later."""
    error = _error()
    check(lib.skerry_open_kvm(error), error)


def probe() -> KvmFacts:
    """Runs a guest to find out; the first call takes some milliseconds."""
    facts, error = ffi.new("struct skerry_kvm_facts *"), _error()
    check(lib.skerry_probe(facts, error), error)
    return KvmFacts(
        ring0_stub=bool(facts.ring0_stub),
        reset_holds=bool(facts.reset_holds),
        xcr0=facts.xcr0,
        dirty_ring=facts.dirty_ring,
        sync_regs=facts.sync_regs,
        exit_ns=facts.exit_ns,
    )


@dataclass(frozen=True, slots=True)
class JailFacts:
    """What holds in the jail: (landlock) is the kernel's version of it, 0 for none;
    (outside) counts threads from before that it does not hold."""

    landlock: int
    outside: int


def prepare_jail() -> None:
    """From here on no io_uring can be made, as its work passes the jail's filter
    unseen: for before the event loop is."""
    error = _error()
    check(lib.skerry_jail_prepare(error), error)


def enter_jail(
    uid: int = 0,
    gid: int = 0,
    max_files: int = 0,
    readable: Sequence[str] = (),
    kill: bool = False,
) -> JailFacts:
    """Gives up all that serving does not need, for good. See skerry.h. After a
    NativeError the process is half in and half out: end it."""
    paths, held = _strings(readable)
    raw = ffi.new("struct skerry_jail *")
    raw.uid, raw.gid, raw.max_files, raw.kill = uid, gid, max_files, kill
    raw.readable, raw.readable_count = paths, len(held)
    facts, error = ffi.new("struct skerry_jail_facts *"), _error()
    check(lib.skerry_jail_enter(raw, facts, error), error)
    return JailFacts(landlock=facts.landlock, outside=facts.outside)
