"""Which instructions a program needs, and which this machine has: the levels of the
x86-64 psABI, 1 to 4."""

import struct
from pathlib import Path

from elftools.elf.elffile import ELFFile

_NEEDED = 0xC0008002  # GNU_PROPERTY_X86_ISA_1_NEEDED
_GNU_PROPERTY = 5  # NT_GNU_PROPERTY_TYPE_0
_CPUINFO = Path("/proc/cpuinfo")

# What the levels above the first have, as /proc/cpuinfo calls it.
_FLAGS = {
    2: "cx16 lahf_lm popcnt pni sse4_1 sse4_2 ssse3",
    3: "avx avx2 bmi1 bmi2 f16c fma abm movbe xsave",
    4: "avx512f avx512bw avx512cd avx512dq avx512vl",
}


def level_of_machine(cpuinfo: Path = _CPUINFO) -> int:
    """The highest that this machine has whole."""
    line = next(
        (each for each in cpuinfo.read_text().splitlines() if each.startswith("flags")),
        "",
    )
    flags, level = set(line.partition(":")[2].split()), 1
    while level < 4 and set(_FLAGS[level + 1].split()) <= flags:
        level += 1
    return level


def level_of_program(elf: ELFFile) -> int:
    """What its notes say that it needs; 1 if they say nothing."""
    level = 1
    for segment in elf.iter_segments("PT_NOTE"):
        for kind, value in _properties(segment.data()):
            if kind == _NEEDED and len(value) == 4:
                level = max(level, struct.unpack("<I", value)[0].bit_length())
    return level


def _properties(notes: bytes) -> list[tuple[int, bytes]]:
    """(kind, value) of all GNU properties in (notes)."""
    found, at = [], 0
    while at + 12 <= len(notes):
        name_size, size, kind = struct.unpack_from("<III", notes, at)
        begin = at + 12 + _round(name_size, 4)
        if kind == _GNU_PROPERTY and notes[at + 12 : at + 16] == b"GNU\0":
            found += _values(notes[begin : begin + size])
        at = begin + _round(size, 4)
    return found


def _values(data: bytes) -> list[tuple[int, bytes]]:
    found, at = [], 0
    while at + 8 <= len(data):
        kind, size = struct.unpack_from("<II", data, at)
        found.append((kind, data[at + 8 : at + 8 + size]))
        at += 8 + _round(size, 8)
    return found


def _round(size: int, unit: int) -> int:
    return -(-size // unit) * unit
