"""A machine that has failed, to be looked at."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

from skerry.native.failure import text_of
from skerry.native.raw import Owner, check, ffi, lib, new_error

READ, WRITE, EXECUTE = 1, 2, 4  # what a Range may be used for


@dataclass(frozen=True, slots=True)
class Registers:
    """What thread (tid) had in them. (general) as DWARF numbers them: rax, rdx, rcx,
    rbx, rsi, rdi, rbp, rsp, r8 to r15; (fxsave): x87 and SSE."""

    tid: int
    general: tuple[int, ...]
    rip: int
    rflags: int
    fs_base: int
    gs_base: int
    fxsave: bytes


@dataclass(frozen=True, slots=True)
class Range:
    """Pages from (begin) to (end), not included, that allow the same (access)."""

    begin: int
    end: int
    access: int


class Remains(Owner):
    """Registers and memory, as they were when the program failed."""

    _close = lib.skerry_remains_close

    @property
    def reason(self) -> str:
        """Why it has failed."""
        return text_of(lib.skerry_remains_reason(self.raw))

    def registers(self) -> Registers:
        """Those of the thread that has failed."""
        return next(self.threads())

    def threads(self) -> Iterator[Registers]:
        """Those of all threads, from that which has failed on."""
        for i in count():
            raw = lib.skerry_remains_registers(self.raw, i)
            if not raw:
                return
            yield self._registers(raw)

    def _registers(self, raw: Any) -> Registers:
        return Registers(
            tid=raw.tid,
            general=tuple(raw.general),
            rip=raw.rip,
            rflags=raw.rflags,
            fs_base=raw.fs_base,
            gs_base=raw.gs_base,
            fxsave=bytes(ffi.buffer(raw.fxsave)),
        )

    def read(self, address: int, size: int) -> bytes | None:
        """(size) bytes at (address), or None if the program might not read them."""
        if not 0 <= address < 1 << 64:
            return None
        data = ffi.new("char[]", size)
        code = lib.skerry_remains_read(self.raw, address, data, size)
        return None if code < 0 else bytes(ffi.buffer(data))

    def ranges(self) -> Iterator[Range]:
        """The memory that the program has used, from the lowest address on."""
        found = ffi.new("struct skerry_range *")
        while lib.skerry_remains_next(self.raw, found.end, found):
            yield Range(found.begin, found.end, found.access)


def remains_of(vm: Any) -> Remains:
    """Those of C's (vm), whose request has failed and waits to go on."""
    out, error = ffi.new("struct skerry_remains **"), new_error()
    check(lib.skerry_vm_remains(vm, out, error), error)
    return Remains(out[0])
