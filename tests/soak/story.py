"""One soak: a first load that makes what is made once, a look, the load, a look."""

import time
from dataclasses import dataclass
from pathlib import Path

from soak.asks import Seen
from soak.host import holdings, serve
from soak.load import load

CLIENTS = 12
_FIRST = 3.0  # seconds after which every process has what it will ever have
_QUIET = 12.0  # seconds after which idle clones have been closed
_SLACK_KB = 24 * 1024  # what the allocators of a healthy process keep

Held = dict[str, tuple[tuple[int, int], tuple[int, int]]]


@dataclass(frozen=True)
class Story:
    """How many answers there were, and what each process held before and after."""

    answers: int
    held: Held


def soak(directory: Path, seconds: float, seed: int, workers: int, seen: Seen) -> Story:
    """Raises AssertionError at the first wrong answer, when counts do not add up, and
    when a process has died or grown."""
    with serve(directory, workers) as server:
        load(server.port, CLIENTS, _FIRST, seed, seen)
        time.sleep(_QUIET)
        before = holdings(server)
        answers = load(server.port, CLIENTS, seconds, seed + 1, seen)
        time.sleep(_QUIET)
        after = holdings(server)
        for name, had in seen.counts.items():
            if name.endswith("count") or name.endswith("hits"):
                assert had == set(range(1, len(had) + 1)), f"{name} does not add up"
    assert before.keys() == after.keys(), "a process has died, or there is one more"
    held = {pid: (before[pid], after[pid]) for pid in before}
    for pid, (was, now) in held.items():
        assert now[0] <= was[0], f"process {pid}: {was[0]} files, then {now[0]}"
        assert now[1] <= was[1] + _SLACK_KB, (
            f"process {pid}: {was[1]} KB, then {now[1]}"
        )
    return Story(answers, held)
