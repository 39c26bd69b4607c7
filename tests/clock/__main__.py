"""python -m tests.clock --seconds 3600: watch the clock of programs."""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from clock.watch import Seen, watch

MOST = 10_000  # ns that a reading may be outside of the two around it


def told(name: str, seen: Seen) -> str:
    return (
        f"{name}: {seen.readings} readings, {seen.back} steps back, "
        f"{seen.outside} ns outside of this machine's, which were {seen.between} ns "
        "apart at best"
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.clock", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    options = parser.parse_args()
    last: dict[str, Seen] = {}
    for last in watch(options.seconds):
        if any(seen.back or seen.outside > MOST for seen in last.values()):
            break
    for name, seen in last.items():
        print(told(name, seen))
    return int(any(seen.back or seen.outside > MOST for seen in last.values()))


if __name__ == "__main__":
    sys.exit(main())
