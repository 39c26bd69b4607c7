"""What skerry run tells of a program that fails: a backtrace, and a core file."""

from collections.abc import Iterator
from pathlib import Path

from elftools.common.exceptions import DWARFError, ELFError
from elftools.construct import ConstructError
from elftools.elf.elffile import ELFFile

from skerry.core import write_core
from skerry.lines import find_lines
from skerry.log import Log
from skerry.native import Remains
from skerry.symbols import Symbols, read_symbols
from skerry.unwind import Unwinder, bias_of

# What the tables of a file that is not as it should be may lead to.
_BROKEN = (
    ELFError,
    DWARFError,
    ConstructError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    NotImplementedError,
    OSError,
    TypeError,
    ValueError,
)


class Autopsy:
    """Looks at what is left of program (path), once it has failed; writes (core) if
    that is not None."""

    def __init__(self, path: Path, core: Path | None, log: Log) -> None:
        self._path = path
        self._core = core
        self._log = log

    def __call__(self, remains: Remains) -> None:
        self._log.info(f"{remains.reason}; backtrace, the innermost call first:")
        try:
            with self._path.open("rb") as file:
                for line in backtrace(file.read(), ELFFile(file), remains):
                    self._log.info(line)
        except _BROKEN as error:
            self._log.info(f"  no more is known: {error or type(error).__name__}")
        if self._core:
            self._write(self._core, remains)

    def _write(self, core: Path, remains: Remains) -> None:
        try:
            with self._path.open("rb") as file:
                write_core(core, ELFFile(file), remains, self._path.name)
        except _BROKEN as error:
            why = error.strerror if isinstance(error, OSError) else error
            self._log.problem(f"--core: cannot write {core}: {why}")
        else:
            self._log.info(f"core written: gdb {self._path} {core}")


def backtrace(data: bytes, elf: ELFFile, remains: Remains) -> Iterator[str]:
    """A line for each call that was going on; (data) is the content of (elf)."""
    symbols, bias = Symbols(read_symbols(data)), bias_of(elf)
    addresses = list(Unwinder(elf, remains).walk(remains.registers()))
    # A caller is at its call, the instruction before where it goes on.
    calls = [at - (1 if depth else 0) for depth, at in enumerate(addresses)]
    lines = find_lines(elf, [at - bias for at in calls])
    for depth, (address, call) in enumerate(zip(addresses, calls, strict=True)):
        found = symbols.find(call)
        name = f" in {found[0]}+{found[1] + address - call:#x}" if found else ""
        line = lines.get(call - bias)
        yield f"  #{depth:<2} {address:#018x}{name}{f' at {line}' if line else ''}"
