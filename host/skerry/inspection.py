"""What can be told of a program from its file alone: what keeps it from running in a
guest, and what may."""

import io
from dataclasses import dataclass, field
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.construct import ConstructError
from elftools.elf.elffile import ELFFile

from skerry.levels import level_of_machine, level_of_program
from skerry.native import NativeError, check_program
from skerry.needed import missing

_HOST_CALL = b"\xe7\x00"  # out 0, eax
_WAITS = (b"\x01\x00\x01\x00", b"\x02\x00\x01\x00")  # KVM_API_WAIT_FOR_REQUESTS*
_EXECUTE = 1  # PF_X
# What tables that are not as they should be may lead to.
_BROKEN = (ELFError, ConstructError, LookupError, ValueError, TypeError, OSError)


@dataclass(slots=True)
class Found:
    """(problems): it will not run. (warnings): it may not do what is expected."""

    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def inspect(path: Path, data: bytes, max_memory: int) -> Found:
    """Looks at program (path) with content (data), for (max_memory) bytes."""
    found = Found()
    try:
        check_program(data, max_memory)
    except NativeError as error:
        found.problems.append(error.reason)
    try:
        _look(path, ELFFile(io.BytesIO(data)), found)
    except _BROKEN as error:
        if not found.problems:
            found.problems.append(f"its tables cannot be read: {error}")
    return found


def _look(path: Path, elf: ELFFile, found: Found) -> None:
    if elf.elfclass != 64 or elf.header.e_machine != "EM_X86_64":
        return
    found.problems += [
        f"{name} is not on this machine: install it, or link with -static"
        for name in missing(path, elf)
    ]
    needed, has = level_of_program(elf), level_of_machine()
    if needed > has:
        found.problems.append(
            f"needs the instructions of x86-64-v{needed}, and this machine has those "
            f"of x86-64-v{has}: compile with -march=x86-64-v{has}"
        )
    for segment in elf.iter_segments("PT_GNU_STACK"):
        if segment.header.p_flags & _EXECUTE:
            found.warnings.append(
                "has an executable stack, where whoever overruns a buffer may put "
                "code: avoid nested functions in C, and end assembly with "
                ".note.GNU-stack"
            )
    if not _waits(elf):
        found.warnings.append(
            "never waits for requests: include kvm_api.h, and call "
            "wait_for_requests(); or run it with skerry run --plain"
        )


def _waits(elf: ELFFile) -> bool:
    """Its code has the instruction of host calls, and the number of the one that waits.
    By chance that may be true of one that does not wait."""
    code = b"".join(
        segment.data()
        for segment in elf.iter_segments("PT_LOAD")
        if segment.header.p_flags & _EXECUTE
    )
    return _HOST_CALL in code and any(number in code for number in _WAITS)
