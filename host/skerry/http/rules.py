"""What RFC 9110 and 9112 ask of a request's head beyond what the parser checks.

The parser (llhttp, strict) refuses by itself: bare CR or LF, NUL and other control
bytes, obs-fold, a space before a colon, Content-Length that is not one plain number,
or that comes twice or beside Transfer-Encoding, and chunked twice or not last. The
tests hold it to each of these.
"""

from skerry.http.refusal import Refusal

# uri-host and port, RFC 3986 section 3.2: anything else has no business in a Host.
HOST_BYTES = (
    b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~!$&'()*+,;=%:[]"
)


def check_version(version: str) -> None:
    """Refuses what is neither HTTP/1.1 nor HTTP/1.0."""
    if version not in ("1.1", "1.0"):
        raise Refusal(505, "this server speaks HTTP/1.1 and HTTP/1.0")


def check_host(host: bytes | None, version: str) -> None:
    """Refuses a Host header (None if absent) that may not be. RFC 9112, 3.2."""
    if host is None:
        if version == "1.1":
            raise Refusal(400, "an HTTP/1.1 request needs a Host header")
    elif host.translate(None, HOST_BYTES):
        raise Refusal(400, "malformed Host header")


def split_target(method: bytes, target: bytes, host: bytes) -> tuple[bytes, bytes]:
    """(target) in origin-form, and its host if it names one. RFC 9112, 3.2."""
    if b"#" in target:
        raise Refusal(400, "malformed request target")
    if target == b"*" and method == b"OPTIONS":
        return target, host
    scheme, _, rest = target.partition(b"://")
    if scheme.lower() not in (b"http", b"https"):
        raise Refusal(400, "malformed request target")
    return _split_absolute(method, rest)


def _split_absolute(method: bytes, rest: bytes) -> tuple[bytes, bytes]:
    cut = min(at for at in (rest.find(b"/"), rest.find(b"?"), len(rest)) if at >= 0)
    host, path = rest[:cut], rest[cut:]
    if not host or host.translate(None, HOST_BYTES):
        raise Refusal(400, "malformed host in the request target")
    if path[:1] == b"/":
        return path, host
    if not path and method == b"OPTIONS":
        return b"*", host
    return b"/" + path, host


def _check_transfer_encoding(value: bytes, version: str) -> None:
    """Refuses every transfer coding but chunked, and chunked in HTTP/1.0."""
    if version == "1.0":
        raise Refusal(400, "HTTP/1.0 has no Transfer-Encoding")
    if value.lower() != b"chunked":
        raise Refusal(501, "unknown transfer coding")


def _check_length(value: bytes, limit: int) -> int:
    """The number that a Content-Length header gives, or a refusal."""
    if not value.isdigit():
        raise Refusal(400, "malformed Content-Length")
    length = int(value)
    if length > limit:
        raise Refusal(413, f"a body may have {limit} bytes")
    return length


def check_framing(noted: dict[bytes, bytes], version: str, limit: int) -> int:
    """The body's length as the headers (noted) tell it, at most (limit), or -1 if it is
    chunked."""
    if b"transfer-encoding" in noted:
        _check_transfer_encoding(noted[b"transfer-encoding"], version)
        return -1
    if b"content-length" in noted:
        return _check_length(noted[b"content-length"], limit)
    return 0


def wants_continue(expect: bytes, version: str) -> bool:
    """Whether the client waits for a 100. An HTTP/1.0 client never does: RFC 9110,
    10.1.1."""
    if version == "1.0":
        return False
    if set(_elements(expect)) - {b"100-continue"}:
        raise Refusal(417, "only 100-continue can be expected")
    return True


def asks_to_close(connection: bytes) -> bool:
    """Whether a Connection header has "close", which beats all else: RFC 9112, 9.3."""
    return b"close" in _elements(connection)


def _elements(value: bytes) -> list[bytes]:
    """The elements of a header that is a list, in lower case."""
    return [element.strip(b" \t") for element in value.lower().split(b",")]
