"""The fetcher: there is one while a program may fetch from other hosts."""

import asyncio
import contextlib
import socket
import time
import weakref
from typing import Any

from skerry.child import Child
from skerry.log import Log
from skerry.messages import Allow, Join, Outgoing
from skerry.supervise.programs import Wanted

_SHORT = 10.0  # seconds: a fetcher that lives less long is not started again at once
_PAUSE = 1.0  # seconds


class Outside:
    """Starts the fetcher when a configured program needs it, and again when it dies;
    (changed) is set each time: then workers have to join() it."""

    def __init__(self, wanted: Wanted, log: Log) -> None:
        self._wanted = wanted
        self._log = log
        self._needed = asyncio.Event()
        self._joined: weakref.WeakSet[Child[Any]] = weakref.WeakSet()
        self.child: Child[None] | None = None
        self.changed = asyncio.Event()

    def _hosts(self) -> dict[str, list[str]]:
        programs = self._wanted.config.programs
        return {p.name: list(p.allowed_hosts) for p in programs if p.allowed_hosts}

    async def run(self) -> None:
        """Has a fetcher run; never returns."""
        while True:
            await self.refresh()
            await self._needed.wait()
            since = time.monotonic()
            how = await self._live()
            self._log.problem(f"the fetcher {how}; starting another")
            if time.monotonic() - since < _SHORT:
                await asyncio.sleep(_PAUSE)

    async def _live(self) -> str:
        try:
            child: Child[None] = Child("skerry.fetcher", None)
        except OSError as error:
            return f"cannot be started: {error.strerror}"
        self._joined.clear()
        self.child = child
        try:
            await self.refresh()
            self.changed.set()
            return f"(pid {child.pid}) died: {await child.ended()}"
        finally:
            self.child = None
            child.close()

    async def refresh(self) -> None:
        """Tells the fetcher what the configuration says now."""
        hosts = self._hosts()
        if hosts:
            self._needed.set()
        if self.child:
            with contextlib.suppress(OSError):  # its end is seen elsewhere
                await self.child.channel.send(Allow(hosts))

    async def join(self, worker: Child[Any]) -> None:
        """Connects (worker) and the fetcher, if that has not been done. OSError when
        the worker is gone."""
        child = self.child
        if child is None or worker in self._joined:
            return
        self._joined.add(worker)
        theirs, ours = socket.socketpair()
        asking, asked = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs, ours, asking, asked:
            with contextlib.suppress(OSError):
                await child.channel.send(Join(), [ours.fileno(), asked.fileno()])
            fds = [theirs.fileno(), asking.fileno()]
            await worker.channel.send(Outgoing(), fds)
