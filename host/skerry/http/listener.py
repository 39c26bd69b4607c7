"""The sockets that clients connect to.

uvloop's own servers close, and say nothing, when accept fails for any reason but want
of descriptors; and for that they take what waits and drop it. Here whoever connects
waits in the kernel's queue until there are means again.
"""

import asyncio
import logging
import socket
from collections.abc import Callable, Sequence
from itertools import repeat
from typing import Any

_BACKLOG = 1024
_AT_ONCE = 64  # accepted before other events have their turn
_PAUSE = 0.25  # seconds without accepting when it has failed
_SILENCE = 60.0  # seconds before that is said again
_log = logging.getLogger("skerry.http")


async def bind(host: str, port: int, reuse_port: bool) -> list[socket.socket]:
    """Listening sockets on all addresses of (host). OSError when one cannot be had;
    UnicodeError when (host) cannot be a name in the DNS. The caller closes them."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    sockets: list[socket.socket] = []
    try:
        for family, _, _, _, address in dict.fromkeys(found):
            sockets.append(socket.socket(family, socket.SOCK_STREAM))
            _listen(sockets[-1], address, reuse_port)
    except BaseException:
        for each in sockets:
            each.close()
        raise
    return sockets


def listen(bound: socket.socket) -> None:
    """Has (bound) take connections; one that does so already goes on."""
    bound.setblocking(False)
    bound.listen(_BACKLOG)


def _listen(
    listening: socket.socket, address: tuple[Any, ...], reuse_port: bool
) -> None:
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if reuse_port:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if listening.family == socket.AF_INET6:
        listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    listening.bind(address)
    listen(listening)


class Listener:
    """Hands every connection to (welcome), on the loop's thread. Owns (sockets)."""

    def __init__(
        self,
        sockets: Sequence[socket.socket],
        welcome: Callable[[socket.socket], None],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._sockets = list(sockets)
        self._welcome = welcome
        self._loop = loop
        self._pauses: dict[socket.socket, asyncio.TimerHandle] = {}
        self._quiet_until = 0.0
        self.port: int = sockets[0].getsockname()[1]
        for each in sockets:
            self._resume(each)

    def close(self) -> None:
        """Who is still in the queue is refused. May be called again."""
        for pause in self._pauses.values():
            pause.cancel()
        for each in self._sockets:
            self._loop.remove_reader(each)
            each.close()
        self._sockets = []

    def _accept(self, listening: socket.socket) -> None:
        try:
            for _ in repeat(None, _AT_ONCE):
                client, _ = listening.accept()
                self._welcome(client)
        except (BlockingIOError, ConnectionAbortedError):
            return  # nobody waits any more
        except (OSError, MemoryError) as error:
            self._pause(listening, error)

    def _pause(self, listening: socket.socket, error: Exception) -> None:
        """The socket stays readable: looked at again at once, it would keep us busy."""
        self._loop.remove_reader(listening)
        resume = self._loop.call_later(_PAUSE, self._resume, listening)
        self._pauses[listening] = resume
        if self._loop.time() >= self._quiet_until:
            self._quiet_until = self._loop.time() + _SILENCE
            reason = getattr(error, "strerror", None) or "Cannot allocate memory"
            _log.warning("new connections have to wait: %s", reason)

    def _resume(self, listening: socket.socket) -> None:
        self._pauses.pop(listening, None)
        self._loop.add_reader(listening, self._accept, listening)
