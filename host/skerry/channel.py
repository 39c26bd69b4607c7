"""Messages and descriptors between two processes of skerry, over a socket pair.

A message is a header (its length, the number of its descriptors), then MessagePack. The
descriptors travel beside the header's first byte, so they are never later than it."""

import array
import asyncio
import errno
import os
import socket
import struct
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import msgspec

from skerry.paths import decode_path

_HEADER = struct.Struct("<II")
_PIECE = 256 << 10
_LARGEST = 64 << 20  # bytes of a message
_ROOM = socket.CMSG_SPACE(253 * 4)  # descriptors that the kernel takes at a time
_RETRY = 0.01  # seconds

T = TypeVar("T")


class Nonsense(Exception):
    """The other end does not keep to what has been agreed: it may have been taken over
    by a guest, and has to be ended."""


class Channel(Generic[T]):
    """One end, for an event loop. Owns (sock); what it receives is of type (kind)."""

    def __init__(self, sock: socket.socket, kind: Any) -> None:
        sock.setblocking(False)
        self._socket = sock
        self._decoder = msgspec.msgpack.Decoder(kind, dec_hook=decode_path)
        self._encoder = msgspec.msgpack.Encoder(enc_hook=str)
        self._writing = asyncio.Lock()
        self._data = bytearray()
        self._fds: deque[int] = deque()

    async def send(self, message: Any, fds: Sequence[int] = ()) -> None:
        """Returns when the kernel has all of it; (fds) stay the caller's. OSError when
        nobody is at the other end."""
        body = self._encoder.encode(message)
        head = _HEADER.pack(len(body), len(fds))
        async with self._writing:
            await self._write(head, fds)
            await self._write(body, ())

    async def _write(self, data: bytes, fds: Sequence[int]) -> None:
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[self._send(rest, fds) :]
                fds = ()
            except BlockingIOError:
                await self._wait_for_room()
            except OSError as error:
                # Too many descriptors are on their way between processes.
                if error.errno != errno.ETOOMANYREFS:
                    raise
                await asyncio.sleep(_RETRY)

    def _send(self, data: memoryview, fds: Sequence[int]) -> int:
        if not fds:
            return self._socket.send(data)
        rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))
        return self._socket.sendmsg([data], [rights])

    async def receive(self) -> tuple[T, tuple[int, ...]]:
        """The next message, and its descriptors, which are the caller's now. EOFError
        when the other end is closed, Nonsense when it is not to be trusted."""
        length, count = _HEADER.unpack(await self._take(_HEADER.size))
        if length > _LARGEST:
            raise Nonsense(f"a message of {length} bytes")
        body = await self._take(length)
        if count > len(self._fds):
            raise Nonsense("descriptors that are not there")
        try:
            message: T = self._decoder.decode(body)
        except msgspec.MsgspecError as error:
            raise Nonsense(str(error)) from None
        return message, tuple(self._fds.popleft() for _ in range(count))

    async def _take(self, size: int) -> bytes:
        while len(self._data) < size:
            await self._read()
        taken = bytes(self._data[:size])
        del self._data[:size]
        return taken

    async def _read(self) -> None:
        try:
            # Not socket.recv_fds(), which takes flags and forgets them.
            data, rights, flags, _ = self._socket.recvmsg(
                _PIECE, _ROOM, socket.MSG_CMSG_CLOEXEC
            )
        except BlockingIOError:
            await self._wait_for_data()
            return
        except ConnectionResetError:
            raise EOFError from None
        for _, _, numbers in rights:
            self._fds.extend(array.array("i", numbers))
        if flags & socket.MSG_CTRUNC:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        if not data:
            raise EOFError
        self._data += data

    async def _wait_for_data(self) -> None:
        loop = asyncio.get_running_loop()
        await _turn(self._socket, loop.add_reader, loop.remove_reader)

    async def _wait_for_room(self) -> None:
        loop = asyncio.get_running_loop()
        await _turn(self._socket, loop.add_writer, loop.remove_writer)

    def close(self) -> None:
        """May be called again."""
        self._socket.close()
        while self._fds:
            os.close(self._fds.popleft())


async def _turn(
    sock: socket.socket, add: Callable[..., Any], remove: Callable[..., Any]
) -> None:
    """Returns when (sock) is ready for what (add) looks for."""
    ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    add(sock, _settle, ready)
    try:
        await ready
    finally:
        remove(sock)


def _settle(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)
