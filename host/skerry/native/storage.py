"""The storage VM of a program."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from skerry.native.console import Console
from skerry.native.memory import SharedMemory
from skerry.native.raw import NS, Owner, adopt, check, ffi, lib, new_error
from skerry.native.snapshot import Snapshot, files_of, give_files


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
    commits; tasks that have been run; tasks that failed; tasks that wait."""

    calls: int
    failed: int
    repaired: int
    commits: int
    tasks_run: int
    tasks_failed: int
    tasks_pending: int


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
        out, error = ffi.new("struct skerry_storage **"), new_error()
        limit = int(max_storage_time * NS)
        raw, _held = file.raw() if file else (ffi.NULL, ())
        code = lib.skerry_storage_open(
            snapshot.raw, limit, raw, control, console.raw, out, error
        )
        check(code, error)
        super().__init__(out[0])

    def tell(self, trace: int) -> None:
        """Before its first call: what it calls is told on the socket (trace), which
        stays the caller's."""
        lib.skerry_storage_trace(self.raw, trace)

    def export(self) -> tuple[bytes, list[int]]:
        """What it is, and its descriptors, for another process: memory, control,
        committed image, and its file's, which may be -1. They stay this object's own.
        """
        data, fds = (
            ffi.new("char[]", lib.skerry_storage_size(self.raw)),
            ffi.new("int[4]"),
        )
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
        out, error = ffi.new("struct skerry_storage **"), new_error()
        five = ffi.new("int[5]", fds)
        raw, limit = shared.raw if shared else ffi.NULL, int(max_storage_time * NS)
        code = lib.skerry_storage_import(
            data, len(data), five, raw, limit, console.raw, out, error
        )
        check(code, error)
        return adopt(cls, out[0])

    def files(self) -> list[int]:
        """As Snapshot.files(), of the storage program."""
        return files_of(lib.skerry_storage_snapshot(self.raw))

    def adopt_files(self, opener: int, fds: Sequence[int]) -> None:
        """As Snapshot.adopt_files(), for an attached storage, before its first call."""
        give_files(lib.skerry_storage_snapshot(self.raw), opener, fds)

    @property
    def leaves(self) -> bool:
        """Whether the program has an on_live_update."""
        return bool(lib.skerry_storage_leaves(self.raw))

    @property
    def restores(self) -> bool:
        """Whether the program has an on_live_restore."""
        return bool(lib.skerry_storage_restores(self.raw))

    def hand_over(self, to: "Storage", wait: float) -> None:
        """Hands what this knows to (to), of another build, when calls that run have
        ended, for which it waits (wait) seconds. Then this takes no call until
        let_go(). NativeError: this goes on as it was, and (to) is to be closed."""
        error = new_error()
        code = lib.skerry_storage_hand_over(self.raw, to.raw, int(wait * NS), error)
        check(code, error)

    def let_go(self, moved: bool) -> None:
        """Ends hand_over(). With (moved), all calls fail from now on, everywhere."""
        lib.skerry_storage_let_go(self.raw, moved)

    def set_waits(self, waits: bool) -> None:
        """Whether answers wait for sync(), in all processes that have this storage."""
        lib.skerry_storage_set_waits(self.raw, waits)

    def sync(self) -> None:
        """Makes all calls so far outlive a power loss. Blocks; for any thread. When it
        fails, no call succeeds from then on."""
        error = new_error()
        check(lib.skerry_storage_sync(self.raw, error), error)

    def counts(self) -> StorageCounts:
        """Of all processes, since the storage was made."""
        raw = ffi.new("struct skerry_storage_counts *")
        lib.skerry_storage_counts(self.raw, raw)
        return StorageCounts(
            raw.calls,
            raw.failed,
            raw.repaired,
            raw.commits,
            raw.tasks_run,
            raw.tasks_failed,
            raw.tasks_pending,
        )

    def next_task(self) -> float:
        """Seconds until a task may be due; negative: it is."""
        due: int = lib.skerry_storage_next_task(self.raw)
        return (due - time.monotonic_ns()) / NS

    def run_task(self) -> bool:
        """Runs the task that has been due for longest; may take 16 s. For any thread.
        False: there is none, or it cannot be run now."""
        return bool(lib.skerry_storage_run_task(self.raw) == 1)

    def stop_tasks(self) -> None:
        """Nothing is run from here any more; what runs is left to other processes."""
        lib.skerry_storage_stop_tasks(self.raw)


def is_moved(control: int) -> bool:
    """Whether the storage with descriptor (control), see export(), is over: another
    build has its state."""
    return int(lib.skerry_storage_is_moved(control)) == 1


def move_back(control: int) -> None:
    """It takes calls again: the other build has not served yet, and will not."""
    lib.skerry_storage_move_back(control)
