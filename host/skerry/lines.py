"""Which line of which file an instruction has been made of (DWARF 5, 6.2)."""

from collections.abc import Iterable, Iterator
from typing import Any

from elftools.elf.elffile import ELFFile


def find_lines(elf: ELFFile, addresses: Iterable[int]) -> dict[int, str]:
    """ "file.c:12" of each of (addresses) that the debug information of (elf) knows."""
    wanted = set(addresses)
    found: dict[int, str] = {}
    if not elf.has_dwarf_info() or not wanted:
        return found
    dwarf = elf.get_dwarf_info(follow_links=False)
    for unit in dwarf.iter_CUs():
        program = dwarf.line_program_for_CU(unit)
        for begin, end, file, line in _rows(program) if program else ():
            for address in [each for each in wanted if begin <= each < end]:
                found[address] = f"{_name(program, file)}:{line}"
    return found


def _rows(program: Any) -> Iterator[tuple[int, int, int, int]]:
    """First address, the one behind the last, file and line."""
    before = None
    for entry in program.get_entries():
        state = entry.state
        if state is None:
            continue
        if before and state.address > before.address:
            yield before.address, state.address, before.file, before.line
        before = None if state.end_sequence else state


def _name(program: Any, file: int) -> str:
    """Version 5 counts files from 0, those before it from 1."""
    index = file if program["version"] >= 5 else file - 1
    files = program["file_entry"]
    if not 0 <= index < len(files):
        return "?"
    name: bytes = files[index].name
    return name.decode("utf-8", "replace")
