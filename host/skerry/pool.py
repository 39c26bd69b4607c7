"""The clones of one program: taken for a request, given back when they are as frozen."""

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from skerry.native import NativeError, Vm

Waiter = asyncio.Future[Vm]


class Pool:
    """At most (limit) clones, made when they are first needed. The last one given back
    is the first one taken: its pages are in the caches.

    For the event loop's thread; run() takes what would block to threads.
    """

    def __init__(self, make: Callable[[], Vm], limit: int) -> None:
        self._make = make
        self._limit = limit
        self._free: list[Vm] = []
        self._made = 0
        self._waiting: deque[Waiter] = deque()
        self._threads: ThreadPoolExecutor | None = None

    def make(self) -> Vm:
        """A new clone; give() it when it is ready to serve."""
        vm = self._make()
        self._made += 1
        return vm

    def take(self) -> Vm | None:
        """A clone that is free, or a new one; None when all of them serve."""
        if self._free:
            return self._free.pop()
        if self._made >= self._limit:
            return None
        try:
            return self.make()
        except NativeError:
            if not self._made:
                raise
            return None

    async def wait(self, seconds: float) -> Vm | None:
        """The next clone that comes free, first come, first served; None if none does
        in (seconds)."""
        waiter: Waiter = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            return await asyncio.wait_for(waiter, seconds)
        except TimeoutError:
            return None

    def give(self, vm: Vm) -> None:
        """(vm) is as frozen: it may serve again."""
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(vm)
                return
        self._free.append(vm)

    def drop(self, vm: Vm) -> None:
        """(vm) cannot be used again. Who waits gets a new one."""
        vm.close()
        self._made -= 1
        if self._waiting:
            self.give(self.make())

    async def run(self, work: Callable[[], None]) -> None:
        """Runs (work) on a thread of this pool's own."""
        if self._threads is None:
            self._threads = ThreadPoolExecutor(self._limit, "guest")
        await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def close(self) -> None:
        """Closes the clones that are free."""
        if self._threads:
            self._threads.shutdown()
        for vm in self._free:
            vm.close()
        self._free.clear()
