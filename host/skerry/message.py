"""One request and one response: what the HTTP side and the programs hand each other."""

from collections.abc import Awaitable
from typing import Protocol, Self

_BODILESS = frozenset((204, 304))
_LENGTH = b"Content-Length: "


class Client(Protocol):
    """Who has sent a request."""

    @property
    def is_gone(self) -> bool:
        """Has closed the connection, or at least its side of it: most likely nobody
        takes an answer any more."""

    def on_response(self, response: "Response | Awaitable[Response]") -> None:
        """The answer to a request that its handler has put off."""


class Request:
    """A request whose head and body have arrived and passed the HTTP rules.

    method        as sent, for example b"GET"
    target        path and query as sent; what an absolute-form target names
                  after its host; b"*" only for OPTIONS
    host          the Host header, or the host of an absolute-form target, with
                  its port if it has one; b"" if there is none
    headers       every header as b"Name: value\\r\\n", joined, in the order received,
                  X-Request-Id last; trailers of a chunked body are not among them
    content_type  the value of the first Content-Type header, or b""
    body          the whole body, chunks joined
    id_line       its header line X-Request-Id, which the response has too; set by the
                  server
    client        who gets an answer that its handler puts off; set by the server
    """

    __slots__ = (
        "body",
        "client",
        "content_type",
        "headers",
        "host",
        "id_line",
        "method",
        "target",
    )

    client: Client

    def __init__(
        self,
        method: bytes,
        target: bytes,
        host: bytes = b"",
        headers: bytes = b"",
        content_type: bytes = b"",
        body: bytes = b"",
    ) -> None:
        self.method = method
        self.target = target
        self.host = host
        self.headers = headers
        self.content_type = content_type
        self.body = body
        self.id_line = b""

    @property
    def id(self) -> str:
        """What it is called; "" for one that has not come by HTTP."""
        return self.id_line[len(b"X-Request-Id: ") : -2].decode("latin-1")

    def __repr__(self) -> str:
        line = (self.method + b" " + self.target).decode("latin-1")
        return f"<Request {line}, {len(self.body)} bytes of body>"


class Cut(Exception):
    """A body ends in the middle: who sends it is gone, or has failed. Who raises this
    has told why, if it is worth telling."""


class Arriving(Protocol):
    """A body on its way in."""

    @property
    def is_complete(self) -> bool:
        """All of it is here; what is not taken yet waits."""

    async def next(self) -> bytes:
        """What has come since the last time, as soon as there is something: b"" when
        there is no more. Raises Cut."""

    def take(self) -> bytes:
        """What is there and has not been taken."""


class Upload(Request):
    """A request whose head has arrived; (pieces) is the body, and (body) stays b""
    until somebody takes all of it at once."""

    __slots__ = ("pieces",)

    pieces: Arriving

    @classmethod
    def of(cls, request: Request) -> Self:
        """(request), before its body."""
        made = cls(
            request.method,
            request.target,
            request.host,
            request.headers,
            request.content_type,
        )
        made.id_line = request.id_line
        return made


class Response:
    """An answer: its status (200 to 999), and the rest of it as it goes out.

    rest is header lines that its maker has checked, with Content-Type and
    Content-Length, the empty line, and the body, which begins at body_at. has says
    which of the lines that the server adds are there already: HAS_DATE, HAS_SERVER.
    """

    __slots__ = ("body_at", "has", "rest", "status")

    HAS_DATE = 1
    HAS_SERVER = 2

    def __init__(self, status: int, rest: bytes, body_at: int, has: int = 0) -> None:
        self.status = status
        self.rest = rest
        self.body_at = body_at
        self.has = has

    @classmethod
    def make(cls, status: int, lines: bytes, body: bytes, has: int = 0) -> Self:
        """From header lines without Content-Length, and a body."""
        if status in _BODILESS:
            return cls(status, lines + b"\r\n", len(lines) + 2, has)
        head = b"%bContent-Length: %d\r\n\r\n" % (lines, len(body))
        return cls(status, head + body, len(head), has)

    @classmethod
    def text(cls, status: int, message: str, headers: bytes = b"") -> Self:
        """The host's own answer: (message) as UTF-8 text, (headers) as extra lines."""
        lines = b"Content-Type: text/plain; charset=utf-8\r\n" + headers
        return cls.make(status, lines, message.encode())

    @property
    def head(self) -> bytes:
        """The header lines, but for the Content-Length that comes last."""
        lines = self.rest[: self.body_at - 2]
        before, line_end, last = lines[:-2].rpartition(b"\r\n")
        return before + line_end if last.startswith(_LENGTH) else lines

    @property
    def body(self) -> bytes:
        """The body."""
        return self.rest[self.body_at :]

    def __repr__(self) -> str:
        return f"<Response {self.status}, {len(self.body)} bytes of body>"


class Source(Protocol):
    """Where the body of a streamed response comes from."""

    async def next(self) -> bytes:
        """The next piece, b"" after the last one. Raises Cut."""

    def close(self) -> None:
        """Nobody asks for more. May be called again."""


class Streamed(Response):
    """A response whose body, of (length) bytes, is fetched from (source) while the
    client takes it; length None: until the source ends. rest has the head only, with
    the Content-Length if the length is known. Who gets it has to close the source."""

    __slots__ = ("length", "source")

    def __init__(self, head: Response, length: int | None, source: Source) -> None:
        super().__init__(head.status, head.rest, head.body_at, head.has)
        self.length = length
        self.source = source

    async def whole(self, most: int) -> Response:
        """It with all of its body, or with a little more than (most) bytes of it, for
        one who takes no pieces. Raises Cut."""
        pieces: list[bytes] = []
        size = 0
        try:
            while size <= most and (piece := await self.source.next()):
                pieces.append(piece)
                size += len(piece)
        finally:
            self.source.close()
        return Response(
            self.status, self.rest + b"".join(pieces), self.body_at, self.has
        )
