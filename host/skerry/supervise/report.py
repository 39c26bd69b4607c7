"""What skerry status prints. The keys of the JSON are those of the classes here; they
are described in docs/operating.md."""

import os
from pathlib import Path

import msgspec

_PAGE = os.sysconf("SC_PAGE_SIZE")
_MB = 1 << 20


class ProgramReport(msgspec.Struct):
    """One program: how it is, and what all workers have counted."""

    name: str
    state: str
    reason: str
    version: str
    ready_ms: float
    shared_memory_mb: int
    requests: int
    errors: int
    refused: int
    clones_busy: int
    clones_free: int
    waiting: int
    storage_calls: int
    storage_undone: int
    tasks_run: int
    tasks_failed: int
    tasks_pending: int


class WorkerReport(msgspec.Struct):
    """One worker; (pid) is None while there is none in its place."""

    number: int
    pid: int | None
    uptime_s: float
    restarts: int
    connections: int
    rss_mb: float


class Report(msgspec.Struct):
    """All of it."""

    listening: str
    supervisor: int
    boot: int | None
    uptime_s: float
    rss_mb: float
    programs: list[ProgramReport]
    workers: list[WorkerReport]


def resident_mb(pid: int) -> float:
    """The memory that process (pid) has mapped and in use; 0 if it is gone."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0.0
    return round(pages * _PAGE / _MB, 1)


def text(report: Report) -> str:
    """(report) for a terminal."""
    boot = f", boot process {report.boot}" if report.boot else ""
    head = (
        f"{report.listening}: supervisor {report.supervisor}{boot}, up "
        f"{report.uptime_s:.0f} s, {report.rss_mb:g} MB\n"
    )
    reasons = "".join(
        f"{each.name}: {each.reason}\n" for each in report.programs if each.reason
    )
    parts = [head, _table(report.workers), _table(report.programs), reasons]
    return "\n".join(part for part in parts if part)


def _table(rows: list[WorkerReport] | list[ProgramReport]) -> str:
    """A column for each field but reason, which is too long for one."""
    if not rows:
        return ""
    fields = [each for each in rows[0].__struct_fields__ if each != "reason"]
    cells = [fields, *([_cell(getattr(row, each)) for each in fields] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(fields))]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in cells
    )
    return "".join(f"{line.rstrip()}\n" for line in lines)


def _cell(value: object) -> str:
    if value in (None, ""):
        return "-"
    return f"{value:g}" if isinstance(value, float) else str(value)
