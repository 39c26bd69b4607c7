"""Which system calls programs may make, and how far each is served."""

import enum
from dataclasses import dataclass
from functools import cache

from skerry.native.raw import ffi, lib


class Status(enum.Enum):
    """How far a system call is served."""

    FULL = "full"
    PARTIAL = "partial"
    REFUSED = "refused"
    UNKNOWN = "unknown"


_STATUSES = {
    lib.SKERRY_SERVED: Status.FULL,
    lib.SKERRY_PARTLY: Status.PARTIAL,
    lib.SKERRY_REFUSED: Status.REFUSED,
    lib.SKERRY_UNKNOWN: Status.UNKNOWN,
}


@dataclass(frozen=True, slots=True)
class Syscall:
    """One of Linux's system calls. Not (answered): ENOSYS."""

    number: int
    name: str
    status: Status
    note: str
    answered: bool


@cache
def syscalls() -> dict[int, Syscall]:
    """All of x86-64, by number, in order."""
    raw, found = ffi.new("struct skerry_syscall *"), {}
    number = 0
    while lib.skerry_syscall(number, raw) == 0:
        name, note = ffi.string(raw.name).decode(), ffi.string(raw.note).decode()
        if name != "unnamed":
            status = _STATUSES[raw.status]
            found[number] = Syscall(number, name, status, note, bool(raw.answered))
        number += 1
    return found
