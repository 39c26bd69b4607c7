"""Whether a connection outlives an answer: the line that tells the client."""

# These are compared by identity.
KEEP = b""
KEEP_1_0 = b"Connection: keep-alive\r\n"
CLOSE = b"Connection: close\r\n"
CLOSE_1_0 = bytes(bytearray(CLOSE))  # another object: the client speaks HTTP/1.0


def line_for(version: str, is_last: bool) -> bytes:
    """That of an answer in (version) of HTTP, which may be the last one."""
    if is_last:
        return CLOSE if version == "1.1" else CLOSE_1_0
    return KEEP if version == "1.1" else KEEP_1_0


def closing(connection: bytes) -> bytes:
    """(connection), one of these, for an answer that is the last one after all."""
    is_old = connection is KEEP_1_0 or connection is CLOSE_1_0
    return CLOSE_1_0 if is_old else CLOSE


def is_closing(connection: bytes) -> bool:
    """Whether (connection) is that of a last answer."""
    return connection is CLOSE or connection is CLOSE_1_0
