"""What a storage call pays to commit the pages that it wrote, in memory and in a file.

A call that writes pages beside the same call that writes none: the difference is the
commit, told as a multiple of one bare KVM_RUN round trip. The file is in build/bench/,
with durability "process": what the disk takes to sync is not in it.
"""

import argparse
import sys
from collections.abc import Callable
from contextlib import closing
from itertools import count
from pathlib import Path

# Not this file's directory: its http.py would stand in for the stdlib's http.
sys.path.pop(0)
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from statistics import median
from tempfile import TemporaryDirectory

from bench import guests, pairs, report, subject
from bench.floor import Floor, FloorError
from bench.pairs import timed

# Pages, and how many calls make a turn. All turns take about a millisecond: what else
# runs here interrupts a longer one more often, and that would be in the ratio.
TURNS = {1: 5, 4: 5, 16: 5, 64: 1, 256: 1}
EXITS = 30


class Commits:
    """Measures in (rounds) pairs of turns; keeps its files in (directory)."""

    def __init__(self, bare: Floor, rounds: int, directory: Path) -> None:
        self._bare = timed(lambda: bare.exit(EXITS))
        self._rounds = rounds
        self._directory = directory
        self._files = count()

    def commit(self, pages: int, kept: bool) -> tuple[float, float]:
        """What it costs to commit so many pages: in bare exits, and in us."""
        with (
            closing(subject.open_pages(pages, self._file(kept))) as some,
            closing(subject.open_pages(0, self._file(kept))) as none,
        ):
            calls, others = turns(some, TURNS[pages]), turns(none, TURNS[pages])
            extra = pairs.rounds(lambda: calls() - others(), self._bare, self._rounds)
        seconds = median(turn for turn, _ in extra) / TURNS[pages]
        return pairs.median_ratio(extra) * EXITS / TURNS[pages], seconds * 1e6

    def file_over_memory(self) -> float:
        """A whole request of counter, its storage in a file, over one without."""
        with (
            closing(subject.open_counter(self._file(True))) as kept,
            closing(subject.open_counter()) as counter,
        ):
            found = pairs.rounds(turns(kept, 5), turns(counter, 5), self._rounds)
        return pairs.median_ratio(found)

    def _file(self, kept: bool) -> Path | None:
        """A new one each time: a file belongs to one program."""
        return self._directory / str(next(self._files)) if kept else None


def turns(machine: subject.Machine, calls: int) -> Callable[[], float]:
    """So many calls, as something that returns the seconds they took; once unmeasured,
    as the first may meet faults that later ones do not."""
    take = timed(lambda: machine.calls(calls))
    take()
    return take


def measure(rounds: int) -> tuple[dict[str, float], dict[str, float]]:
    """The figures that have limits, and the microseconds behind them."""
    figures, details = {}, {}
    with Floor() as bare, TemporaryDirectory(dir=guests.BUILD) as directory:
        commits = Commits(bare, rounds, Path(directory))
        for kind, kept in (("memory", False), ("file", True)):
            for pages in TURNS:
                found = commits.commit(pages, kept)
                figures[f"commit_{kind}_{pages}"] = found[0]
                details[f"commit_{kind}_{pages}_us"] = found[1]
        figures["file_over_memory"] = commits.file_over_memory()
    return figures, details


def show(details: dict[str, float]) -> None:
    for key, microseconds in details.items():
        print(f"{key}: {microseconds:.1f} us")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=100, help="pairs of turns")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        figures, details = measure(arguments().rounds)
        show(details)
        report.table(figures, sys.stdout)
        report.save(figures, {"commits": details})
    except (FloorError, OSError, RuntimeError) as error:
        sys.exit(f"bench/commits.py: {error}")
