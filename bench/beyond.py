"""What guests do beside answering, over the same on this host: pages, threads.

The program in the guest and the code here are of one source (ring.h), or do the same
(touch.c, loop.c). A figure is the whole request over what it is about.
"""

import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

# Not this file's directory: its http.py would stand in for the stdlib's http.
sys.path.pop(0)
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench import pairs, report, subject
from bench.floor import FloorError, load
from bench.pairs import timed

PAGES = (64, 1024, 8192)
THREADS = (2, 8, 32)
TURNS = 2000
ENOUGH, FEWEST, MOST = 2.0, 5, 200  # seconds of a figure, and rounds


def ratio(machine: subject.Machine, here: Callable[[], None]) -> float:
    """A call over (here), by the median of the rounds that there is time for."""
    ours, host = timed(machine.call), timed(here)
    once = ours() + host()  # not counted: caches, and faults that come once
    return pairs.median_ratio(pairs.rounds(ours, host, rounds_for(once)))


def rounds_for(seconds: float) -> int:
    """How many rounds of so many (seconds) are measured."""
    return max(FEWEST, min(MOST, int(ENOUGH / seconds)))


def pages(count: int) -> float:
    """Pages that were written to at start-up, and that a request writes to."""
    native = load().lib
    with closing(subject.open_touch(count)) as machine:
        return ratio(machine, lambda: native.loop_touch(count))


def threads(count: int, turns: int) -> float:
    """Threads that are made, take turns and end."""
    native = load().lib
    with closing(subject.open_ring(count, turns)) as machine:
        return ratio(machine, lambda: native.ring_run(count, turns))


def measure() -> dict[str, float]:
    found = {f"{count} pages written": pages(count) for count in PAGES}
    for count in THREADS:
        found[f"{count} threads made"] = threads(count, 0)
        found[f"{count} threads, {TURNS} turns"] = threads(count, TURNS)
    return found


def show(found: dict[str, float]) -> None:
    print("in a guest / on this host")
    for what, value in found.items():
        print(f"{what:<38} {value:>9.2f} x")


if __name__ == "__main__":
    try:
        figures = measure()
    except FloorError as error:
        sys.exit(f"bench/beyond.py: {error}")
    show(figures)
    report.save({}, {"guest_over_host": figures})
