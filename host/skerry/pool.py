"""The clones of one program: taken for a request, given back as they were frozen."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from skerry.native import NativeError, Vm

Waiter = asyncio.Future[Vm]
T = TypeVar("T")


class Pool:
    """At most (limit) clones, made when they are first needed.

    For the event loop's thread; run() takes what would block to threads. (free) may be
    popped and appended to directly while nobody waits, that is while it is not empty;
    the last one given back is the first one taken: its pages are in the caches.
    """

    def __init__(self, make: Callable[[], Vm], limit: int) -> None:
        self._make = make
        self._limit = limit
        self.free: list[Vm] = []
        self._made = 0
        self._waiting: deque[Waiter] = deque()
        self._threads: ThreadPoolExecutor | None = None

    def make(self) -> Vm:
        """A new clone; give() it when it is ready to serve."""
        vm = self._make()
        self._made += 1
        return vm

    async def take(self, seconds: float) -> Vm | None:
        """A clone that is free, a new one, or the next one that comes free: first come,
        first served; None if none does in (seconds)."""
        if self.free:
            return self.free.pop()
        if self._made < self._limit:
            try:
                return self.make()
            except NativeError:
                if not self._made:
                    raise
        return await self._wait(seconds)

    async def _wait(self, seconds: float) -> Vm | None:
        waiter: Waiter = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            return await asyncio.wait_for(waiter, seconds)
        except TimeoutError:
            if waiter.done() and not waiter.cancelled():
                return waiter.result()  # given in the turn in which the time was over
            return None

    def give(self, vm: Vm) -> None:
        """(vm) is as frozen: it may serve again."""
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(vm)
                return
        self.free.append(vm)

    def drop(self, vm: Vm) -> None:
        """(vm) cannot be used again. Who waits longest gets a new one, unless there are
        no means to make it: then he waits on."""
        vm.close()
        self._made -= 1
        if self._waiting:
            with contextlib.suppress(NativeError):
                self.give(self.make())

    async def run(self, work: Callable[[], T]) -> T:
        """What (work) returns, run on a thread of this pool's own."""
        if self._threads is None:
            self._threads = ThreadPoolExecutor(self._limit, "guest")
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, work)

    def close(self) -> None:
        """Closes the clones that are free."""
        if self._threads:
            self._threads.shutdown()
        for vm in self.free:
            vm.close()
        self.free.clear()
