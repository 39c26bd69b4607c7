"""Starting programs, by way of a boot process; another one, when it dies."""

import asyncio
import contextlib
import os
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from itertools import count

from skerry.channel import Nonsense
from skerry.child import Child
from skerry.config import Program
from skerry.errors import ProgramError
from skerry.files import open_files
from skerry.log import Log
from skerry.machine import CannotServe
from skerry.messages import (
    Begun,
    Boot,
    Booted,
    BootNews,
    Jailed,
    NotBooted,
    Unfit,
)
from skerry.supervise.jailed import tell
from skerry.supervise.programs import Edition, Entry, enter

_END = 5.0  # seconds that it gets to end when all is done
_TRIES = 3  # deaths of the boot process that one program may cost

# A program to start, and the edition that its state may live on from.
Order = tuple[Program, Edition | None]
Done = Callable[[Entry], None]
_News = Jailed | Begun | Booted | NotBooted


class Starter:
    """Starts programs; (child) is the boot process while there is one."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._numbers = count(1)
        self.child: Child[BootNews] | None = None

    async def start(self, orders: Sequence[Order], done: Done) -> None:
        """Calls (done) with what has come of each of (orders), as it comes. Raises
        CannotServe when this machine does not serve."""
        missing = {next(self._numbers): each for each in orders}
        deaths: Counter[int] = Counter()
        threads = max(1, len(os.sched_getaffinity(0)))
        while missing:
            run = _Run(missing, done, self._log)
            how = await self._attend(run, threads)
            if missing:
                threads = 1  # so that the next death has one cause
                self._blame(run, deaths, how)

    async def _attend(self, run: "_Run", threads: int) -> str:
        """Runs a boot process to its end; returns how that was."""
        self.child = self._launch(threads)
        try:
            with contextlib.suppress(OSError, EOFError):
                await run.talk(self.child)
            self.child.channel.close()
            return await asyncio.wait_for(self.child.ended(), _END)
        except Nonsense as error:
            return f"it sent {error}"
        except TimeoutError:
            return f"it did not end within {_END:g} s"
        finally:
            self.child.close()
            self.child = None

    def _launch(self, threads: int) -> Child[BootNews]:
        try:
            return Child("skerry.booter", BootNews, [threads])
        except OSError as error:
            reason = error.strerror
            raise CannotServe(f"cannot start the boot process: {reason}") from None

    def _blame(self, run: "_Run", deaths: Counter[int], how: str) -> None:
        """Gives up the programs whose start-up has ended too many boot processes."""
        self._log.problem(f"the boot process died: {how}; starting another")
        suspects = [each for each in run.begun or run.missing if each in run.missing]
        deaths.update(suspects)
        for number in suspects:
            if deaths[number] >= _TRIES:
                reason = f"the boot process died {_TRIES} times: {how}"
                run.settle(NotBooted(number, "start-up", reason), ())


class _Run:
    """One boot process's work: what is (missing), and which of it has (begun)."""

    def __init__(self, missing: dict[int, Order], done: Done, log: Log) -> None:
        self.missing = missing
        self.begun: set[int] = set()
        self._done = done
        self._log = log
        self._is_jailed = False

    async def talk(self, child: Child[BootNews]) -> None:
        """Returns when nothing is missing; EOFError or OSError when (child) dies."""
        for number, (config, old) in list(self.missing.items()):
            try:
                await self._order(child, number, config, old)
            except ProgramError as error:
                self.settle(NotBooted(number, error.step, error.reason), ())
        while self.missing:
            self._hear(*await child.channel.receive())

    async def _order(
        self,
        child: Child[BootNews],
        number: int,
        config: Program,
        old: Edition | None,
    ) -> None:
        order = Boot(number, config, old.data if old else None)
        with ExitStack() as held:
            files = await asyncio.to_thread(held.enter_context, open_files(config))
            more = held.enter_context(old.for_one_more()) if old else ()
            await child.channel.send(order, (*files.fds, *more))

    def _hear(self, news: BootNews, fds: tuple[int, ...]) -> None:
        if isinstance(news, Unfit):
            raise CannotServe(news.text)
        if not self._makes_sense(news, fds):
            for fd in fds:
                os.close(fd)
            raise Nonsense(f"nonsense: {type(news).__name__}")
        match news:
            case Jailed():
                self._is_jailed = True
                tell(self._log, news)
            case Begun():
                self.begun.add(news.id)
            case _:
                self.settle(news, fds)

    def _makes_sense(self, news: _News, fds: tuple[int, ...]) -> bool:
        """The boot process runs guests too, and what it sends is handed on. Only what
        it says before that, once, goes to the log as it is."""
        if isinstance(news, Jailed):
            return not fds and not self._is_jailed
        if news.id not in self.missing:
            return False
        if not isinstance(news, Booted):
            return not fds
        return bool(fds) and (news.seat is None or 0 <= news.seat < len(fds))

    def settle(self, news: Booted | NotBooted, fds: tuple[int, ...]) -> None:
        self.begun.discard(news.id)
        config, _ = self.missing.pop(news.id)
        self._done(enter(config, news, fds))
