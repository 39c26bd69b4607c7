"""From a configuration to what is wanted of the workers; and again, when it changes."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from skerry.config import Config, Program, load
from skerry.errors import ProgramError
from skerry.log import Log
from skerry.supervise import exchange
from skerry.supervise.boot import STEP, Order, Starter
from skerry.supervise.fetch import Fetcher
from skerry.supervise.programs import (
    Edition,
    Entries,
    Entry,
    Wanted,
    editions,
    ready_line,
)
from skerry.supervise.reloaded import Outcome
from skerry.supervise.thaw import keep


@dataclass(frozen=True)
class Change:
    """What has come of a change: a line for the log, what happened to each program, and
    editions that nobody wants any more, to be closed when nobody is sent them any more.
    """

    text: str
    results: list[Outcome]
    leaving: list[Edition]


class Loader:
    """Fills (wanted) by way of (starter), and tells in the log what has come of it."""

    def __init__(self, starter: Starter, wanted: Wanted, log: Log) -> None:
        self._starter = starter
        self._wanted = wanted
        self._log = log
        self._fetcher = Fetcher(log)

    async def begin(self) -> None:
        """Starts all programs. CannotServe when this machine does not serve."""
        programs = self._wanted.config.programs
        failed = await self._fetch(programs)
        orders = [Order(each) for each in programs if each.name not in failed]
        entries = failed | await self._start(orders)
        self._wanted.entries = {each.name: entries[each.name] for each in programs}
        self._wanted.known.set()

    async def again(self) -> Change:
        """Loads the configuration again, starts what is new in it or has changed, and
        puts that in the place of the old. ConfigError, CannotServe: nothing changes."""
        config = await asyncio.to_thread(load, self._wanted.config.path)
        failed = await self._fetch(config.programs)
        changed = await asyncio.to_thread(self._changed, config, failed)
        fresh = failed | await self._start(changed)
        return self._exchange(config, fresh)

    async def replace(self, config: Program, program: Path) -> Change:
        """Starts (config) from the file (program), which then becomes its own, and puts
        it in the place of what serves. ProgramError when it has left the configuration;
        CannotServe."""
        if config not in self._wanted.config.programs:
            reason = "the configuration has changed meanwhile: upload it again"
            raise ProgramError(config.name, STEP, reason)
        entry = self._wanted.entries[config.name]
        fresh = await self._start([Order(config, entry.edition, program)])
        return self._exchange(self._wanted.config, fresh)

    async def _fetch(self, programs: Sequence[Program]) -> Entries:
        """Brings what comes from elsewhere; returns those that cannot be started."""
        failed = await self._fetcher.fetch(programs)
        for entry in failed.values():
            self._tell(entry)
        return failed

    def _changed(self, config: Config, failed: Entries) -> list[Order]:
        """What has to be started anew, with what serves in its place so far, but for
        what has (failed)."""
        old = self._wanted.entries
        orders = ((each, old.get(each.name)) for each in config.programs)
        return [
            Order(each, entry.edition if entry else None)
            for each, entry in orders
            if each.name not in failed and (entry is None or entry.is_changed(each))
        ]

    async def _start(self, orders: Sequence[Order]) -> Entries:
        started: Entries = {}

        def note(entry: Entry) -> None:
            started[entry.config.name] = entry
            self._tell(entry)
            if len(started) < len(orders):
                self._log.progress(f"started {len(started)} of {len(orders)}")

        try:
            await self._starter.start(orders, note)
        except BaseException:
            for each in editions(started):
                each.close()
            raise
        return {
            each.config.name: await self._keep(each, started[each.config.name])
            for each in orders
        }

    async def _keep(self, order: Order, entry: Entry) -> Entry:
        """(entry), once the next start of skerry would find it."""
        edition = entry.edition
        if edition is None:
            await asyncio.to_thread(exchange.forget, order)
            return entry
        try:
            await asyncio.to_thread(exchange.commit, order, edition)
        except OSError as error:
            return self._take_back(order, edition, error)
        path = order.config.cold_start_file
        if path and edition.origin == "new":
            await asyncio.to_thread(keep, edition, path, self._log)
        return entry

    def _take_back(self, order: Order, edition: Edition, error: OSError) -> Entry:
        """What serves has to serve on."""
        if order.old and edition.origin == "handed":
            order.old.move_back()
        edition.close()
        reason = f"{error.filename}: {error.strerror}"
        entry = Entry(order.config, None, "replace file", reason)
        self._tell(entry)
        return entry

    def _tell(self, entry: Entry) -> None:
        if entry.edition:
            origin = self._fetcher.origins.get(entry.config.name, "")
            self._log.info(ready_line(entry.edition, origin))
        else:
            self._log.problem(f"program '{entry.config.name}': {entry.failure}")

    def _exchange(self, config: Config, fresh: Entries) -> Change:
        old = self._wanted.entries
        new = {
            each.name: self._choose(old.get(each.name), fresh.get(each.name))
            for each in config.programs
        }
        self._wanted.config, self._wanted.entries = config, new
        kept = {each.id for each in editions(new)}
        leaving = [each for each in editions(old) if each.id not in kept]
        results = _outcomes(old, new, fresh)
        return Change(_difference(old, new), results, leaving)

    def _choose(self, old: Entry | None, fresh: Entry | None) -> Entry:
        """Who serves from now on; one that does not start leaves its place to the old
        one, if there is one."""
        if fresh is None:
            assert old is not None, "what is not new is old"
            return old
        if fresh.edition is None and old is not None and old.edition is not None:
            name = old.config.name
            self._log.problem(f"program '{name}': the one from before serves on")
            return Entry(old.config, old.edition, fresh.step, fresh.reason)
        return fresh


def _difference(old: Entries, new: Entries) -> str:
    """What has changed, for the log."""
    both = [name for name in new if name in old]
    changed = [name for name in both if new[name].edition != old[name].edition]
    parts = {
        "new": [name for name in new if name not in old],
        "changed": changed,
        "removed": [name for name in old if name not in new],
    }
    said = [f"{what}: {', '.join(names)}" for what, names in parts.items() if names]
    return "; ".join([*said, f"as before: {len(both) - len(changed)}"])


def _outcomes(old: Entries, new: Entries, fresh: Entries) -> list[Outcome]:
    """What has happened to each program."""
    found = []
    for name, entry in new.items():
        what = "new" if name not in old else "changed"
        if name not in fresh:
            what = "as before"
        elif entry.step:
            what = "failed"
        step, reason = (entry.step, entry.reason) if name in fresh else ("", "")
        found.append(Outcome(name, what, step, reason))
    return found + [Outcome(name, "removed") for name in old if name not in new]
