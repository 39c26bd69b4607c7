"""How soon skerry answers with a program that takes its time to start: when it has to
be started, and when its cold-start file has it."""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

# Not this file's directory: its http.py would stand in for the stdlib's http.
sys.path.pop(0)
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from statistics import median

from bench import guests, load, report, server
from bench.answer import ask


def first_answer_ms(file: Path) -> float:
    """Milliseconds from the start of skerry to its first answer."""
    begin = time.perf_counter()
    command = server.skerry(file, "--workers", "1")
    with server.running(command, server.all_cpus()) as port:
        ask(port, "/prepare")
        return (time.perf_counter() - begin) * 1e3


def configure(directory: Path) -> Path:
    """A configuration of the program, with a cold-start file."""
    file = directory / "programs.json"
    program = {
        "filename": str(guests.build("prepare")),
        "max_boot_time": 60,
        "cold_start_file": "cold",
    }
    file.write_text(json.dumps({"prepare": program}))
    return file


def pair(directory: Path) -> tuple[float, float]:
    """A start without the file, which makes it, and one with it."""
    file, cold = configure(directory), directory / "cold"
    cold.unlink(missing_ok=True)
    without = first_answer_ms(file)
    if not cold.exists():
        raise server.ServerError("skerry made no cold-start file")
    return without, first_answer_ms(file)


def measure_all(rounds: int) -> None:
    with tempfile.TemporaryDirectory() as directory:
        found = [pair(Path(directory)) for _ in range(rounds)]
    figures = {"cold_over_start": median(cold / start for start, cold in found)}
    report.table(figures, sys.stdout)
    report.save(figures, {"start_and_cold_ms": found})


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="pairs of starts")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        measure_all(arguments().rounds)
    except (load.LoadError, server.ServerError, OSError) as error:
        sys.exit(f"bench/cold.py: {error}")
