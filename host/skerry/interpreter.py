"""Which dynamic linker a program names, if it names one: looked for before the program
is started, by a process that may open files. The file is a stranger; what a machine
makes of it is the core's affair (image.c)."""

import os
import struct

_HEADER = struct.Struct("<4s12xHHIQQQIHHHHHH")  # Elf64_Ehdr
_SEGMENT = struct.Struct("<IIQQQQQQ")  # Elf64_Phdr
_INTERP = 3
_LONGEST = 4096  # bytes of a path


def interpreter_of(fd: int) -> str | None:
    """The path that file (fd) has for its dynamic linker, or None: it is static, or no
    program."""
    try:
        header = _HEADER.unpack(os.pread(fd, _HEADER.size, 0))
        if header[0] != b"\x7fELF" or header[9] != _SEGMENT.size:
            return None
        table = os.pread(fd, header[10] * _SEGMENT.size, header[5])
        for segment in _SEGMENT.iter_unpack(table):
            if segment[0] == _INTERP:
                path = os.pread(fd, min(segment[5], _LONGEST), segment[2])
                return os.fsdecode(path.split(b"\0")[0])
    except (OSError, OverflowError, struct.error):
        pass  # what it says of itself lies outside of it, or it is a pipe
    return None
