"""Who called whom in a machine that has failed.

What was compiled with -O2 keeps no frame pointers, but says in .eh_frame where callers'
registers are (DWARF 5, 6.4; the x86-64 psABI numbers the registers). Code that says
nothing is most likely assembly that has pushed nothing, or has a frame pointer.
"""

from collections.abc import Iterator
from typing import Any

from elftools.dwarf.callframe import FDE, RegisterRule
from elftools.elf.elffile import ELFFile

from skerry.native import Registers, Remains
from skerry.symbols import PIE_BASE

MOST_FRAMES = 64
_RBP, _RSP, _RETURN = 6, 7, 16  # DWARF's numbers; 16 is the return address
_TRAMPOLINE = range(0x6000, 0x7000)  # the host's own: it has called the program
_WORD = 8

State = dict[int, int]  # registers by number; _RETURN is where it is


def bias_of(elf: ELFFile) -> int:
    """What to add to the addresses in (elf)."""
    return PIE_BASE if elf["e_type"] == "ET_DYN" else 0


class Unwinder:
    """Finds callers in (remains) of a program by the tables in (elf)."""

    def __init__(self, elf: ELFFile, remains: Remains) -> None:
        self._remains = remains
        self._bias = bias_of(elf)
        dwarf = elf.get_dwarf_info(follow_links=False)
        entries = dwarf.EH_CFI_entries() if dwarf.has_EH_CFI() else []
        self._entries = [each for each in entries if isinstance(each, FDE)]

    def walk(self, registers: Registers) -> Iterator[int]:
        """Addresses, the innermost first; those of callers are where they go on."""
        general = dict(enumerate(registers.general))
        state: State | None = general | {_RETURN: registers.rip}
        for depth in range(MOST_FRAMES):
            if state is None or state[_RETURN] in _TRAMPOLINE:
                return
            if depth and not state[_RETURN]:
                return
            yield state[_RETURN]
            state = self._caller(state, depth)

    def _caller(self, state: State, depth: int) -> State | None:
        # The instruction behind a call may be another function's.
        at = state[_RETURN] - self._bias - (1 if depth else 0)
        for entry in self._entries:
            begin = entry.header["initial_location"]
            if begin <= at < begin + entry.header["address_range"]:
                return self._by_table(state, entry, at)
        return self._by_pointer(state, depth)

    def _by_table(self, state: State, entry: FDE, at: int) -> State | None:
        rows = [row for row in entry.get_decoded().table if row["pc"] <= at]
        rule = rows[-1]["cfa"] if rows else None
        if rule is None or rule.reg is None:
            return None  # an expression: code that switches stacks
        frame = state.get(rule.reg, 0) + rule.offset
        caller = state | {_RSP: frame}
        for register, how in rows[-1].items():
            if isinstance(register, int):
                value = self._value(how, frame)
                if value is None:
                    return None
                caller[register] = value if value >= 0 else state.get(register, 0)
        return caller if _RETURN in rows[-1] else None

    def _value(self, how: Any, frame: int) -> int | None:
        """A register of the caller; -1: as it is; None: nobody knows."""
        if how.type == RegisterRule.OFFSET:
            return self._word(frame + how.arg)
        if how.type == RegisterRule.SAME_VALUE:
            return -1
        return None

    def _by_pointer(self, state: State, depth: int) -> State | None:
        top = state[_RSP]
        inner = None if depth else self._word(top)
        if inner is not None and self._is_known(inner):
            return state | {_RETURN: inner, _RSP: top + _WORD}
        base = state[_RBP]
        back, saved = self._word(base + _WORD), self._word(base)
        if back is None or saved is None or not self._is_known(back):
            return None
        return state | {_RETURN: back, _RBP: saved, _RSP: base + 2 * _WORD}

    def _is_known(self, address: int) -> bool:
        """Whether a call may have left (address) behind."""
        at = address - self._bias - 1
        return address in _TRAMPOLINE or any(
            begin <= at < begin + each.header["address_range"]
            for each in self._entries
            for begin in (each.header["initial_location"],)
        )

    def _word(self, address: int) -> int | None:
        data = self._remains.read(address, _WORD)
        return None if data is None else int.from_bytes(data, "little")
