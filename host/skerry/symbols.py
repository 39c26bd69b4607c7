"""What the functions of a program are called, by address: for people who read logs.

The table is made where the program's file is, and travels to the processes that serve,
which open no files: packed, as most of them never look at it. The file is a stranger:
nothing in it makes the table large, or its reading long.
"""

import re
import struct
import zlib

from skerry.demangle import demangle

PIE_BASE = 0x400000  # where a static-PIE is loaded
MOST_SYMBOLS = 1 << 18
MOST_NAMES = 8 << 20  # bytes
MOST_NAME = 512
_REMEMBERED = 256  # addresses
_HEADER = struct.Struct("<16xHHIQQQIHHHHHH")  # Elf64_Ehdr
_SECTION = struct.Struct("<IIQQQQIIQQ")  # Elf64_Shdr
_SYMBOL = struct.Struct("<IBBHQQ")  # Elf64_Sym
_SYMTAB = 2
_DYNAMIC = 3  # ET_DYN
# A symbol that is a function (STT_FUNC, STT_GNU_IFUNC) in some section. A pattern finds
# them in a tenth of a loop's time: programs wait for it.
_FUNCTION = re.compile(rb"(?s:(....[\x02\x0a\x12\x1a\x22\x2a].(?!\0\0).{18})|.{24})")
_PACKED = struct.Struct("<QQ")  # bytes of the records, and what to add to addresses
_PLACE = re.compile(r" at 0x([0-9a-f]{1,16})\b")
_STORAGE = re.compile(r"(storage (?:function|call:) )0x([0-9a-f]{1,16})\b")


class Symbols:
    """The functions of a program; (packed) is what read_symbols() has returned."""

    def __init__(self, packed: bytes) -> None:
        self.packed = packed
        self._found: dict[int, tuple[str, int] | None] = {}

    def find(self, address: int) -> tuple[str, int] | None:
        """The function at (address), and how far into it that is."""
        if len(self._found) >= _REMEMBERED:
            self._found.clear()
        if address not in self._found:
            self._found[address] = _search(self.packed, address)
        return self._found[address]

    def place(self, address: int) -> str:
        """ " in function+0x12", or "" where nobody knows."""
        found = self.find(address)
        return f" in {found[0]}+{found[1]:#x}" if found else ""

    def is_glue(self, address: int) -> bool:
        """Whether (address) is in what our header makes all host calls with, which
        tells nobody where a program was."""
        found = self.find(address)
        return found is not None and found[0].startswith("kvm_api_call")

    def explain(self, text: str, rip: int = 0) -> str:
        """(text) of the core with names beside its addresses; where it has none, with
        the place (rip) if that is not 0."""
        if rip and not _PLACE.search(text):
            return _STORAGE.sub(self._name, text) + self.place(rip)
        text = _STORAGE.sub(self._name, text)
        return _PLACE.sub(lambda at: at[0] + self.place(int(at[1], 16)), text)

    def _name(self, number: re.Match[str]) -> str:
        found = self.find(int(number[2], 16))
        return number[1] + found[0] if found else number[0]


def read_symbols(elf: bytes) -> bytes:
    """The packed table of the functions in (elf); b"" if it has none."""
    try:
        table, names, bias = _sections(elf)
    except (struct.error, OverflowError):
        return b""  # its headers point outside of it
    whole = min(len(table) // _SYMBOL.size, MOST_SYMBOLS) * _SYMBOL.size
    records = b"".join(_FUNCTION.findall(table[:whole]))
    parts = _PACKED.pack(len(records), bias), records, names[:MOST_NAMES]
    return zlib.compress(b"".join(parts), 1) if records else b""


def _sections(elf: bytes) -> tuple[bytes, bytes, int]:
    """The symbols of (elf), their names, and what to add to their addresses."""
    header = _HEADER.unpack_from(elf)
    kind, at, width, count = header[0], header[5], header[10], header[11]
    bias = PIE_BASE if kind == _DYNAMIC else 0
    for index in range(count if width == _SECTION.size else 0):
        section = _SECTION.unpack_from(elf, at + index * width)
        if section[1] == _SYMTAB and section[6] < count:
            names = _SECTION.unpack_from(elf, at + section[6] * width)
            return _content(elf, section), _content(elf, names), bias
    return b"", b"", bias


def _content(elf: bytes, section: tuple[int, ...]) -> bytes:
    """What it has in the file; empty if it lies outside of it."""
    return elf[section[4] : section[4] + section[5]]


def _search(packed: bytes, address: int) -> tuple[str, int] | None:
    """The function at (address): the one that begins last, if some lie in others."""
    if not packed:
        return None
    data = zlib.decompress(packed)
    length, bias = _PACKED.unpack_from(data)
    records, names = data[_PACKED.size :][:length], data[_PACKED.size + length :]
    inside = address - bias
    begin, at = max(
        (
            (each[4], each[0])
            for each in _SYMBOL.iter_unpack(records)
            if each[4] <= inside < each[4] + (each[5] or 1)
        ),
        default=(0, -1),
    )
    if at < 0:
        return None
    name = names[at : at + MOST_NAME].partition(b"\0")[0]
    return demangle(name.decode("utf-8", "replace")), inside - begin
