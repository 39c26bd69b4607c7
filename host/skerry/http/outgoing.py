"""How a body of pieces is framed. RFC 9112, 6 and 7.1."""

import asyncio
import contextlib
import socket
import struct

from skerry.http.reader import CLOSE, CLOSE_1_0, KEEP_1_0

_CHUNKED = b"Transfer-Encoding: chunked\r\n"
_NOW = struct.pack("ii", 1, 0)  # SO_LINGER: close with a reset


def closing(connection: bytes) -> bytes:
    """(connection), a line of the reader's, for the last answer of a connection."""
    is_old = connection is KEEP_1_0 or connection is CLOSE_1_0
    return CLOSE_1_0 if is_old else CLOSE


class Framing:
    """The framing of a body of (length) bytes, None if nobody knows, behind the line
    (connection): by length, in chunks, or by the end of the connection where the client
    knows no chunks."""

    __slots__ = ("ends_connection", "has_chunks", "lines")

    def __init__(self, length: int | None, connection: bytes) -> None:
        is_new = closing(connection) is CLOSE
        self.has_chunks = length is None and is_new
        if length is None and not is_new:
            connection = CLOSE_1_0
        self.ends_connection = connection is CLOSE or connection is CLOSE_1_0
        self.lines = connection + _CHUNKED if self.has_chunks else connection

    def put(self, transport: asyncio.WriteTransport, piece: bytes) -> None:
        """Writes (piece); an empty one ends the body."""
        if self.has_chunks:
            transport.writelines((b"%x\r\n" % len(piece), piece, b"\r\n"))
        elif piece:
            transport.write(piece)


def cut(transport: asyncio.WriteTransport) -> None:
    """Closes at once and with a reset: what a close alone ends looks complete."""
    made = transport.get_extra_info("socket")
    if made is not None:
        with contextlib.suppress(OSError):
            made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NOW)
    transport.abort()
