"""A response as the bytes that go out."""

from functools import lru_cache

from skerry.http.clock import SERVER, Clock, status_line
from skerry.message import Response

_DEFAULT_TYPE = b"Content-Type: application/octet-stream\r\n"
_BODILESS = frozenset((204, 304))


def render(response: Response, clock: Clock, connection: bytes, is_head: bool) -> bytes:
    """All of (response), with the line (connection); a HEAD gets no body."""
    status, head, body = response.status, response.head, response.body
    if response.has_date or response.has_server:
        start = _own_start(response, clock)
    else:
        start = clock.starts[status]
    if not response.has_content_type:
        head += _DEFAULT_TYPE
    if status in _BODILESS:
        return b"".join((start, head, connection, b"\r\n"))
    length = _length_line(len(body))
    if is_head:
        body = b""
    return b"".join((start, head, connection, length, body))


@lru_cache(1024)
def _length_line(size: int) -> bytes:
    """The last header and the end of the head."""
    return b"Content-Length: %d\r\n\r\n" % size


def _own_start(response: Response, clock: Clock) -> bytes:
    """The start for a response that brings a Date or a Server of its own."""
    date = b"" if response.has_date else clock.date
    server = b"" if response.has_server else SERVER
    return status_line(response.status) + date + server
