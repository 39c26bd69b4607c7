"""Bytes, read as requests by ours and by another implementation, in the same terms."""

from dataclasses import dataclass, field

import h11

from skerry.http.keep import CLOSE
from skerry.http.limits import Limits
from skerry.http.reader import Reader
from skerry.http.refusal import Refusal
from skerry.message import Request

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
DEFAULT = Limits()


class Found:
    """A sink that keeps what it is given: headers as they were sent, without the id."""

    def __init__(self):
        self.requests: list[Request] = []
        self.connections: list[bytes] = []
        self.expects = 0
        self.refused: Refusal | None = None

    def on_request(self, request, connection):
        assert request.id_line and request.headers.endswith(request.id_line)
        request.headers = request.headers.removesuffix(request.id_line)
        self.requests.append(request)
        self.connections.append(connection)

    def on_expect(self):
        self.expects += 1

    @property
    def status(self):
        return self.refused and self.refused.status


def read_in(step: int, data: bytes, limits: Limits = DEFAULT) -> Found:
    """Reads (data) in pieces of (step) bytes; what was found, and refused."""
    return read_pieces(
        (data[at : at + step] for at in range(0, len(data), step)), limits
    )


def read_pieces(pieces, limits: Limits = DEFAULT) -> Found:
    """Reads (pieces), one after the other."""
    found = Found()
    reader = Reader(limits, found)
    try:
        for piece in pieces:
            reader.feed(piece)
            if reader.phase:
                reader.pending(len(piece))
    except Refusal as refusal:
        found.refused = refusal
    return found


def get(*lines: bytes, start: bytes = b"GET / HTTP/1.1") -> bytes:
    return b"\r\n".join((start, b"Host: a", *lines)) + b"\r\n\r\n"


def post(*lines: bytes, body: bytes = b"") -> bytes:
    return get(*lines, start=b"POST / HTTP/1.1") + body


def chunked(body: bytes) -> bytes:
    return post(b"Transfer-Encoding: chunked", body=body)


def headers_of(request: Request) -> list[tuple[bytes, bytes]]:
    """Names and values; that of Transfer-Encoding in lower case, as h11 has it."""
    pairs = [line.split(b": ", 1) for line in request.headers.split(b"\r\n")[:-1]]
    coding = b"transfer-encoding"
    return [(n, v.lower() if n.lower() == coding else v) for n, v in pairs]


# How the reading of a connection's bytes ends: more may come, no more is read, or what
# follows was refused.
OPEN, CLOSED, REFUSED = "open", "closed", "refused"


@dataclass
class Reading:
    """The requests, each [method, target, headers, body], and how it ends."""

    requests: list[list] = field(default_factory=list)
    end: str = OPEN


def reading(found: Found) -> Reading:
    """What we found; nothing is read after an answer that closes."""
    end = REFUSED if found.refused else OPEN
    requests = found.requests
    if CLOSE in found.connections:
        end, requests = CLOSED, requests[: found.connections.index(CLOSE) + 1]
    return Reading([[r.method, r.target, headers_of(r), r.body] for r in requests], end)


def read_by_h11(data: bytes) -> Reading:
    """What h11 finds in (data). A request counts when it is whole."""
    found = Reading()
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    try:
        connection.receive_data(data)
        while (event := connection.next_event()) not in (h11.NEED_DATA, h11.PAUSED):
            if isinstance(event, h11.Request):
                request = _head(event)
            elif isinstance(event, h11.Data):
                request[3] += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                found.requests.append(request)
                connection.send(h11.Response(status_code=404, headers=[]))
                connection.send(h11.EndOfMessage())
                if connection.our_state is h11.MUST_CLOSE:
                    found.end = CLOSED
                    break
                connection.start_next_cycle()
    except h11.RemoteProtocolError:
        found.end = REFUSED
    return found


def _head(event: h11.Request) -> list:
    """Of a request that h11 has found; its target as we hand it over."""
    headers = [(bytes(n), bytes(v)) for n, v in event.headers.raw_items()]
    scheme, _, rest = bytes(event.target).partition(b"://")
    target = b"/" + rest.partition(b"/")[2] if rest else scheme
    return [bytes(event.method), target, headers, b""]
