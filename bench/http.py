"""HTTP: requests a second of the floor server over ours, interleaved in one run.

The servers share one CPU and wrk has the other one; a server that is not being
measured waits and costs nothing. Of two starts of the same server one can be faster
than the other for as long as it runs: so both are started several times, and the start
in the middle counts.
"""

import argparse
import sys
from dataclasses import asdict
from pathlib import Path

# Not this file's directory: there this file would stand in for the stdlib's http.
sys.path.pop(0)
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench import floor, load, options, report, server
from bench.answer import response_size

# The figure, the path, and how many exits its floor server does a request.
CASES = (
    ("http_floor_over_ours", "/hello", 1),
    ("http_floor_over_ours_counter", "/counter", 3),
)
STARTS = 5  # of both servers, each with so many rounds as are asked for


def measure(
    port: int, path: str, exits: int, args: argparse.Namespace
) -> load.Comparison:
    """Our server at (port) beside a floor server of so many exits."""
    size = response_size(port, path)
    options = ("--exits", str(exits), "--bytes", str(size))
    with server.running((*server.FLOOR, *options)) as floor_port:
        return load.compare(
            f"http://127.0.0.1:{floor_port}/",
            f"http://127.0.0.1:{port}{path}",
            seconds=args.seconds,
            count=args.rounds,
            cpu=server.cpus()[1],
        )


def show(path: str, found: load.Comparison) -> None:
    latency = ", ".join(f"p{p} {ms:.2f} ms" for p, ms in found.our_latency.items())
    rates = f"floor {found.floor_rate:.0f}/s, ours {found.our_rate:.0f}/s"
    print(f"{path}: {rates}, {found.errors} errors; ours: {latency}")


def measure_all(args: argparse.Namespace) -> int:
    """Every case; the number of errors that wrk saw."""
    found: dict[str, list[load.Comparison]] = {key: [] for key, _, _ in CASES}
    for _ in range(STARTS):
        with server.running(args.ours) as port:
            for key, path, exits in CASES:
                found[key].append(measure(port, path, exits, args))
                show(path, found[key][-1])
    middle = {key: in_the_middle(each) for key, each in found.items()}
    figures = {key: each.ratio for key, each in middle.items()}
    report.table(figures, sys.stdout)
    if args.ours == server.SKERRY:
        report.save(figures, {key: asdict(each) for key, each in middle.items()})
    return sum(each.errors for starts in found.values() for each in starts)


def in_the_middle(found: list[load.Comparison]) -> load.Comparison:
    return sorted(found, key=lambda each: each.ratio)[len(found) // 2]


def arguments() -> argparse.Namespace:
    parser = options.of_pairs(__doc__, rounds=2, seconds=1)
    options.add_ours(parser)
    return parser.parse_args()


if __name__ == "__main__":
    try:
        load.require()
        floor.load()
        sys.exit(1 if measure_all(arguments()) else 0)
    except (load.LoadError, server.ServerError, floor.FloorError, OSError) as error:
        sys.exit(f"bench/http.py: {error}")
