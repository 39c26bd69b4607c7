"""A response as the bytes that go out."""

from skerry.http.clock import SERVER, Clock, status_line
from skerry.message import Response


def render(response: Response, clock: Clock, lines: bytes, is_head: bool) -> bytes:
    """All of (response), with (lines) of the connection; a HEAD gets no body."""
    rest = response.rest
    if is_head:
        rest = rest[: response.body_at]
    if response.has:
        return b"".join((_own_start(response, clock), lines, rest))
    return b"".join((clock.starts[response.status], lines, rest))


def _own_start(response: Response, clock: Clock) -> bytes:
    """The start for a response that brings a Date or a Server of its own."""
    date = b"" if response.has & Response.HAS_DATE else clock.date
    server = b"" if response.has & Response.HAS_SERVER else SERVER
    return status_line(response.status) + date + server
