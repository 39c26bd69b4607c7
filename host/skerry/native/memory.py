"""Memory that all machines of a program share."""

from typing import Self

from skerry.native.raw import Owner, adopt, check, ffi, lib, new_error


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
        out, error = ffi.new("struct skerry_shm **"), new_error()
        check(lib.skerry_shm_import(fd, size, out, error), error)
        return adopt(cls, out[0])
