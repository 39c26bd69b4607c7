"""A listening server: starts, sweeps its connections, stops without dropping any."""

import asyncio
import contextlib
import socket
from collections.abc import Sequence

from skerry.http.limits import Limits
from skerry.http.protocol import HttpProtocol
from skerry.http.shared import Handler, Shared

_DEFAULT_LIMITS = Limits()
_BACKLOG = 1024


async def serve(
    handler: Handler,
    host: str,
    port: int,
    *,
    limits: Limits = _DEFAULT_LIMITS,
    reuse_port: bool = False,
) -> "Server":
    """Listens on (host):(port), 0 for any free port; (reuse_port) lets others too.

    (handler) is called on the event loop's thread. Its answer is a Response, or an
    awaitable of one if it takes time.
    """
    loop = asyncio.get_running_loop()
    shared = Shared(handler, limits, loop)
    listener = await loop.create_server(
        lambda: HttpProtocol(shared),
        host,
        port,
        backlog=_BACKLOG,
        reuse_port=reuse_port or None,
    )
    return Server([listener], shared)


async def serve_on(
    handler: Handler,
    sockets: Sequence[socket.socket],
    *,
    limits: Limits = _DEFAULT_LIMITS,
) -> "Server":
    """Listens on (sockets), which are bound already and belong to the server now."""
    loop = asyncio.get_running_loop()
    shared = Shared(handler, limits, loop)
    listeners = [
        await loop.create_server(
            lambda: HttpProtocol(shared), sock=each, backlog=_BACKLOG
        )
        for each in sockets
    ]
    return Server(listeners, shared)


class Server:
    """Serves until stop()."""

    def __init__(self, listeners: Sequence[asyncio.Server], shared: Shared) -> None:
        self._listeners = listeners
        self._shared = shared
        self.port: int = listeners[0].sockets[0].getsockname()[1]
        self._tick()

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._shared.connections)

    async def stop(self, grace: float = 10.0) -> None:
        """Stops listening, lets what is in flight finish within (grace) seconds, and
        closes every connection. May be called again."""
        for each in self._listeners:
            each.close()
        self._shared.stopping = True
        for connection in list(self._shared.connections):
            connection.retire()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._shared.idle(), grace)
        await self._abandon()
        self._timer.cancel()

    async def _abandon(self) -> None:
        """Ends what outlived the grace."""
        tasks = list(self._shared.tasks)
        for task in tasks:
            task.cancel()
        for connection in list(self._shared.connections):
            connection.abort()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._shared.idle()

    def _tick(self) -> None:
        shared = self._shared
        self._timer = shared.loop.call_later(shared.limits.tick, self._tick)
        shared.sweep()
