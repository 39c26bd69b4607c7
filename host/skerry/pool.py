"""The clones of one program: made for its requests, taken, given back as they were
frozen, and closed when nobody has needed them for a while."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from skerry.native import NativeError, Vm

REST = 5.0  # seconds between sweeps: after one to two of them an idle clone is closed
PAUSE = 0.01  # seconds between two of these: closing one takes the kernel about 1 ms
RETRY = 0.1  # seconds until a clone is made again, when there were no means for it

T = TypeVar("T")


class Pool:
    """At most (limit) clones, each made when a request finds none that is free. Why one
    cannot be made goes to (tell), once until one can.

    For the event loop's thread; run() takes what would block to threads. (free) may be
    popped and appended to directly; the last one given back is the first one taken:
    its pages are in the caches. (rest): see REST.
    """

    def __init__(
        self,
        make: Callable[[], Vm],
        limit: int,
        tell: Callable[[NativeError], None],
        rest: float = REST,
    ) -> None:
        self._make = make
        self._limit = limit
        self._tell = tell
        self._told = False
        self._retry_at = 0.0
        self.free: list[Vm] = []
        self._idle: list[Vm] = []  # free too, and not needed since the last sweep
        self.made = 0
        self._rest = rest
        self._timer: asyncio.TimerHandle | None = None
        self._threads: ThreadPoolExecutor | None = None

    @property
    def busy(self) -> int:
        """How many clones have been taken."""
        return self.made - len(self.free) - len(self._idle)

    def make(self) -> Vm:
        """A new clone, taken. NativeError when there are no means for it."""
        vm = self._make()
        self.made += 1
        return vm

    def take(self) -> Vm | None:
        """A clone that is free, or a new one. None when there are (limit), or no means
        for one more; with (made) at 0, nobody will give one back."""
        if self.free:
            return self.free.pop()
        if self._idle:
            return self._idle.pop()
        if self.made == self._limit or time.monotonic() < self._retry_at:
            return None
        try:
            vm = self.make()
        except NativeError as error:
            self._fail(error)
            return None
        self._told = False
        self._set_timer(self._rest)
        return vm

    def _fail(self, error: NativeError) -> None:
        self._retry_at = time.monotonic() + RETRY
        if not self._told:
            self._told = True
            self._tell(error)

    def give(self, vm: Vm) -> None:
        """(vm) is as frozen: it may serve again."""
        self.free.append(vm)

    def drop(self, vm: Vm) -> None:
        """(vm), which was taken, cannot be used again. It leaves means for another."""
        vm.close()
        self.made -= 1
        self._retry_at = 0.0

    def _set_timer(self, seconds: float) -> None:
        if self.made and not self._timer:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(seconds, self._sweep)

    def _sweep(self) -> None:
        """Closes, one by one, what nobody has taken since the last sweep; what is free
        then has until the next."""
        self._timer = None
        if self._idle:
            self.drop(self._idle.pop(0))
            self._set_timer(PAUSE)
        else:
            self._idle += self.free
            self.free.clear()
            self._set_timer(self._rest)
        if not self.made:
            self._end_threads()

    async def run(self, work: Callable[[], T]) -> T:
        """What (work) returns, run on a thread of this pool's own: what other pools
        have to do never waits for it."""
        if self._threads is None:
            self._threads = ThreadPoolExecutor(self._limit, "guest")
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, work)

    def _end_threads(self) -> None:
        if self._threads:
            self._threads.shutdown()
            self._threads = None

    def close(self) -> None:
        """Closes the clones that are free."""
        if self._timer:
            self._timer.cancel()
            self._timer = None
        self._end_threads()
        for vm in self.free + self._idle:
            self.drop(vm)
        self.free.clear()
        self._idle.clear()
