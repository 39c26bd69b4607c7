"""Bytes in, requests out: one connection's parser, with no I/O in it.

httptools calls the on_* methods while feed() runs. A request that is whole is handed
to the sink at once, so several requests in one piece of data come out in order.
"""

from collections.abc import Callable

from httptools import (
    HttpParserCallbackError,
    HttpParserError,
    HttpParserUpgrade,
    HttpRequestParser,
)

from skerry.http import ids, rules
from skerry.http.ids import NAME, new_line
from skerry.http.keep import KEEP, line_for
from skerry.http.limits import Limits
from skerry.http.refusal import Refusal
from skerry.http.sink import Sink
from skerry.message import Request, Upload

# Where the reader stands: between requests, in a head, in a body. IDLE is false.
IDLE, HEAD, BODY = 0, 1, 2

# Headers that decide something here; the others only pass through.
_NOTED = frozenset(
    (
        b"host",
        b"content-type",
        b"content-length",
        b"transfer-encoding",
        b"expect",
        b"connection",
        NAME,
    )
)
_DONE = (b"upgrade", b"expect")  # what a head that is parsed again does without
_LINE_BYTES = len(b"  HTTP/1.1\r\n\r\n")  # of a head besides method, target, headers


class Reader:
    """The requests of one connection. After a Refusal it must not be fed again."""

    __slots__ = (
        "_again",
        "_arrived",
        "_body",
        "_connection",
        "_limits",
        "_lines",
        "_most_head",
        "_noted",
        "_parser",
        "_request",
        "_sink",
        "_target",
        "_trailers",
        "_unread",
        "_upload",
        "_version",
        "_wanted",
        "phase",
        "progress",
    )

    def __init__(
        self,
        limits: Limits,
        sink: Sink,
        in_pieces: Callable[[Request], bool] | None = None,
    ) -> None:
        self._limits = limits
        self._sink = sink
        self._wanted = in_pieces
        self._upload: Upload | None = None  # the request whose body comes in pieces
        self._arrived = 0  # bytes of that
        self._parser = HttpRequestParser(self)
        self.phase = IDLE
        self.progress = False  # a head, a body's piece or a request came: see pending()
        self._unread = 0
        self._again = False
        self._target = b""
        self._body: bytes | bytearray = b""
        self._trailers = 0
        self._most_head = limits.head - _LINE_BYTES

    def feed(self, data: bytes) -> None:
        """Takes the next bytes of the connection; raises Refusal."""
        rest: bytes | memoryview = data
        while True:
            try:
                self._parser.feed_data(rest)
            except HttpParserUpgrade as pause:
                rest = memoryview(rest)[pause.args[0] :]
                if self._again:
                    self._ignore_upgrade()
            except HttpParserError as error:
                raise _refusal(error) from None
            else:
                return

    def pending(self, size: int) -> bool:
        """Notes that (size) bytes did not end a request; True if they got further.

        Heads, trailers and chunk headers are held, or skipped, by the parser until
        they end: here is what keeps them short.
        """
        further, self.progress = self.progress, False
        self._unread = 0 if further else self._unread + size
        if self._unread > self._limits.head:
            raise _too_long(self._limits)
        return further

    def is_head(self) -> bool:
        """Whether the request being read is known to be a HEAD."""
        known = self.phase and self._target
        return bool(known) and self._parser.get_method() == b"HEAD"

    def id_line(self) -> bytes:
        """The X-Request-Id of the answer to what is being read."""
        return self._request.id_line if self.phase == BODY else new_line()

    def close(self) -> None:
        """Lets go of what refers back to this object."""
        del self._parser, self._sink, self._wanted

    # What httptools calls, in this order.

    def on_message_begin(self) -> None:
        self.phase = HEAD
        self._target = b""
        self._lines: list[bytes] = []
        self._noted: dict[bytes, bytes] = {}

    def on_url(self, piece: bytes) -> None:
        self._target += piece
        if len(self._target) > self._limits.target:
            raise Refusal(414, f"a target may have {self._limits.target} bytes")

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.phase == BODY:
            return self._skip_trailer(name, value)
        value = value.rstrip(b" \t")  # the parser leaves what is optional there
        self._lines += (name, b": ", value, b"\r\n")
        key = name.lower()
        if key in _NOTED:
            if key in self._noted:
                self._repeated(key, value)
            else:
                self._noted[key] = value
        return None

    def on_headers_complete(self) -> None:
        parser, noted, target = self._parser, self._noted, self._target
        if b"connection" in noted or not parser.should_keep_alive():
            self._look_at_version()
        else:  # the parser keeps only HTTP/1.1 alive without being asked
            self._version, self._connection = "1.1", KEEP
        method, headers = parser.get_method(), b"".join(self._lines)
        if len(method) + len(target) + len(headers) > self._most_head:
            raise _too_long(self._limits)
        host = noted.get(b"host", b"")
        if not host or host.translate(None, rules.HOST_BYTES):
            rules.check_host(noted.get(b"host"), self._version)
        if method == b"CONNECT":
            # The parser takes what follows for a tunnel's bytes, so not for its body.
            raise Refusal(501, "this server is no proxy")
        if target[0] != 0x2F or 0x23 in target:  # "/" first, no "#"
            target, host = rules.split_target(method, target, host)
        if NAME in noted:
            id_line = self._take_id(noted.pop(NAME))
            headers = b"".join(self._lines)
        else:
            id_line = new_line()
        self._request = request = Request(method, target, host, headers + id_line)
        request.id_line = id_line
        self.phase = BODY
        self.progress = True
        if len(noted) > 1:
            self._prepare_body()

    def on_body(self, piece: bytes) -> None:
        self.progress = True
        if self._upload is not None:
            return self._pass_on(piece)
        if len(self._body) + len(piece) > self._limits.body:
            raise Refusal(413, f"a body may have {self._limits.body} bytes")
        if not self._body:
            self._body = piece
            return None
        if type(self._body) is bytes:
            self._body = bytearray(self._body)
        self._body += piece
        return None

    def on_message_complete(self) -> None:
        if self._again:
            return
        self.phase = IDLE
        self.progress = True
        if self._body:
            self._request.body = bytes(self._body)
            self._body = b""
        self._trailers = 0
        if self._upload is None:
            self._sink.on_request(self._request, self._connection)
        else:
            self._upload = None
            self._sink.on_last_piece()

    # Steps of the above.

    def _take_id(self, value: bytes) -> bytes:
        """The id that the client has given, or one in its place; takes it out of the
        header lines."""
        self._lines = _without(self._lines, (NAME,))
        return ids.line_of(value) or new_line()

    def _skip_trailer(self, name: bytes, value: bytes) -> None:
        self._trailers += len(name) + len(value) + 4
        if self._trailers > self._limits.head:
            raise _too_long(self._limits)

    def _repeated(self, key: bytes, value: bytes) -> None:
        """A noted header came again: an error where it matters."""
        if key == b"host":
            raise Refusal(400, "more than one Host header")
        if key in (b"content-length", b"transfer-encoding"):
            raise Refusal(400, "more than one length of the body")
        if key == NAME:
            self._noted[key] = b""  # which of them is it?
        if key in (b"connection", b"expect"):  # lists: RFC 9110, 5.3
            self._noted[key] += b", " + value

    def _look_at_version(self) -> None:
        """Checks the version, and settles if the connection outlives the answer."""
        self._version = version = self._parser.get_http_version()
        rules.check_version(version)
        asked = rules.asks_to_close(self._noted.get(b"connection", b""))
        is_last = asked or not self._parser.should_keep_alive()
        self._connection = line_for(version, is_last)

    def _prepare_body(self) -> None:
        """Checks how the body is framed and whether the client waits to send it."""
        noted = self._noted
        self._request.content_type = noted.get(b"content-type", b"")
        in_pieces = self._wanted is not None and self._wanted(self._request)
        limit = self._limits.upload if in_pieces else self._limits.body
        length = rules.check_framing(noted, self._version, limit)
        waits = False
        if b"expect" in noted:
            waits = rules.wants_continue(noted[b"expect"], self._version)
            if waits and length and not in_pieces:
                self._sink.on_expect()
        if length and b"connection" in noted and self._parser.should_upgrade():
            self._again = True
        if length and in_pieces and self._upload is None:
            self._begin_upload(waits)

    def _begin_upload(self, waits: bool) -> None:
        self._upload = self._request = Upload.of(self._request)
        self._arrived = 0
        self._sink.on_upload(self._upload, self._connection, waits)

    def _pass_on(self, piece: bytes) -> None:
        self._arrived += len(piece)
        if self._arrived > self._limits.upload:
            raise Refusal(413, f"a body may have {self._limits.upload} bytes")
        self._sink.on_piece(piece)

    def _ignore_upgrade(self) -> None:
        """We never change protocols, but the parser stops where another could begin.

        It would take the body for the other protocol's bytes, so a request that has
        one is parsed again from a head that asks for no upgrade. That head has passed
        every check already, so feeding it raises nothing.
        """
        request, version = self._request, self._version.encode()
        lines = b"".join(_without(self._lines, _DONE))
        start = b"%b %b HTTP/%b\r\n" % (request.method, request.target, version)
        self._again = False
        self._parser = HttpRequestParser(self)
        self._parser.feed_data(b"%b%b\r\n" % (start, lines))
        self._request = request


def _without(lines: list[bytes], names: tuple[bytes, ...]) -> list[bytes]:
    """(lines), each in four parts of which the first is its name, but for (names)."""
    return [
        part
        for at in range(0, len(lines), 4)
        if lines[at].lower() not in names
        for part in lines[at : at + 4]
    ]


def _too_long(limits: Limits) -> Refusal:
    return Refusal(431, f"headers may have {limits.head} bytes")


def _refusal(error: HttpParserError) -> Refusal:
    """What to answer when parsing stopped with (error)."""
    cause = error.__context__
    if isinstance(cause, Refusal):
        return cause
    if isinstance(error, HttpParserCallbackError) and cause:
        raise cause
    return Refusal(400, f"malformed request: {error}")
