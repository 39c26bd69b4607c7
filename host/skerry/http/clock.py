"""The time, as often as it is worth looking: once a tick, not once a request."""

import time
from email.utils import formatdate
from http import HTTPStatus

_REASONS = {int(status): status.phrase for status in HTTPStatus}


class Clock:
    """Holds the monotonic time of the last tick, and the Date header for it."""

    __slots__ = ("_second", "date", "now", "starts")

    def __init__(self) -> None:
        self._second = -1
        self.tick()

    def tick(self) -> None:
        """Looks at the clocks of the system."""
        self.now = time.monotonic()
        second = int(time.time())
        if second != self._second:
            self._second = second
            self.date = b"Date: %b\r\n" % formatdate(second, usegmt=True).encode()
            self.starts = Starts(self.date)


class Starts(dict[int, bytes]):
    """status -> how its responses start: status line, Date and Server; made on use."""

    def __init__(self, date: bytes) -> None:
        self._date = date

    def __missing__(self, status: int) -> bytes:
        self[status] = start = status_line(status) + self._date + SERVER
        return start


SERVER = b"Server: skerry\r\n"


def status_line(status: int) -> bytes:
    """The status line; a status that has no name keeps the space before it."""
    if not 200 <= status <= 999:
        raise ValueError(f"a response cannot have the status {status}")
    return f"HTTP/1.1 {status} {_REASONS.get(status, '')}\r\n".encode()
