"""How far a download is, for somebody who waits at a terminal."""

from skerry.log import Log

_MB = 1 << 20
_WIDTH = 24  # of the bar
_ALL = 79  # of a line


class Bar:
    """A line of (log) that changes; the one that is told of last is shown."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._is_shown = False

    def show(self, name: str, done: int, size: int | None) -> None:
        """(done) bytes have come for program (name), of (size) if that is known."""
        self._log.progress(line(name, done, size).ljust(_ALL))
        self._is_shown = True

    def clear(self) -> None:
        """Makes room for another line."""
        if self._is_shown:
            self._log.progress(" " * _ALL)
            self._is_shown = False


def line(name: str, done: int, size: int | None) -> str:
    if not size or done > size:
        return f"fetching {name[:20]}: {done / _MB:.1f} MB"
    full = _WIDTH * done // size
    drawn = "#" * full + "." * (_WIDTH - full)
    return f"fetching {name[:20]}: [{drawn}] {done / _MB:.1f} of {size / _MB:.1f} MB"
