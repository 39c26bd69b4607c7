"""What the benchmarks found: a table to read, and JSON to compare.

The limits are the project's promises. Figures that a run did not measure stay in
the file as the run before left them, each with the time that it was measured.
"""

import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

LATEST = Path(__file__).resolve().parent / "results" / "latest.json"

Figures = Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class Limit:
    """A promise: the figure, in words, is at most this."""

    meaning: str
    at_most: float
    unit: str = ""


LIMITS = {
    "call_reset_over_floor": Limit("hello: call + reset / bare KVM_RUN", 1.15, "x"),
    "storage_over_floor": Limit("counter: call + reset / bare KVM_RUN", 3.5, "x"),
    "headers_over_floor": Limit(
        "10 headers read, 20 set: call + reset / bare KVM_RUN", 2.0, "x"
    ),
    "regex_over_floor": Limit(
        "match in 200 bytes: call + reset / bare KVM_RUN", 2.7, "x"
    ),
    "fetch_over_request": Limit("fetching from this host / plain request", 6.5, "x"),
    "clock_over_native": Limit(
        "reading the clock: in a guest / on this host", 1.3, "x"
    ),
    "reset_us": Limit("hello: reset", 2, "us"),
    "exits_per_request": Limit("KVM_RUN per plain request", 1),
    "boot_ms": Limit("hello: boot to ready", 10, "ms"),
    "boot_storage_ms": Limit("counter with storage: boot to ready", 20, "ms"),
    "clone_kib": Limit("an extra clone after 100 requests", 256, "KiB"),
    "clone_us": Limit("hello: making one more clone", 2000, "us"),
    "commit_memory_1": Limit("commit of 1 page, memory / KVM_RUN", 0.15, "x"),
    "commit_memory_4": Limit("commit of 4 pages, memory / KVM_RUN", 0.2, "x"),
    "commit_memory_16": Limit("commit of 16 pages, memory / KVM_RUN", 0.3, "x"),
    "commit_memory_64": Limit("commit of 64 pages, memory / KVM_RUN", 2.5, "x"),
    "commit_memory_256": Limit("commit of 256 pages, memory / KVM_RUN", 10, "x"),
    "commit_file_1": Limit("commit of 1 page, file / KVM_RUN", 0.25, "x"),
    "commit_file_4": Limit("commit of 4 pages, file / KVM_RUN", 0.4, "x"),
    "commit_file_16": Limit("commit of 16 pages, file / KVM_RUN", 0.75, "x"),
    "commit_file_64": Limit("commit of 64 pages, file / KVM_RUN", 3, "x"),
    "commit_file_256": Limit("commit of 256 pages, file / KVM_RUN", 20, "x"),
    "file_over_memory": Limit("counter: storage in file / in memory", 1.15, "x"),
    "http_floor_over_ours": Limit("HTTP: floor server / hello", 1.25, "x"),
    "http_floor_over_ours_counter": Limit("HTTP: floor, 3 exits / counter", 1.25, "x"),
    "workers_floor_over_ours_1": Limit("1 worker: floor / hello", 1.25, "x"),
    "workers_floor_over_ours_2": Limit("2 workers: floor / hello", 1.4, "x"),
    "workers_floor_over_ours_counter_1": Limit(
        "1 worker: floor, 3 exits / counter", 1.4, "x"
    ),
    "workers_floor_over_ours_counter_2": Limit(
        "2 workers: floor, 3 exits / counter", 1.4, "x"
    ),
    "shared_over_storage_1": Limit("1 worker: scounter / counter", 3.0, "x"),
    "shared_over_storage_2": Limit("2 workers: scounter / counter", 3.0, "x"),
    "stream_floor_over_ours": Limit("stream: bare uvloop / ours", 5.0, "x"),
    "p99_beside_slow": Limit("p99 of hello: beside slow / alone", 15, "x"),
    "start_ms": Limit("skerry serve: start to first answer", 1000, "ms"),
    "cold_over_start": Limit("first answer: with / without cold_start_file", 0.8, "x"),
    "restart_ms": Limit("worker killed: until the next answer", 400, "ms"),
}


def verdict(key: str, value: float | None) -> str:
    """ok, over, or that it was not measured."""
    if value is None:
        return "not measured"
    return "ok" if value <= LIMITS[key].at_most else "over"


def table(figures: Figures, out: TextIO) -> None:
    """Prints the figures beside their limits."""
    for key, value in figures.items():
        limit = LIMITS[key]
        shown = "-" if value is None else f"{value:.2f}"
        print(
            f"{limit.meaning:<38} {shown:>9} {limit.unit:<4}"
            f" at most {limit.at_most:<5g} {verdict(key, value):<12} {key}",
            file=out,
        )


def save(figures: Figures, details: Mapping[str, Any] | None = None) -> None:
    """Puts the figures, and what stands behind them, into bench/results/latest.json."""
    known = _load()
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    for key, value in figures.items():
        known["figures"][key] = _entry(key, value, now)
    known["details"] |= details or {}
    LATEST.parent.mkdir(exist_ok=True)
    partial = LATEST.with_suffix(f".{os.getpid()}")
    partial.write_text(json.dumps(known, indent=2) + "\n")
    os.replace(partial, LATEST)


def _entry(key: str, value: float | None, now: str) -> dict[str, Any]:
    return {
        "value": value,
        "at_most": LIMITS[key].at_most,
        "verdict": verdict(key, value),
        "measured": now,
    }


def _load() -> dict[str, Any]:
    """What the file holds; anything that is not ours counts as nothing."""
    try:
        known = json.loads(LATEST.read_text())
        return {"figures": dict(known["figures"]), "details": dict(known["details"])}
    except (OSError, ValueError, KeyError, TypeError):
        return {"figures": {}, "details": {}}
