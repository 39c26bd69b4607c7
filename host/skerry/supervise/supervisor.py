"""The supervisor: binds, has programs started, keeps workers running, stops.

It runs no guest and never opens /dev/kvm, so that nothing a program does can end it."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass

import msgspec

from skerry import cgroup
from skerry.config import Config
from skerry.log import Log
from skerry.machine import CannotServe, check_device
from skerry.supervise import door, listen
from skerry.supervise.admin import Admin
from skerry.supervise.boot import Starter
from skerry.supervise.files import raise_limit
from skerry.supervise.fleet import Fleet
from skerry.supervise.jobs import Jobs
from skerry.supervise.loader import Loader
from skerry.supervise.notify import Notifier
from skerry.supervise.outside import Outside
from skerry.supervise.programs import Wanted, editions
from skerry.supervise.reloaded import Reloaded
from skerry.supervise.slot import Slot
from skerry.supervise.survey import Survey
from skerry.supervise.tally import Tally
from skerry.supervise.update import Updater

_EXTRA = 2.0  # seconds beyond the grace before a worker that drains is killed
_REFUSING = 1.0  # seconds that workers get to stop accepting, before we say so
_LOOK = 1.0  # seconds between looks at what workers have counted


@dataclass(frozen=True)
class Options:
    """How to serve; (drain) is in seconds. (admin): where programs are uploaded."""

    host: str
    port: int
    workers: int
    drain: float
    admin: tuple[str, int] | None = None


class Supervisor:
    """Serves (config) as (options) say until SIGTERM or SIGINT comes."""

    def __init__(self, config: Config, options: Options, log: Log) -> None:
        self._config = config
        self._options = options
        self._log = log
        self._hang_up = asyncio.Event()  # load the configuration again
        self._stop = asyncio.Event()
        self._now = asyncio.Event()  # stop without waiting for anything
        self._wanted = Wanted(config)
        self._slots: list[Slot] = []
        self._outside = Outside(self._wanted, log)
        fleet = Fleet(self._wanted, self._slots, self._outside)
        self._starter = Starter(log, fleet.hold)
        self._loader = Loader(self._starter, self._wanted, log)
        self._updater = Updater(self._loader, self._wanted, fleet, log)
        self._jobs = Jobs()
        self._notifier = Notifier()
        self._tally = Tally()
        self._place = ""

    async def run(self) -> None:
        """Returns when all is over. CannotServe when it cannot begin."""
        check_device()
        cgroup.sweep()
        self._catch_signals()
        self._bind()
        if warning := raise_limit(self._config):
            self._log.info(f"warning: {warning}")
        outside = asyncio.create_task(self._outside.run())
        living = [asyncio.create_task(each.run()) for each in self._slots]
        try:
            async with self._open_door():
                await self._until_stopped(self._serve(), living)
                await self._drain(living)
        finally:
            for each in self._slots:
                each.close()
            outside.cancel()
            await asyncio.gather(*living, outside, return_exceptions=True)
            for edition in editions(self._wanted.entries):
                edition.close()

    def _catch_signals(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, self._hang_up.set)
        for each in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(each, self._on_stop)

    def _on_stop(self) -> None:
        """The second one means now."""
        (self._now if self._stop.is_set() else self._stop).set()

    def _bind(self) -> None:
        options = self._options
        self._place = listen.place(options.host, options.port)
        if options.port and door.is_served(self._place):
            raise CannotServe(
                f"another skerry already serves {self._place} (skerry status --listen "
                f"{self._place} shows it): stop it, or choose another address with "
                "--listen HOST:PORT"
            )
        bound = listen.bind(options.host, options.port, options.workers)
        self._place = listen.place(options.host, bound[0][0].getsockname()[1])
        for number, sockets in enumerate(bound, 1):
            slot = Slot(
                number, sockets, self._wanted, self._tally, self._log, self._outside
            )
            self._slots.append(slot)

    @contextlib.asynccontextmanager
    async def _open_door(self) -> AsyncIterator[None]:
        """Tells who asks how it goes, and does what they want done."""
        survey = Survey(
            self._place, self._wanted, self._slots, self._tally, self._starter
        )
        made = door.Door(
            {door.STATUS: survey.report, door.RELOAD: self._reload}, self._log
        )
        admin = Admin(self._wanted, self._updater, self._jobs, survey.report)
        if self._options.admin:
            text = await admin.open(*self._options.admin)
            self._log.info(f"administered on {text}")
        await made.open(self._place)
        try:
            yield
        finally:
            made.close()
            await admin.close()

    async def _until_stopped(
        self, work: Coroutine[None, None, None], living: list[asyncio.Task[None]]
    ) -> None:
        """Runs (work) until we are told to stop, or it fails, or one of those who are
        (living) does, which is a bug."""
        helpers = (
            *(work, self._look_around(), self._tell_alive(), self._lead_outside()),
            self._stop.wait(),
        )
        tasks = [asyncio.create_task(each) for each in helpers]
        first = asyncio.FIRST_COMPLETED
        done, _ = await asyncio.wait((*tasks, *living), return_when=first)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for over in done:
            over.result()

    async def _serve(self) -> None:
        """Starts the programs, then does what comes up; never returns."""
        hearing = asyncio.create_task(self._hear_signals())
        try:
            await self._begin()
            await self._jobs.run()
        finally:
            hearing.cancel()

    async def _begin(self) -> None:
        await self._loader.begin()
        for each in self._slots:
            await each.serving.wait()
        self._log.info(f"listening on {self._place}")
        self._notifier.ready(f"serving {self._place}")

    async def _hear_signals(self) -> None:
        while True:
            await self._hang_up.wait()
            self._hang_up.clear()
            await self._jobs.do(self._load_again)

    async def _load_again(self) -> Reloaded:
        self._notifier.reloading()
        reloaded = await self._updater.reload()
        self._notifier.ready(f"serving {self._place}")
        return reloaded

    async def _reload(self) -> bytes:
        """JSON, for skerry reload."""
        return msgspec.json.encode(await self._jobs.do(self._load_again))

    async def _look_around(self) -> None:
        """What workers have counted is known even when they die."""
        while True:
            await asyncio.wait(
                [asyncio.create_task(each.ask()) for each in self._slots], timeout=_LOOK
            )
            await asyncio.sleep(_LOOK)

    async def _tell_alive(self) -> None:
        while True:
            self._notifier.alive()
            await asyncio.sleep(self._notifier.interval)

    async def _lead_outside(self) -> None:
        """Connects workers to a fetcher that has been started."""
        await self._wanted.known.wait()
        while True:
            await self._outside.changed.wait()
            self._outside.changed.clear()
            await asyncio.gather(*(each.update() for each in self._slots))

    async def _drain(self, living: list[asyncio.Task[None]]) -> None:
        """Ends all workers, each when what it has in flight is done."""
        seconds = self._options.drain
        self._notifier.stopping()
        refusing = [asyncio.create_task(each.drain(seconds)) for each in self._slots]
        await asyncio.wait(refusing, timeout=_REFUSING)
        for each in self._slots:
            each.close_sockets()
        self._log.info("stopping")
        now = asyncio.create_task(self._now.wait())
        ended = asyncio.gather(*living)
        await asyncio.wait(
            (ended, now), timeout=seconds + _EXTRA, return_when=asyncio.FIRST_COMPLETED
        )
        now.cancel()
