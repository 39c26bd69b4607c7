"""Gathers what skerry status prints."""

import asyncio
import os
import time
from collections.abc import Sequence

import msgspec

from skerry.config import Program
from skerry.supervise.boot import Starter
from skerry.supervise.programs import Entry, Wanted
from skerry.supervise.report import ProgramReport, Report, WorkerReport, resident_mb
from skerry.supervise.slot import Slot
from skerry.supervise.tally import Tally

_ANSWER = 0.5  # seconds that workers get to tell what they have counted


class Survey:
    """Who serves at (place), and how it goes."""

    def __init__(
        self,
        place: str,
        wanted: Wanted,
        slots: Sequence[Slot],
        tally: Tally,
        starter: Starter,
    ) -> None:
        self._place = place
        self._wanted = wanted
        self._slots = slots
        self._tally = tally
        self._starter = starter
        self._since = time.monotonic()

    async def report(self) -> bytes:
        """JSON. A worker that does not answer now is reported as it was last."""
        asking = [asyncio.create_task(each.ask()) for each in self._slots]
        await asyncio.wait(asking, timeout=_ANSWER)
        return msgspec.json.encode(self._report())

    def _report(self) -> Report:
        workers = [_of_worker(each) for each in self._slots]
        pid, child = os.getpid(), self._starter.child
        own = resident_mb(pid) + (resident_mb(child.pid) if child else 0)
        return Report(
            listening=self._place,
            supervisor=pid,
            boot=child.pid if child else None,
            uptime_s=round(time.monotonic() - self._since, 1),
            rss_mb=round(own + sum(each.rss_mb for each in workers), 1),
            programs=self._programs(),
            workers=workers,
        )

    def _programs(self) -> list[ProgramReport]:
        if not self._wanted.known.is_set():
            return [
                self._of_program(each, None) for each in self._wanted.config.programs
            ]
        entries = self._wanted.entries.values()
        return [self._of_program(each.config, each) for each in entries]

    def _of_program(self, config: Program, entry: Entry | None) -> ProgramReport:
        edition = entry.edition if entry else None
        counts = self._tally.of(config.name)
        return ProgramReport(
            name=config.name,
            state="ready" if edition else "failed" if entry else "starting",
            reason=entry.failure if entry else "",
            version=edition.version[:12] if edition else "",
            ready_ms=round(edition.ready_ms, 2) if edition else 0.0,
            shared_memory_mb=config.shared_memory,
            requests=counts.requests,
            errors=counts.errors,
            refused=counts.refused,
            clones_busy=counts.clones_busy,
            clones_free=counts.clones_free,
            waiting=counts.waiting,
            storage_calls=counts.storage_calls,
            storage_undone=counts.storage_undone,
            tasks_run=counts.tasks_run,
            tasks_failed=counts.tasks_failed,
            tasks_pending=counts.tasks_pending,
        )


def _of_worker(slot: Slot) -> WorkerReport:
    child = slot.child
    return WorkerReport(
        number=slot.number,
        pid=child.pid if child else None,
        uptime_s=round(time.monotonic() - slot.since, 1) if child else 0.0,
        restarts=slot.restarts,
        connections=slot.connections,
        rss_mb=resident_mb(child.pid) if child else 0.0,
    )
