"""One request and one response: what the HTTP side and the programs hand each other."""


class Request:
    """A request whose head and body have arrived and passed the HTTP rules.

    method        as sent, for example b"GET"
    target        path and query as sent; what an absolute-form target names
                  after its host; b"*" only for OPTIONS
    host          the Host header, or the host of an absolute-form target, with
                  its port if it has one; b"" if there is none
    headers       every header as b"Name: value\\r\\n", joined, in the order received;
                  trailers of a chunked body are not among them
    content_type  the value of the first Content-Type header, or b""
    body          the whole body, chunks joined
    """

    __slots__ = ("body", "content_type", "headers", "host", "method", "target")

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

    def __repr__(self) -> str:
        line = (self.method + b" " + self.target).decode("latin-1")
        return f"<Request {line}, {len(self.body)} bytes of body>"


class Response:
    """An answer: its status (200 to 999), header lines and body.

    head is zero or more complete lines b"Name: value\\r\\n" that its maker has checked:
    no bare CR or LF, no Content-Length, Transfer-Encoding or Connection. The has_*
    flags say which of the lines that the server would add are already in head.
    """

    __slots__ = (
        "body",
        "has_content_type",
        "has_date",
        "has_server",
        "head",
        "status",
    )

    def __init__(
        self,
        status: int,
        head: bytes = b"",
        body: bytes = b"",
        has_content_type: bool = False,
        has_server: bool = False,
        has_date: bool = False,
    ) -> None:
        self.status = status
        self.head = head
        self.body = body
        self.has_content_type = has_content_type
        self.has_server = has_server
        self.has_date = has_date

    @classmethod
    def text(cls, status: int, message: str, headers: bytes = b"") -> "Response":
        """The host's own answer: (message) as UTF-8 text, (headers) as extra lines."""
        head = b"Content-Type: text/plain; charset=utf-8\r\n" + headers
        return cls(status, head, message.encode(), has_content_type=True)

    def __repr__(self) -> str:
        return f"<Response {self.status}, {len(self.body)} bytes of body>"
