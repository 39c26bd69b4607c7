"""python -m tests.soak --seconds 60: load on programs that use everything."""

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from soak.asks import Seen
from soak.story import soak


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        seen = Seen()
        story = soak(
            Path(directory), options.seconds, options.seed, options.workers, seen
        )
    print(f"{story.answers} answers, all right; seed {options.seed}")
    print(f"failed on purpose {seen.crashes}; each process holds what it held before:")
    for pid, (before, after) in story.held.items():
        print(f"  {pid}: {before[0]} -> {after[0]} files, {before[1]} -> {after[1]} KB")


if __name__ == "__main__":
    main()
