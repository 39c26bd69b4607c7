"""The place of one worker: there is always one in it, or another is on its way."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Sequence

from skerry.channel import Nonsense
from skerry.child import Child
from skerry.log import Log
from skerry.messages import (
    Ask,
    Counted,
    Drain,
    Draining,
    Jailed,
    Serving,
    Settle,
    Settled,
    WorkerNews,
)
from skerry.supervise.jailed import tell
from skerry.supervise.listen import Sockets
from skerry.supervise.outside import Outside
from skerry.supervise.programs import Wanted, editions, use
from skerry.supervise.tally import Tally

_LATE = 2.0  # seconds that a worker may be late with news
_READY = 60.0  # seconds that a worker gets to take up all programs
_SILENT = 60.0  # seconds that a worker may owe an answer: its event loop hangs
_SHORT = 10.0  # seconds: a worker that lives less long was started too early
_FIRST, _LONGEST = 0.1, 5.0  # seconds before a worker is started again


def pause(short_lives: int) -> float:
    """Seconds to wait after so many short lives in a row: none after the first."""
    if short_lives < 2:
        return 0.0
    return float(min(_FIRST * 2 ** (short_lives - 2), _LONGEST))


class Slot:
    """Worker (number), on (sockets), serving what is (wanted). (restarts) tells how
    many have died; (serving) is set once the first has begun to serve."""

    def __init__(
        self,
        number: int,
        sockets: Sockets,
        wanted: Wanted,
        tally: Tally,
        log: Log,
        outside: Outside | None = None,
    ) -> None:
        self.number = number
        self._sockets = sockets
        self.restarts = 0
        self.connections = 0
        self._asked = 0.0  # when the worker was last asked, time.monotonic()
        self.since = 0.0  # when the worker was started, time.monotonic()
        self.child: Child[WorkerNews] | None = None
        self.serving = asyncio.Event()
        self._stopping = asyncio.Event()  # no other is to be started
        self._wanted = wanted
        self._tally = tally
        self._log = log
        self._outside = outside
        self._sent: set[int] = set()
        self._is_jailed = False
        self._updating = asyncio.Lock()
        self._news: dict[type, asyncio.Future[WorkerNews]] = {}

    async def run(self) -> None:
        """Has a worker serve; returns when one has ended while stopping."""
        short = 0
        while True:
            how = await self._live()
            if self._stopping.is_set():
                return
            short = short + 1 if time.monotonic() - self.since < _SHORT else 0
            self.restarts += 1
            self._log.problem(f"worker {self.number} {how}; starting another")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause(short))
                return

    async def _live(self) -> str:
        """One worker, from its start to its end; says how it ended."""
        numbers = [each.fileno() for each in self._sockets]
        self.since, self._sent = time.monotonic(), set()
        self._is_jailed = False
        try:
            child: Child[WorkerNews] = Child(
                "skerry.worker", WorkerNews, numbers, numbers
            )
        except OSError as error:
            return f"cannot be started: {error.strerror}"
        self.child = child
        helpers = [
            asyncio.create_task(work) for work in (self._listen(child), self._begin())
        ]
        try:
            return f"(pid {child.pid}) died: {await child.ended()}"
        finally:
            self.child = None
            for task in helpers:
                task.cancel()
            self._forget()
            await asyncio.gather(*helpers, return_exceptions=True)
            child.close()

    async def _listen(self, child: Child[WorkerNews]) -> None:
        """Takes what the worker says to whoever waits for it. It runs guests, so it may
        say anything."""
        try:
            while True:
                news, fds = await child.channel.receive()
                for fd in fds:
                    os.close(fd)
                self._hear(news)
        except Nonsense as error:
            self._log.problem(f"worker {self.number} sent {error}: ending it")
            child.signal(signal.SIGKILL)
        except (EOFError, OSError):
            pass  # its end is seen elsewhere

    def _hear(self, news: WorkerNews) -> None:
        if isinstance(news, Jailed):
            self._note(news)
        if isinstance(news, Counted):
            self.connections = news.connections
            known = self._wanted.entries.keys() & news.programs.keys()
            self._tally.note(self.number, {name: news.programs[name] for name in known})
        waiter = self._news.pop(type(news), None)
        if waiter and not waiter.done():
            waiter.set_result(news)

    def _note(self, news: Jailed) -> None:
        if self._is_jailed:
            raise Nonsense("nonsense about its jail")
        self._is_jailed = True
        tell(self._log, news)

    async def _begin(self) -> None:
        await self._wanted.known.wait()
        if await self.update():
            self.serving.set()

    async def update(self) -> bool:
        """Brings the worker up to what is wanted. False if there is none, or it dies;
        its successor begins with what is wanted then. One that takes too long is
        ended."""
        async with self._updating:
            child = self.child
            if child is None:
                return False
            try:
                async with asyncio.timeout(_READY):
                    return await self._bring(child)
            except TimeoutError:
                self._log.problem(
                    f"worker {self.number} does not serve after {_READY:g} s: ending it"
                )
                child.signal(signal.SIGKILL)
            except OSError:
                pass
            return False

    async def _bring(self, child: Child[WorkerNews]) -> bool:
        # What is wanted may change at any await: it is told what it has been sent.
        entries, held = self._wanted.entries, self._wanted.held
        for each in editions(entries):
            if each.id not in self._sent:
                with each.for_one_more() as fds:
                    await child.channel.send(each.parcel, fds)
                self._sent.add(each.id)
        if self._outside:
            await self._outside.join(child)
        return await self._say(child, use(entries, held), Serving)

    async def settle(self, programs: Sequence[int], seconds: float) -> None:
        """Returns when the worker has nothing in flight for (programs), editions by id,
        or soon after (seconds)."""
        child = self.child
        if child and self.serving.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds + _LATE):
                    await self._say(child, Settle(list(programs), seconds), Settled)

    async def ask(self) -> None:
        """Has the worker tell what it has counted, unless it still owes an answer. One
        that owes it for too long hangs, and is ended."""
        if self.child is None:
            return
        if Counted not in self._news:
            self._asked = time.monotonic()
            await self._say(self.child, Ask(), Counted)
        elif self.serving.is_set() and time.monotonic() > self._asked + _SILENT:
            self._log.problem(
                f"worker {self.number} has not answered for {_SILENT:g} s: ending it"
            )
            self.child.signal(signal.SIGKILL)

    async def drain(self, seconds: float) -> None:
        """Has the worker end within (seconds); returns when it accepts nobody."""
        self._stopping.set()
        if self.child:
            await self._say(self.child, Drain(seconds), Draining)

    async def _say(
        self, child: Child[WorkerNews], message: object, answer: type[WorkerNews]
    ) -> bool:
        """Sends (message), and waits for news of type (answer). False if it dies."""
        waiter = asyncio.get_running_loop().create_future()
        self._news[answer] = waiter
        try:
            await child.channel.send(message)
            await waiter
        except OSError:
            return False
        return True

    def _forget(self) -> None:
        """The worker has died: what it has counted stays, who waits for it goes on."""
        self._tally.bury(self.number)
        self.connections = 0
        for waiter in self._news.values():
            if not waiter.done():
                waiter.set_exception(BrokenPipeError())
                waiter.exception()  # it may be that nobody looks
        self._news.clear()

    def close(self) -> None:
        """Ends the worker at once; then run() returns."""
        self._stopping.set()
        if self.child:
            self.child.signal(signal.SIGKILL)

    def close_sockets(self) -> None:
        """From now on, when the worker has closed its own, nobody accepts."""
        for each in self._sockets:
            each.close()
