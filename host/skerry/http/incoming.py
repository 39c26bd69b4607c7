"""The body of an Upload, between the connection that reads it and who takes it."""

import asyncio
from typing import Protocol

from skerry.message import Cut

FULL = 256 << 10  # bytes that wait, and one read more: then the socket is not read


class Flow(Protocol):
    """The connection that the body comes from."""

    def on_wanted(self) -> None:
        """Somebody waits for the next piece."""

    def on_taken(self) -> None:
        """There is room again."""


class Incoming:
    """An Arriving. The reader's side is feed(), end() and fail()."""

    __slots__ = ("_flow", "_held", "_is_cut", "_size", "_waiter", "is_complete")

    def __init__(self, flow: Flow) -> None:
        self._flow = flow
        self._held: list[bytes] = []
        self._size = 0
        self._waiter: asyncio.Future[None] | None = None
        self._is_cut = False
        self.is_complete = False

    @property
    def is_full(self) -> bool:
        """As much waits as should."""
        return self._size >= FULL

    @property
    def is_waited_for(self) -> bool:
        """Whoever takes it has nothing to do until more comes."""
        return self._waiter is not None

    def feed(self, piece: bytes) -> None:
        """(piece) has come."""
        self._held.append(piece)
        self._size += len(piece)
        self._wake()

    def end(self) -> None:
        """All has come."""
        self.is_complete = True
        self._wake()

    def fail(self) -> None:
        """The rest will never come."""
        self._is_cut = True
        self._held.clear()
        self._wake()

    async def next(self) -> bytes:
        """See Arriving."""
        while not (self._held or self.is_complete or self._is_cut):
            self._waiter = asyncio.get_running_loop().create_future()
            self._flow.on_wanted()
            await self._waiter
        if self._is_cut:
            raise Cut
        return self.take()

    def take(self) -> bytes:
        """See Arriving."""
        piece = b"".join(self._held)
        self._held.clear()
        self._size = 0
        self._flow.on_taken()
        return piece

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter and not waiter.done():
            waiter.set_result(None)
