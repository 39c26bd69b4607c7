"""What programs print."""

import enum

from skerry.native.raw import Owner, ffi, lib

_LINE = 1024


class Stream(enum.IntEnum):
    """Where a line of a program comes from."""

    STDOUT = lib.SKERRY_LINE_STDOUT
    STDERR = lib.SKERRY_LINE_STDERR
    LOG = lib.SKERRY_LINE_LOG
    HOST = lib.SKERRY_LINE_HOST


class Console(Owner):
    """The lines that a program has printed, waiting to be taken."""

    _close = lib.skerry_console_close

    def __init__(self) -> None:
        super().__init__(lib.skerry_console_open())
        self._line = ffi.new("char[]", _LINE)
        self._kind = ffi.new("int *")

    def pass_on(self) -> None:
        """From now on what is printed goes to standard output and error, as it is."""
        lib.skerry_console_pass(self.raw)

    def take(self) -> list[tuple[Stream, str]]:
        """All lines so far, oldest first."""
        lines = []
        while (line := self._take()) is not None:
            lines.append(line)
        return lines

    def _take(self) -> tuple[Stream, str] | None:
        size = lib.skerry_console_take(self.raw, self._line, _LINE, self._kind)
        if size < 0:
            return None
        text = ffi.unpack(self._line, size).decode("utf-8", "replace")
        return Stream(self._kind[0]), text
