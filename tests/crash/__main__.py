"""The command line of the crash test.

python -m tests.crash --seconds 60 --seed 1 --workers 3: rounds of at most 20 s; the
first has the seed that is given, the next one the next. Exit status 1 when a promise
broke: the round can be played again with its seed, and its files are kept.
"""

import argparse
import asyncio
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from crash.site import PROGRAMS
from crash.story import Round, play

ROUND = 20.0  # seconds; the table of ids is large enough for that
SHOWN = 10  # violations of a round


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.crash", description="Kill what serves; nothing is lost."
    )
    limit = "of all rounds; none ends before all ways to kill have had their turn"
    parser.add_argument("--seconds", type=float, default=60.0, help=limit)
    parser.add_argument("--seed", type=int, default=1, help="of the first round")
    parser.add_argument("--workers", type=int, default=3, help="of the host")
    parser.add_argument("--json", action="store_true", help="print figures as JSON")
    parser.add_argument(
        "--programs", nargs="+", choices=[*PROGRAMS], help="only these; default: all"
    )
    return parser.parse_args()


def show(found: Round) -> None:
    deeds = ", ".join(f"{way} {times}" for way, times in sorted(found.deeds.items()))
    answers = ", ".join(f"{k} {times}" for k, times in sorted(found.answers.items()))
    print(
        f"round with seed {found.seed}, {found.workers} workers: "
        f"{'NOT RIGHT' if found.violations else 'right'}\n"
        f"  changes: {found.acknowledged} acknowledged, {found.refused} refused, "
        f"{found.unknown} unknown; {found.readings} readings\n"
        f"  answers: {answers}; {found.died} connections died\n"
        f"  killed: {deeds}; started {found.starts} times\n"
        f"  longest gap without an answer {found.longest_gap:.2f} s, "
        f"slowest answer {found.slowest:.2f} s; clients took {found.cores:.2f} cores",
        flush=True,
    )
    for each in found.violations[:SHOWN]:
        print(f"  WRONG: {each}")
    if found.violations:
        print(f"  {len(found.violations)} in all; see {found.kept}", flush=True)


def main() -> int:
    given = arguments()
    end = time.monotonic() + given.seconds
    rounds: list[Round] = []
    while not rounds or (time.monotonic() < end and not rounds[-1].violations):
        seconds = min(ROUND, end - time.monotonic())
        seed = given.seed + len(rounds)
        rounds.append(asyncio.run(play(seed, given.workers, seconds, given.programs)))
        if not given.json:
            show(rounds[-1])
    if given.json:
        print(json.dumps([asdict(each) for each in rounds], indent=1))
    return 1 if rounds[-1].violations else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("stopped; no verdict on the last round")
