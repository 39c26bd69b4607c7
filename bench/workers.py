"""With one worker and with two: requests a second beside a bare floor server of as many
processes, and what storage costs over shared memory.

Servers and wrk share all CPUs, so that with two CPUs and two workers wrk takes its part
from both. That is as true of the floor server: the ratio is what tells, not the rate.
"""

import argparse
import sys
from dataclasses import asdict
from pathlib import Path

# Not this file's directory: its http.py would stand in for the stdlib's http.
sys.path.pop(0)
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench import floor, load, options, report, server
from bench.answer import response_size

# Many connections: how evenly the kernel shares them out then tells little.
CONNECTIONS = 32
WORKERS = (1, 2)
# The figure, the path, and how many exits its floor server does a request.
CASES = (
    ("workers_floor_over_ours", "/hello", 1),
    ("workers_floor_over_ours_counter", "/counter", 3),
)


class Workers:
    """A server of (count) workers at (port)."""

    def __init__(self, count: int, port: int, args: argparse.Namespace) -> None:
        self._count = count
        self._port = port
        self._args = args

    def floor_over_ours(self, path: str, exits: int) -> load.Comparison:
        """Beside a floor server of as many processes and so many exits."""
        size = response_size(self._port, path)
        options = {"exits": exits, "bytes": size, "processes": self._count}
        words = (str(word) for key, n in options.items() for word in (f"--{key}", n))
        command = (*server.FLOOR, *words)
        with server.running(command, server.all_cpus()) as floor_port:
            return self._compare(f"http://127.0.0.1:{floor_port}/", self._url(path))

    def shared_over_storage(self) -> load.Comparison:
        """The counter in shared memory beside the one in storage."""
        return self._compare(self._url("/scounter"), self._url("/counter"))

    def _url(self, path: str) -> str:
        return f"http://127.0.0.1:{self._port}{path}"

    def _compare(self, first: str, second: str) -> load.Comparison:
        return load.compare(
            first,
            second,
            seconds=self._args.seconds,
            count=self._args.rounds,
            cpu=server.all_cpus(),
            connections=CONNECTIONS,
        )


def measure(count: int, args: argparse.Namespace) -> dict[str, load.Comparison]:
    """All comparisons of a server of (count) workers, by figure."""
    command = (*server.SKERRY, "--workers", str(count))
    with server.running(command, server.all_cpus()) as port:
        workers = Workers(count, port, args)
        found = {
            f"{key}_{count}": workers.floor_over_ours(path, exits)
            for key, path, exits in CASES
        }
        found[f"shared_over_storage_{count}"] = workers.shared_over_storage()
    return found


def show(found: dict[str, load.Comparison]) -> None:
    for key, each in found.items():
        rates = f"{each.floor_rate:.0f}/s over {each.our_rate:.0f}/s"
        print(f"{key}: {rates}, {each.errors} errors")


def measure_all(args: argparse.Namespace) -> int:
    """Every figure; the number of errors that wrk saw."""
    found: dict[str, load.Comparison] = {}
    for count in WORKERS:
        found |= measure(count, args)
    show(found)
    figures = {key: each.ratio for key, each in found.items()}
    report.table(figures, sys.stdout)
    report.save(figures, {key: asdict(each) for key, each in found.items()})
    return sum(each.errors for each in found.values())


def arguments() -> argparse.Namespace:
    return options.of_pairs(__doc__, rounds=5, seconds=1).parse_args()


if __name__ == "__main__":
    try:
        load.require()
        floor.load()
        sys.exit(1 if measure_all(arguments()) else 0)
    except (load.LoadError, server.ServerError, floor.FloorError, OSError) as error:
        sys.exit(f"bench/workers.py: {error}")
