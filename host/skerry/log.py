"""What the operator sees: one line an event."""

import sys
from typing import TextIO

from skerry.native import Stream

_UNPRINTABLE = "\N{REPLACEMENT CHARACTER}"


class Log:
    """Writes lines to (out); what programs print, with their name before it."""

    def __init__(self, out: TextIO = sys.stdout) -> None:
        self._out = out

    def info(self, text: str) -> None:
        """A line of the host's own."""
        self._write(text)

    def problem(self, text: str) -> None:
        """A line about something that went wrong."""
        self._write(f"error: {text}")

    def program(self, name: str, stream: Stream, text: str) -> None:
        """A line that program (name) has printed, or that is about it."""
        mark = ">>> " if stream != Stream.HOST else ""
        self._write(f"{mark}[{name}] {printable(text)}")

    def _write(self, text: str) -> None:
        self._out.write(text + "\n")
        self._out.flush()


def printable(text: str) -> str:
    """(text) without what could steer a terminal."""
    return "".join(c if c.isprintable() or c == "\t" else _UNPRINTABLE for c in text)
