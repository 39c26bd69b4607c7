"""What the operator sees: one line an event."""

import functools
import os
import sys
from io import TextIOWrapper
from typing import TextIO

from skerry.native import Stream

_UNPRINTABLE = "\N{REPLACEMENT CHARACTER}"


class Log:
    """Writes lines to (out); what programs print, with their name before it.

    A line that cannot be written is lost, and a character that (out) does not have is
    escaped: no request fails because of its log.
    """

    def __init__(self, out: TextIO = sys.stdout) -> None:
        self._out = out
        self._said: set[str] = set()
        if isinstance(out, TextIOWrapper):
            out.reconfigure(errors="backslashreplace")

    def info(self, text: str) -> None:
        """A line of the host's own."""
        self._write(text)

    def once(self, text: str) -> None:
        """The same, unless it has been said already."""
        if text not in self._said:
            self._said.add(text)
            self.info(text)

    def problem(self, text: str) -> None:
        """A line about something that went wrong."""
        self._write(f"error: {text}")

    def progress(self, text: str) -> None:
        """A line for somebody who waits at a terminal; the next one takes its place."""
        if self._out.isatty():
            self._write(text, end="\r")

    def program(self, name: str, stream: Stream, text: str) -> None:
        """A line that program (name) has printed, or that is about it."""
        mark = ">>> " if stream != Stream.HOST else ""
        self._write(f"{mark}[{name}] {printable(text)}")

    def _write(self, text: str, end: str = "\n") -> None:
        try:
            self._out.write(text + end)
            self._out.flush()
        except BrokenPipeError:
            self._discard()
        except OSError:
            pass  # a full disk, say: it may have room again

    def _discard(self) -> None:
        """Nobody reads (out) any more. Without this, Python's own flush at its end
        would fail, and so would the exit status."""
        os.dup2(nowhere(), self._out.fileno())


@functools.cache
def nowhere() -> int:
    """A descriptor that takes everything. Opened once, as a jail opens no files."""
    return os.open(os.devnull, os.O_WRONLY)


def printable(text: str) -> str:
    """(text) without what could steer a terminal."""
    return "".join(c if c.isprintable() or c == "\t" else _UNPRINTABLE for c in text)
