"""The core file of a machine that has failed, for gdb PROGRAM FILE.

It is as Linux writes them: gABI, chapter 5; the notes have the layout of struct
elf_prstatus, elf_prpsinfo and user_fpregs_struct of x86-64."""

import os
import signal
import struct
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from elftools.elf.elffile import ELFFile

from skerry.native import Range, Registers, Remains
from skerry.native.remains import EXECUTE, READ, WRITE
from skerry.unwind import bias_of

_EHDR = struct.Struct("<4sBBB9xHHIQQQIHHHHHH")
_PHDR = struct.Struct("<IIQQQQQQ")
_PRSTATUS = struct.Struct("<iii hxx QQ iiii 64x 27Q i4x")
_PRPSINFO = struct.Struct("<bbbb4x QII iiii 16s80s")
_NOTE = struct.Struct("<III8s")
_ET_CORE, _X86_64, _PT_LOAD, _PT_NOTE = 4, 62, 1, 4
_PF = {READ: 4, WRITE: 2, EXECUTE: 1}
_AT = {"PHDR": 3, "PHENT": 4, "PHNUM": 5, "PAGESZ": 6, "ENTRY": 9}
_MOST_RANGES = 60000  # a file has at most 65535 headers
_PAGE, _PIECE = 4096, 1 << 20
_USER_CODE, _USER_DATA = 0x2B, 0x23
_SIGNALS = {  # how the reason begins, as Linux would have told the program
    "page fault": signal.SIGSEGV,
    "general protection": signal.SIGSEGV,
    "stack fault": signal.SIGBUS,
    "division": signal.SIGFPE,
    "x87": signal.SIGFPE,
    "SIMD": signal.SIGFPE,
    "illegal": signal.SIGILL,
    "breakpoint": signal.SIGTRAP,
    "time limit": signal.SIGXCPU,
}


def write_core(path: Path, elf: ELFFile, remains: Remains, name: str) -> None:
    """Writes (path), all of it or nothing. OSError if that fails."""
    made = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        with made.open("wb") as out:
            _write(out, elf, remains, name)
        made.replace(path)
    except BaseException:
        with suppress(OSError):
            made.unlink()
        raise


def _write(out: BinaryIO, elf: ELFFile, remains: Remains, name: str) -> None:
    ranges = list(islice(remains.ranges(), _MOST_RANGES))
    notes = b"".join(_notes(elf, remains, name))
    count = 1 + len(ranges)
    at = _EHDR.size + count * _PHDR.size
    out.write(_header(count))
    out.write(_PHDR.pack(_PT_NOTE, 0, at, 0, 0, len(notes), 0, 4))
    at = -(-(at + len(notes)) // _PAGE) * _PAGE
    for each in ranges:
        size = each.end - each.begin
        flags = sum(flag for bit, flag in _PF.items() if each.access & bit)
        out.write(_PHDR.pack(_PT_LOAD, flags, at, each.begin, 0, size, size, _PAGE))
        at += size
    out.write(notes)
    out.seek(-(-out.tell() // _PAGE) * _PAGE)
    for each in ranges:
        out.writelines(_pieces(remains, each))


def _header(count: int) -> bytes:
    return _EHDR.pack(
        *(b"\x7fELF", 2, 1, 1, _ET_CORE, _X86_64, 1, 0, _EHDR.size, 0, 0),
        *(_EHDR.size, _PHDR.size, count, 0, 0, 0),
    )


def _pieces(remains: Remains, pages: Range) -> Iterator[bytes]:
    for at in range(pages.begin, pages.end, _PIECE):
        size = min(_PIECE, pages.end - at)
        yield remains.read(at, size) or bytes(size)


def _notes(elf: ELFFile, remains: Remains, name: str) -> Iterator[bytes]:
    """Those of the process stand behind the status of its first thread."""
    failed, *others = remains.threads()
    short = name.encode()
    yield _note(1, _status(failed, _signal_of(remains.reason)))
    yield _note(3, _PRPSINFO.pack(0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 1, short[:15], short))
    yield _note(6, _auxiliary(elf))
    yield _note(2, failed.fxsave)
    for each in others:
        yield _note(1, _status(each, 0))
        yield _note(2, each.fxsave)


def _note(kind: int, content: bytes) -> bytes:
    return _NOTE.pack(5, len(content), kind, b"CORE") + content


def _signal_of(reason: str) -> int:
    for begin, number in _SIGNALS.items():
        if reason.startswith(begin):
            return number
    return signal.SIGABRT


def _status(r: Registers, number: int) -> bytes:
    rax, rdx, rcx, rbx, rsi, rdi, rbp, rsp, *rest = r.general
    r8, r9, r10, r11, r12, r13, r14, r15 = rest
    general = (r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi)
    no_call = (1 << 64) - 1  # orig_rax
    special = (no_call, r.rip, _USER_CODE, r.rflags, rsp, _USER_DATA)
    segments = (r.fs_base, r.gs_base, 0, 0, 0, 0)
    return _PRSTATUS.pack(
        *(number, 0, 0, number, 0, 0, r.tid, 0, 1, 1), *general, *special, *segments, 1
    )


def _auxiliary(elf: ELFFile) -> bytes:
    """By its entry gdb finds where a static-PIE has been loaded."""
    bias, offset = bias_of(elf), elf["e_phoff"]
    headers = [
        segment["p_vaddr"] + offset - segment["p_offset"] + bias
        for segment in elf.iter_segments("PT_LOAD")
        if segment["p_offset"] <= offset < segment["p_offset"] + segment["p_filesz"]
    ]
    values = {
        "PHDR": headers[0] if headers else 0,
        "PHENT": elf["e_phentsize"],
        "PHNUM": elf["e_phnum"],
        "PAGESZ": _PAGE,
        "ENTRY": elf["e_entry"] + bias,
    }
    pairs = [struct.pack("<QQ", _AT[key], value) for key, value in values.items()]
    return b"".join([*pairs, bytes(16)])
