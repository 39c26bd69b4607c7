"""A round of the crash test: a host, its clients, who kills it, and the verdict."""

import asyncio
import shutil
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from crash.client import PATIENCE, Client, Died, Silent
from crash.host import Broken, Host
from crash.killer import Killer
from crash.ledger import Result
from crash.load import Figures, Load
from crash.site import BYSTANDER, PROGRAMS, Site
from crash.verify import violations

CONNECTIONS = 3  # to each program


@dataclass(slots=True)
class Round:
    """What a round was, and what came of it."""

    seed: int
    workers: int
    acknowledged: int = 0
    refused: int = 0
    unknown: int = 0
    readings: int = 0
    starts: int = 0
    longest_gap: float = 0.0  # seconds without an answer
    slowest: float = 0.0  # seconds that an answer took
    cores: float = 0.0  # that the clients took
    died: int = 0  # connections
    answers: dict[str, int] = field(default_factory=dict)
    deeds: dict[str, int] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)
    kept: str = ""  # where log, configuration and storage files are, if it went wrong


async def play(
    seed: int, workers: int, seconds: float, names: list[str] | None = None
) -> Round:
    """Plays a round with the programs (names), all if None."""
    directory = Path(tempfile.mkdtemp(prefix="skerry-crash-"))
    programs = [PROGRAMS[name] for name in names or PROGRAMS]
    story = _Story(Site(directory, programs), seed, workers)
    found = Round(seed, workers)
    begin, busy = time.monotonic(), time.process_time()
    try:
        await story.tell(seconds)
        found.cores = (time.process_time() - busy) / (time.monotonic() - begin)
    except (Broken, Silent) as error:
        found.violations.append(f"{type(error).__name__}: {error}")
    finally:
        story.host.end()
        story.report(found)
        if found.violations:
            found.kept = str(directory)
        else:
            shutil.rmtree(directory, ignore_errors=True)
    return found


class _Story:
    def __init__(self, site: Site, seed: int, workers: int) -> None:
        self.site, self.seed = site, seed
        self.figures = Figures()
        self.loads = [Load(each, self.figures) for each in site.programs]
        self.host = Host(site.file, workers)
        self.killer = Killer(
            self.host, site, seed, self.figures.answers.total, self._reborn
        )

    def _reborn(self) -> None:
        for load in self.loads:
            load.reborn()

    async def tell(self, seconds: float) -> None:
        """All of the round but the verdict."""
        await self.host.start()
        await self._disturb(seconds)
        await self._reload_takes()
        for load in self.loads:
            await load.finish(self.host.port)
        await self.host.stop()

    async def _disturb(self, seconds: float) -> None:
        """Clients ask while the killer is at work; returns when both are done."""
        killing = asyncio.create_task(self.killer.run(seconds))
        try:
            async with asyncio.TaskGroup() as clients:
                for load in self.loads:
                    for number in range(CONNECTIONS):
                        seed = f"{self.seed} {load.program.name} {number}"
                        more = lambda: not killing.done()  # noqa: E731
                        clients.create_task(load.run(self.host.port, seed, more))
            await killing
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None
        finally:
            killing.cancel()

    async def _reload_takes(self) -> None:
        """One reload that nobody disturbs: after it the new edition answers."""
        self.site.write()
        self.host.reload()
        client, end = Client(self.host.port), time.monotonic() + PATIENCE
        said: list[str] = []
        while said != ["at", str(self.site.edition)]:
            self.host.check()
            if time.monotonic() > end:
                raise Broken(f"edition {self.site.edition} never came; still {said}")
            await asyncio.sleep(0.05)
            try:
                said = (await client.ask(f"/{BYSTANDER}/")).says()
            except Died:
                said = []
        client.close()

    def report(self, found: Round) -> None:
        """Fills in what came of it."""
        ledgers = [ledger for load in self.loads for ledger in load.ledgers]
        found.acknowledged = sum(each.count(Result.DONE) for each in ledgers)
        found.refused = sum(each.count(Result.REFUSED) for each in ledgers)
        found.unknown = sum(each.count(Result.UNKNOWN) for each in ledgers)
        found.readings = sum(len(each.readings) for each in ledgers)
        found.starts, found.answers = self.host.starts, dict(self.figures.answers)
        found.died = self.figures.died
        found.deeds = dict(self.killer.deeds)
        found.longest_gap = self.figures.longest_gap
        found.slowest = self.figures.slowest
        for ledger in ledgers:
            found.violations += violations(ledger)
        if "Traceback" in (said := self.host.said()):
            where = said.index("Traceback")
            found.violations.append(f"a bug in the host: {said[where : where + 1500]}")
