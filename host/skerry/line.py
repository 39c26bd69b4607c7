"""The requests of one program that have not begun, in the order in which they came."""

import asyncio
from collections import deque
from collections.abc import Callable
from itertools import islice

from skerry.message import Request

FULL = "503 too many requests wait for this program\n"
LATE = "503 all machines of this program are busy\n"


class Line:
    """When no clone is free they wait, at most (seconds) each, and at most (limit) of
    them where it says so; the others go to (refuse), with the reason.

    (requests) may be appended to. One timer, for who has waited longest, serves all.
    """

    def __init__(
        self, limit: int, seconds: float, refuse: Callable[[Request, str], None]
    ) -> None:
        self._limit = limit
        self._seconds = seconds
        self._refuse = refuse
        self.requests: deque[Request] = deque()
        self._until: deque[float] = deque()  # of the first of them: when they give up
        self._timer: asyncio.TimerHandle | None = None

    def first(self, count: int) -> list[Request]:
        """The next (count) requests."""
        if len(self.requests) <= count:
            return list(self.requests)
        return list(islice(self.requests, count))

    def leave(self, count: int) -> None:
        """The first (count) requests have begun."""
        if count == len(self.requests):
            self.requests.clear()
            self._until.clear()
            return
        for _ in range(count):
            self.requests.popleft()
        for _ in range(min(count, len(self._until))):
            self._until.popleft()

    def wait(self) -> None:
        """No clone is free: who has come since the last time waits from now on."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self._seconds
        self._until += [until] * (len(self.requests) - len(self._until))
        self._set_timer(loop)

    def wait_in_bounds(self) -> None:
        """The same, but for those who find (limit) before them."""
        refused = self._leavers() if len(self.requests) > self._limit else []
        while len(self.requests) > self._limit:
            refused.append(self.requests.pop())
        while len(self._until) > len(self.requests):
            self._until.pop()
        self.wait()
        for request in refused:
            self._refuse(request, FULL)

    def refuse_all(self, reason: str) -> None:
        """Nobody in the line will ever have a turn."""
        refused = list(self.requests)
        self.leave(len(refused))
        for request in refused:
            self._refuse(request, reason)

    def close(self) -> None:
        """Stops the timer."""
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _leavers(self) -> list[Request]:
        """Who has closed his side of the connection while waiting, taken out. One who
        could still read gets his answer, a 503."""
        waiting = list(zip(self.requests, self._until, strict=False))
        fresh = list(self.requests)[len(waiting) :]
        stay = [each for each in waiting if not each[0].client.is_gone]
        self.requests.clear()
        self.requests += [request for request, _ in stay] + fresh
        self._until = deque(until for _, until in stay)
        return [request for request, _ in waiting if request.client.is_gone]

    def _set_timer(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._until and not self._timer:
            self._timer = loop.call_at(self._until[0], self._expire, loop)

    def _expire(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        now = loop.time()
        late = sum(until <= now for until in self._until)
        refused = list(islice(self.requests, late))
        self.leave(late)
        self._set_timer(loop)
        for request in refused:
            self._refuse(request, LATE)
