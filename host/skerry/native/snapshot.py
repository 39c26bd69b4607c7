"""A program that waits for requests, frozen."""

import os
from collections.abc import Sequence
from typing import Any, Self

from skerry.native.memory import SharedMemory
from skerry.native.raw import Owner, adopt, check, ffi, lib, new_error


class Snapshot(Owner):
    """A program that has started, frozen where it waits for requests."""

    _close = lib.skerry_snapshot_close

    def export(self) -> tuple[bytes, int]:
        """What it is, and its memory's descriptor, for another process; the descriptor
        stays this object's own."""
        data = ffi.new("char[]", lib.skerry_snapshot_size(self.raw))
        fd = lib.skerry_snapshot_export(self.raw, data)
        return bytes(ffi.buffer(data)), fd

    @classmethod
    def attach(cls, data: bytes, fd: int, shared: SharedMemory | None) -> Self:
        """What export() gave to another process; takes (fd) over."""
        out, error = ffi.new("struct skerry_snapshot **"), new_error()
        raw = shared.raw if shared else ffi.NULL
        code = lib.skerry_snapshot_import(data, len(data), fd, raw, out, error)
        check(code, error)
        return adopt(cls, out[0])

    def files(self) -> list[int]:
        """Descriptors of the files that start-up has opened; they stay its own."""
        return files_of(self.raw)

    def adopt_files(self, opener: int, fds: Sequence[int]) -> None:
        """What files() gave to another process, and where to ask for more, or -1;
        takes all over."""
        give_files(self.raw, opener, fds)

    def change_opener(self, opener: int) -> None:
        """Its machines ask (opener) for files from now on, or nobody if that is -1; it
        stays the caller's."""
        files = [os.dup(fd) for fd in self.files()]
        self.adopt_files(opener if opener < 0 else os.dup(opener), files)

    @property
    def unknown_syscalls(self) -> int:
        """Calls of system calls that skerry does not have."""
        return int(lib.skerry_unknown_syscalls(self.raw))

    @property
    def takes_pieces(self) -> bool:
        """A body goes to the program piece by piece, while it arrives."""
        return bool(lib.skerry_takes_pieces(self.raw))

    @property
    def body_limit(self) -> int:
        """Bytes of the largest request body that the program can take."""
        return int(lib.skerry_body_limit(self.raw))


def files_of(raw: Any) -> list[int]:
    """Of a snapshot: see Snapshot.files()."""
    fds = ffi.new("int[]", lib.SKERRY_FILES)
    count = lib.skerry_snapshot_files(raw, fds)
    return list(fds[0:count])


def give_files(raw: Any, opener: int, fds: Sequence[int]) -> None:
    """To a snapshot: see Snapshot.adopt_files()."""
    error = new_error()
    code = lib.skerry_snapshot_adopt(raw, opener, list(fds), len(fds), error)
    check(code, error)
