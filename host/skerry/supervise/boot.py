"""Starting programs, by way of a boot process; another one, when it dies."""

import asyncio
import contextlib
import os
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from skerry.channel import Nonsense
from skerry.child import Child
from skerry.cold import NotUsable
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
    HandOver,
    Jailed,
    Move,
    Moved,
    NotBooted,
    Prepared,
    Unfit,
)
from skerry.supervise.jailed import tell
from skerry.supervise.programs import Edition, Entry, enter
from skerry.supervise.thaw import thaw

_END = 5.0  # seconds that it gets to end when all is done
_TRIES = 3  # deaths of the boot process that one program may cost

Done = Callable[[Entry], None]
Hold = Callable[[Sequence[Edition]], Awaitable[None]]
_News = Jailed | Begun | Prepared | Booted | Moved | NotBooted
STEP = "live update"


@dataclass(frozen=True)
class Order:
    """A program to start, and the edition that its state may live on from. (program) is
    its file, where that is not the configured one yet."""

    config: Program
    old: Edition | None = None
    program: Path | None = None

    @property
    def replaces_storage(self) -> bool:
        """Whether what it keeps in its storage_file may take the place of another's."""
        file = self.config.storage_file
        return bool(file and self.old and self.old.config.storage_file == file)


class Starter:
    """Starts programs; (child) is the boot process while there is one. Before state is
    handed over, (hold) has the editions that serve begin no more requests."""

    def __init__(self, log: Log, hold: Hold) -> None:
        self._log = log
        self._hold = hold
        self._numbers = count(1)
        self.child: Child[BootNews] | None = None

    async def start(self, orders: Sequence[Order], done: Done) -> None:
        """Calls (done) with what has come of each of (orders), as it comes. Raises
        CannotServe when this machine does not serve."""
        numbered = {next(self._numbers): each for each in orders}
        missing = await self._thaw(numbered, done)
        deaths: Counter[int] = Counter()
        threads = max(1, len(os.sched_getaffinity(0)))
        while missing:
            run = _Run(missing, done, self._log, self._hold)
            how = await self._attend(run, threads)
            run.decide(how)
            if missing:
                threads = 1  # so that the next death has one cause
                self._blame(run, deaths, how)

    async def _thaw(self, orders: dict[int, Order], done: Done) -> dict[int, Order]:
        """Those of (orders) that have to be started; the others are (done), as their
        machines are kept in files."""
        missing = {}
        for number, order in orders.items():
            entry = await asyncio.to_thread(self._thaw_one, number, order)
            if entry:
                done(entry)
            else:
                missing[number] = order
        return missing

    def _thaw_one(self, number: int, order: Order) -> Entry | None:
        config, path = order.config, order.config.cold_start_file
        if path is None or order.old or order.program:
            return None
        try:
            return thaw(number, config, path)
        except NotUsable as error:
            self._log.info(f"program '{config.name}': not taken from {path}: {error}")
            return None
        except ProgramError as error:
            news = NotBooted(number, error.step, error.reason)
            return enter(config, news, ())

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
    """One boot process's work: what is (missing), which of it has (begun); which is
    (prepared) to take state over, does so (handing), and has done so (moving)."""

    def __init__(
        self, missing: dict[int, Order], done: Done, log: Log, hold: Hold
    ) -> None:
        self.missing = missing
        self.begun: set[int] = set()
        self._prepared: set[int] = set()
        self._handing: set[int] = set()
        self._moving: dict[int, tuple[Booted, tuple[int, ...]]] = {}
        self._done = done
        self._log = log
        self._hold = hold
        self._is_held = False
        self._is_jailed = False

    async def talk(self, child: Child[BootNews]) -> None:
        """Returns when nothing is missing; EOFError or OSError when (child) dies."""
        for number, order in list(self.missing.items()):
            try:
                await self._order(child, number, order)
            except ProgramError as error:
                self.settle(NotBooted(number, error.step, error.reason), ())
        while self.missing:
            news, fds = await child.channel.receive()
            self._hear(news, fds)
            if isinstance(news, Booted) and news.id in self._moving:
                await child.channel.send(Move(news.id))
            await self._hand_over_next(child)

    async def _order(self, child: Child[BootNews], number: int, order: Order) -> None:
        config, old = order.config.for_guests(), order.old
        with ExitStack() as held:
            opening = open_files(config, order.program, order.replaces_storage)
            files = await asyncio.to_thread(held.enter_context, opening)
            more = held.enter_context(old.for_one_more()) if old else ()
            data = old.data if old else None
            message = Boot(number, config, data, files.loader >= 0)
            await child.channel.send(message, (*files.fds, *more))

    async def _hand_over_next(self, child: Child[BootNews]) -> None:
        """When all else is done, since requests wait from then on: one at a time."""
        if not self._prepared or self._handing or self._moving:
            return
        if not self._is_held:
            if self.missing.keys() != self._prepared:
                return
            self._is_held = True
            orders = [self.missing[each] for each in self._prepared]
            await self._hold([each.old for each in orders if each.old])
        number = min(self._prepared)
        self._prepared.remove(number)
        self._handing.add(number)
        await child.channel.send(HandOver(number))

    def decide(self, how: str) -> None:
        """The boot process is over, by (how): what it was handing over has been, or has
        not. Requests have waited long enough to try no more."""
        for number, (news, fds) in list(self._moving.items()):
            if self._has_moved(number):
                self.settle(news, fds)
            else:
                _close(fds)
        if self._is_held:
            reason = f"the boot process died: {how}"
            for number in list(self.missing):
                self.settle(NotBooted(number, STEP, reason), ())

    def _has_moved(self, number: int) -> bool:
        old = self.missing[number].old
        return bool(old and old.is_moved)

    def _hear(self, news: BootNews, fds: tuple[int, ...]) -> None:
        if isinstance(news, Unfit):
            raise CannotServe(news.text)
        if not self._makes_sense(news, fds):
            _close(fds)
            raise Nonsense(f"nonsense: {type(news).__name__}")
        match news:
            case Jailed():
                self._is_jailed = True
                tell(self._log, news)
            case Begun():
                self.begun.add(news.id)
            case Prepared():
                self.begun.discard(news.id)
                self._prepared.add(news.id)
            case Booted(origin="handed"):
                self._handing.remove(news.id)
                self._moving[news.id] = news, fds
            case Moved():
                self.settle(*self._moving[news.id])
            case _:
                self.settle(news, fds)

    def _makes_sense(self, news: _News, fds: tuple[int, ...]) -> bool:
        """The boot process runs guests too, and what it sends is handed on. Only what
        it says before that, once, goes to the log as it is."""
        if isinstance(news, Jailed):
            return not fds and not self._is_jailed
        if news.id not in self.missing:
            return False
        match news:
            case Booted():
                is_whole = news.seat is None or 0 <= news.seat < len(fds)
                return bool(fds) and is_whole and self._is_possible(news)
            case Prepared():
                return not fds and news.id in self.begun and self._has_state(news.id)
            case Moved():
                return not fds and news.id in self._moving and self._has_moved(news.id)
            case _:
                return not fds and news.id not in self._moving

    def _is_possible(self, news: Booted) -> bool:
        """Whether its storage can have come about as it says."""
        if news.origin == "handed":
            return news.id in self._handing
        is_begun = not {news.id} & (
            self._prepared | self._handing | self._moving.keys()
        )
        return is_begun and (news.origin == "new" or self._has_state(news.id))

    def _has_state(self, number: int) -> bool:
        old = self.missing[number].old
        return bool(old and old.seat is not None)

    def settle(self, news: Booted | NotBooted, fds: tuple[int, ...]) -> None:
        for each in (self.begun, self._prepared, self._handing):
            each.discard(news.id)
        self._moving.pop(news.id, None)
        order = self.missing.pop(news.id)
        self._done(enter(order.config, news, fds))


def _close(fds: Sequence[int]) -> None:
    for fd in fds:
        os.close(fd)
