"""The body of a Streamed on its way to the client, and how it is framed: RFC 9112, 6
and 7.1."""

import asyncio
import contextlib
import socket
import struct
from typing import Protocol

from skerry.http.keep import CLOSE, CLOSE_1_0, closing, is_closing
from skerry.message import Streamed

_CHUNKED = b"Transfer-Encoding: chunked\r\n"
_NOW = struct.pack("ii", 1, 0)  # SO_LINGER: close with a reset


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
        self.ends_connection = is_closing(connection)
        self.lines = connection + _CHUNKED if self.has_chunks else connection

    def put(self, transport: asyncio.WriteTransport, piece: bytes) -> None:
        """Writes (piece); an empty one ends the body."""
        if self.has_chunks:
            transport.writelines((b"%x\r\n" % len(piece), piece, b"\r\n"))
        elif piece:
            transport.write(piece)


class Flow(Protocol):
    """The connection that the body goes to."""

    @property
    def is_over(self) -> bool:
        """Nothing is written to it any more."""

    @property
    def is_slow(self) -> bool:
        """The client has not taken most of what was written."""


class Outgoing:
    """The body of (response), written to (transport), which is that of (flow)."""

    __slots__ = ("_flow", "_response", "_transport", "_writable")

    def __init__(
        self, flow: Flow, transport: asyncio.WriteTransport, response: Streamed
    ) -> None:
        self._flow = flow
        self._transport = transport
        self._response = response
        self._writable: asyncio.Future[None] | None = None

    async def write(self, framing: Framing) -> None:
        """The next piece is made when the client has taken most of what was written.
        A client that is fast enough must not keep others waiting."""
        left, flow = self._response.length, self._flow
        while not flow.is_over:
            if flow.is_slow:
                await self._until_writable()
            else:
                await asyncio.sleep(0)
            piece = b"" if flow.is_over else await self._response.source.next()
            if flow.is_over:
                return
            if left is not None:
                left -= len(piece)
                if left < 0 or (left and not piece):
                    raise ValueError(f"{-left} bytes too many in a body")
            framing.put(self._transport, piece)
            if not piece:
                return

    async def _until_writable(self) -> None:
        self._writable = asyncio.get_running_loop().create_future()
        await self._writable

    def wake(self) -> None:
        """(flow) is over, or not slow any more."""
        writable, self._writable = self._writable, None
        if writable and not writable.done():
            writable.set_result(None)


def cut(transport: asyncio.WriteTransport) -> None:
    """Closes at once and with a reset: what a close alone ends looks complete."""
    made = transport.get_extra_info("socket")
    if made is not None:
        with contextlib.suppress(OSError):
            made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NOW)
    transport.abort()
