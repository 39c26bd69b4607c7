"""The clones of one program: made for its requests, taken, given back as they were
frozen, and closed when nobody has needed them for a while."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from math import inf
from typing import TypeVar

from skerry.native import NativeError, Vm

REST = 5.0  # seconds between sweeps: after one to two of them an idle clone is closed
RETRY = 0.1  # seconds until a clone is made again, when there were no means for it

T = TypeVar("T")


class Pool:
    """At most (limit) clones, each made when a request finds none that is free.

    (changed) is called when it may be worth to take() again; why there are no means for
    a clone goes to (tell), once until there are.

    For the event loop's thread. What takes the kernel a millisecond and more, making
    and closing clones, is done on threads of the pool's own, and so is what run() gets:
    other programs never wait for it.

    (free) may be popped and appended to directly; the last one given back is the first
    one taken: its pages are in the caches. (rest): see REST; with inf, no clone is
    closed for being idle.
    """

    def __init__(
        self,
        make: Callable[[], Vm],
        limit: int,
        changed: Callable[[], None],
        tell: Callable[[NativeError], None],
        rest: float = REST,
    ) -> None:
        self._make = make
        self._limit = limit
        self._changed = changed
        self._tell = tell
        self._told = False
        self._retry_at = 0.0
        self.free: list[Vm] = []
        self._idle: list[Vm] = []  # free too, and not needed since the last sweep
        self.made = 0
        self._making = False
        self._closing = 0  # clones, of those made
        self._rest = rest
        self._timer: asyncio.TimerHandle | None = None
        self._threads: ThreadPoolExecutor | None = None
        self._closed = False

    @property
    def available(self) -> int:
        """How many clones are free."""
        return len(self.free) + len(self._idle)

    @property
    def busy(self) -> int:
        """How many clones have been taken."""
        return self.made - self.available - self._closing

    @property
    def is_growing(self) -> bool:
        """A clone is on its way."""
        return self._making

    @property
    def is_changing(self) -> bool:
        """(changed) will be called."""
        return self._making or self._closing > 0

    @property
    def is_idle(self) -> bool:
        """No clone is taken, made or closed."""
        return not self.busy and not self.is_changing

    def take(self) -> Vm | None:
        """A clone that is free, or None. Then wait for (changed), or for one that comes
        back; when it is neither (is_growing) nor has (made) any, neither will be."""
        if self.free:
            return self.free.pop()
        if self._idle:
            return self._idle.pop()
        self._grow()
        return None

    def _grow(self) -> None:
        """One at a time: by when it is there, fewer may need it."""
        may_try = time.monotonic() >= self._retry_at
        if self.made < self._limit and not self._making and may_try:
            self._making = True
            self._start(self._make).add_done_callback(self._grown)

    def _grown(self, made: asyncio.Future[Vm]) -> None:
        self._making = False
        try:
            vm = made.result()
        except NativeError as error:
            self._fail(error)
        else:
            self._add(vm)
        self._changed()

    def _add(self, vm: Vm) -> None:
        if self._closed:
            vm.close()
            return
        self.made += 1
        self.free.append(vm)
        self._told = False

    def _fail(self, error: NativeError) -> None:
        self._retry_at = time.monotonic() + RETRY
        if not self._told:
            self._told = True
            self._tell(error)

    def give(self, vm: Vm) -> None:
        """(vm) is as frozen: it may serve again."""
        self.free.append(vm)

    def drop(self, vm: Vm) -> None:
        """(vm), which was taken, cannot be used again. Leaves means for another."""
        self._closing += 1
        self._start(vm.close).add_done_callback(self._dropped)

    def _dropped(self, closed: asyncio.Future[None]) -> None:
        self._closing -= 1
        self.made -= 1
        self._retry_at = 0.0
        self._changed()

    def _set_timer(self) -> None:
        if not self._timer and self._rest < inf:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._rest, self._sweep)

    def _sweep(self) -> None:
        """Closes what nobody has taken since the last sweep; what is free now has until
        the next. When there is nothing left, the threads go too, and no timer runs."""
        self._timer = None
        for vm in self._idle:
            self.drop(vm)
        self._idle = self.free[:]
        self.free.clear()
        if self.made or self._making:
            self._set_timer()
        elif self._threads:
            self._threads.shutdown(wait=False)
            self._threads = None

    def _start(self, work: Callable[[], T]) -> asyncio.Future[T]:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(self._limit, "guest")
        self._set_timer()
        return asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def run(self, work: Callable[[], T]) -> T:
        """What (work) returns, run on a thread."""
        return await self._start(work)

    def close(self) -> None:
        """Closes the clones that are free, and ends the threads. None may be taken."""
        self._closed = True
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if self._threads:
            self._threads.shutdown()
        for vm in self.free + self._idle:
            vm.close()
        self.free.clear()
        self._idle.clear()
