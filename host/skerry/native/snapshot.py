"""A program that waits for requests, frozen."""

from typing import Self

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
