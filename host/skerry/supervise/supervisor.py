"""The supervisor: binds, has programs started, keeps workers running, stops.

It runs no guest and never opens /dev/kvm, so that nothing a program does can end it."""

import asyncio
import contextlib
import signal
from collections.abc import Coroutine
from dataclasses import dataclass

from skerry.config import Config
from skerry.log import Log
from skerry.machine import check_device
from skerry.supervise import listen
from skerry.supervise.boot import Starter
from skerry.supervise.programs import (
    Entries,
    Entry,
    Wanted,
    editions,
    ready_line,
)
from skerry.supervise.slot import Slot
from skerry.supervise.tally import Tally

_EXTRA = 2.0  # seconds beyond the grace before a worker that drains is killed
_REFUSING = 1.0  # seconds that workers get to stop accepting, before we say so


@dataclass(frozen=True)
class Options:
    """How to serve; (drain) is in seconds."""

    host: str
    port: int
    workers: int
    drain: float


class Supervisor:
    """Serves (config) as (options) say until SIGTERM or SIGINT comes."""

    def __init__(self, config: Config, options: Options, log: Log) -> None:
        self._config = config
        self._options = options
        self._log = log
        self._wanted = Wanted()
        self._stop = asyncio.Event()
        self._now = asyncio.Event()  # stop without waiting for anything
        self._starter = Starter(log)
        self._tally = Tally()
        self._slots: list[Slot] = []

    async def run(self) -> None:
        """Returns when all is over. CannotServe when it cannot begin."""
        check_device()
        self._catch_signals()
        self._make_slots()
        living = [asyncio.create_task(each.run()) for each in self._slots]
        try:
            await self._until_stopped(self._serve())
            await self._drain(living)
        finally:
            for each in self._slots:
                each.close()
            await asyncio.gather(*living, return_exceptions=True)
            for edition in editions(self._wanted.entries):
                edition.close()

    def _catch_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for each in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(each, self._on_stop)

    def _on_stop(self) -> None:
        """The second one means now."""
        (self._now if self._stop.is_set() else self._stop).set()

    def _make_slots(self) -> None:
        options = self._options
        bound = listen.bind(options.host, options.port, options.workers)
        self._port = bound[0][0].getsockname()[1]
        for number, sockets in enumerate(bound, 1):
            slot = Slot(number, sockets, self._wanted, self._tally, self._log)
            self._slots.append(slot)

    async def _until_stopped(self, work: Coroutine[None, None, None]) -> None:
        """Runs (work) to its end, or until we are told to stop."""
        task = asyncio.create_task(work)
        stop = asyncio.create_task(self._stop.wait())
        await asyncio.wait((task, stop), return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        if task.done():
            return task.result()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    async def _serve(self) -> None:
        """Starts the programs, then does what comes up; never returns."""
        started: Entries = {}
        await self._starter.start(
            list(self._config.programs), lambda each: self._note(started, each)
        )
        names = (each.name for each in self._config.programs)
        self._wanted.entries = {name: started[name] for name in names}
        self._wanted.known.set()
        for each in self._slots:
            await each.serving.wait()
        self._log.info(f"listening on {listen.place(self._options.host, self._port)}")
        await asyncio.Event().wait()

    def _note(self, started: Entries, entry: Entry) -> None:
        name = entry.config.name
        started[name] = entry
        if entry.edition:
            self._log.info(ready_line(entry.edition))
        else:
            self._log.problem(f"program '{name}': {entry.failure}")

    async def _drain(self, living: list[asyncio.Task[None]]) -> None:
        """Ends all workers, each when what it has in flight is done."""
        seconds = self._options.drain
        refusing = asyncio.gather(*(each.drain(seconds) for each in self._slots))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(refusing, _REFUSING)
        for each in self._slots:
            each.close_sockets()
        self._log.info("stopping")
        now = asyncio.create_task(self._now.wait())
        ended = asyncio.gather(*living)
        await asyncio.wait(
            (ended, now), timeout=seconds + _EXTRA, return_when=asyncio.FIRST_COMPLETED
        )
        now.cancel()
