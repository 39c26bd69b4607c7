"""The tasks of a program's storage, run when they are due."""

import asyncio
import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from skerry.native import NativeError, Storage

LOOK = 1.0  # seconds: what another process has ordered, or left, is seen so late
_RETRY = 0.1  # seconds, when what is due cannot be run now
_TURN = 16  # tasks until the event loop has its turn


class Tasks:
    """Runs what is due in (storage), one task at a time, on a thread of its own: it may
    take seconds, and wait for other processes as long. All processes of a program do
    this; each task is run by one of them.

    (sync), if there is one, makes commits outlive a power loss; (told) is called on the
    event loop's thread when the console may have lines.
    """

    def __init__(
        self,
        storage: Storage,
        sync: Callable[[], None] | None,
        told: Callable[[], None],
    ) -> None:
        self._storage = storage
        self._sync = sync
        self._told = told
        self._threads: ThreadPoolExecutor | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._running = False
        self._ended = False

    @property
    def is_idle(self) -> bool:
        """None is being run here."""
        return not self._running

    def look(self) -> None:
        """Runs what is due, and looks again in time. To be called to begin with, and
        when something may be due earlier than it was."""
        if self._running or self._ended:
            return
        wait = self._storage.next_task()
        if wait > 0:
            self._look_in(wait)
        else:
            self._start()

    def _look_in(self, seconds: float) -> None:
        if self._timer:
            self._timer.cancel()
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(min(seconds, LOOK), self.look)

    def _start(self) -> None:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(1, "task")
        loop = asyncio.get_running_loop()
        try:
            future = loop.run_in_executor(self._threads, self.run, _TURN)
        except RuntimeError:  # can't start new thread
            self._look_in(_RETRY)
            return
        self._running = True
        future.add_done_callback(self._done)

    def run(self, most: int) -> int:
        """Runs up to (most) tasks, as long as any is due. Blocks. Returns how many."""
        count = 0
        while count < most and self._storage.run_task():
            count += 1
        if count and self._sync:
            with contextlib.suppress(NativeError):  # which has been logged
                self._sync()
        return count

    def _done(self, future: asyncio.Future[int]) -> None:
        self._running = False
        if self._ended:
            return
        self._told()
        wait = max(self._storage.next_task(), 0.0 if future.result() else _RETRY)
        self._look_in(wait)

    def end(self) -> None:
        """Begins none any more; what runs is left to another process."""
        self._ended = True
        self._storage.stop_tasks()
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def close(self) -> None:
        """Also waits for the thread, which takes a moment."""
        self.end()
        if self._threads:
            self._threads.shutdown()
