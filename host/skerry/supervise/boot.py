"""Starting programs, by way of a boot process; another one, when it dies."""

import contextlib
import os
from collections import Counter
from collections.abc import Callable
from itertools import count

from skerry.child import Child
from skerry.config import Program as Config
from skerry.log import Log
from skerry.machine import CannotServe
from skerry.messages import Begun, Boot, Booted, BootNews, NotBooted, Unfit
from skerry.supervise.programs import Entry, enter

_TRIES = 3  # deaths of the boot process that one program may cost

Done = Callable[[Entry], None]


class Starter:
    """Starts programs; (child) is the boot process while there is one."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._numbers = count(1)
        self.child: Child[BootNews] | None = None

    async def start(self, configs: list[Config], done: Done) -> None:
        """Calls (done) with what has come of each of (configs), as it comes. Raises
        CannotServe when this machine does not serve."""
        missing = {next(self._numbers): each for each in configs}
        deaths: Counter[int] = Counter()
        threads = max(1, len(os.sched_getaffinity(0)))
        while missing:
            run = _Run(missing, done)
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
            return await self.child.ended()
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

    def __init__(self, missing: dict[int, Config], done: Done) -> None:
        self.missing = missing
        self.begun: set[int] = set()
        self._done = done

    async def talk(self, child: Child[BootNews]) -> None:
        """Returns when nothing is missing; EOFError or OSError when (child) dies."""
        for number, config in self.missing.items():
            await child.channel.send(Boot(number, config))
        while self.missing:
            self._hear(*await child.channel.receive())

    def _hear(self, news: BootNews, fds: tuple[int, ...]) -> None:
        match news:
            case Begun():
                self.begun.add(news.id)
            case Unfit():
                raise CannotServe(news.text)
            case _:
                self.settle(news, fds)

    def settle(self, news: Booted | NotBooted, fds: tuple[int, ...]) -> None:
        self.begun.discard(news.id)
        self._done(enter(self.missing.pop(news.id), news, fds))
