"""What changes what is served: one job at a time, in the order in which they come."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from skerry.errors import SkerryError

T = TypeVar("T")
Work = Callable[[], Awaitable[T]]


class Jobs:
    """Jobs wait until somebody runs them all, with run()."""

    def __init__(self) -> None:
        self._waiting: asyncio.Queue[tuple[Work[Any], asyncio.Future[Any]]] = (
            asyncio.Queue()
        )
        self._is_over = False

    async def do(self, work: Work[T]) -> T:
        """What comes of (work) when it has had its turn. SkerryError when there is none
        any more."""
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        if self._is_over:
            _stop(done)
        else:
            self._waiting.put_nowait((work, done))
        return await done

    async def run(self) -> None:
        """Returns only when it is cancelled; then nothing is done any more."""
        done: asyncio.Future[Any] | None = None
        try:
            while True:
                work, done = await self._waiting.get()
                await _do(work, done)
        finally:
            self._is_over = True
            if done:
                _stop(done)
            while not self._waiting.empty():
                _stop(self._waiting.get_nowait()[1])


async def _do(work: Work[Any], done: asyncio.Future[Any]) -> None:
    """Whoever has asked for it may have left."""
    try:
        result = await work()
    except SkerryError as error:
        if not done.done():
            done.set_exception(error)
    else:
        if not done.done():
            done.set_result(result)


def _stop(done: asyncio.Future[Any]) -> None:
    if not done.done():
        done.set_exception(SkerryError("this skerry is stopping"))
