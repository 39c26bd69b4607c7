"""A listening server: starts, sweeps its connections, stops without dropping any."""

import asyncio
import contextlib
import socket
from collections.abc import Sequence
from dataclasses import replace

from skerry.http.descriptors import most_connections
from skerry.http.limits import Limits
from skerry.http.listener import Listener, bind, listen
from skerry.http.protocol import HttpProtocol
from skerry.http.shared import Handler, InPieces, Shared

_DEFAULT_LIMITS = Limits()


async def serve(
    handler: Handler,
    host: str,
    port: int,
    *,
    limits: Limits = _DEFAULT_LIMITS,
    reuse_port: bool = False,
    in_pieces: InPieces | None = None,
) -> "Server":
    """Listens on (host):(port), 0 for any free port; (reuse_port) lets others too.

    (handler) is called on the event loop's thread. Its answer is a Response, or an
    awaitable of one if it takes time. (in_pieces): see shared.
    """
    sockets = await bind(host, port, reuse_port)
    return await serve_on(handler, sockets, limits=limits, in_pieces=in_pieces)


async def serve_on(
    handler: Handler,
    sockets: Sequence[socket.socket],
    *,
    limits: Limits = _DEFAULT_LIMITS,
    in_pieces: InPieces | None = None,
) -> "Server":
    """Listens on (sockets), which are bound and belong to the server now."""
    limits = replace(limits, connections=most_connections(limits.connections))
    shared = Shared(handler, limits, asyncio.get_running_loop(), in_pieces)
    for each in sockets:
        listen(each)
    return Server(sockets, shared)


class Server:
    """Serves until stop()."""

    def __init__(self, sockets: Sequence[socket.socket], shared: Shared) -> None:
        self._shared = shared
        self._listener = Listener(sockets, self._welcome, shared.loop)
        self.port = self._listener.port
        self._tick()

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._shared.connections)

    async def stop(self, grace: float = 10.0) -> None:
        """Stops listening, lets what is in flight finish within (grace) seconds, and
        closes every connection. May be called again."""
        self._listener.close()
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

    def _welcome(self, client: socket.socket) -> None:
        self._shared.spawn(self._connect(client))

    async def _connect(self, client: socket.socket) -> None:
        """A client that has left already, or that there is no memory for, is closed."""
        shared = self._shared
        try:
            await shared.loop.connect_accepted_socket(
                lambda: HttpProtocol(shared), client
            )
        except (OSError, MemoryError):
            client.close()

    def _tick(self) -> None:
        shared = self._shared
        self._timer = shared.loop.call_later(shared.limits.tick, self._tick)
        shared.sweep()
