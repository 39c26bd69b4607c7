"""Answers that wait until what they tell of is on the disk."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor


class GroupCommit:
    """Calls (sync), which blocks, on a thread of its own, one call at a time. All that
    wait when a call begins have waited when it ends; who comes later needs the next
    one, as the call may have begun before what he has written."""

    def __init__(self, sync: Callable[[], None]) -> None:
        self._sync = sync
        self._threads = ThreadPoolExecutor(1, "sync")
        self._now: asyncio.Task[None] | None = None
        self._next: asyncio.Task[None] | None = None  # has not called (sync) yet

    @property
    def is_idle(self) -> bool:
        """Nobody waits."""
        return self._next is None and (self._now is None or self._now.done())

    def wait(self) -> Awaitable[None]:
        """What returns when (sync) has run from beginning to end, and raises what it
        raises. Who has it waits, awaiting it or not."""
        if self._next is None:
            self._next = asyncio.ensure_future(self._commit(self._now))
        return asyncio.shield(self._next)

    async def _commit(self, before: "asyncio.Task[None] | None") -> None:
        if before and not before.done():
            await asyncio.wait([before])
        self._now, self._next = self._next, None
        await asyncio.get_running_loop().run_in_executor(self._threads, self._sync)

    def close(self) -> None:
        """Ends the thread. Nobody may be waiting."""
        self._threads.shutdown()
