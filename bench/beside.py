"""The p99 of a fast program beside a slow one, over its p99 alone.

One worker on one CPU, wrk on the other. Two clients keep two clones of the slow program
computing all the time, so that three threads want the worker's CPU: those two, and the
event loop that serves hello. What is measured is for how long the kernel lets a thread
that computes keep the loop from the CPU, and that nothing of ours makes it longer: a
loop that ran the slow guests itself would answer nobody for two seconds.
"""

import argparse
import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

# Not this file's directory: its http.py would stand in for the stdlib's http.
sys.path.pop(0)
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench import guests, load, options, pairs, report, server
from bench.answer import ask

CLIENTS = 2  # of the slow program


def configure() -> Path:
    """A configuration of hello and slow."""
    programs = {
        "hello": {"filename": str(guests.EXAMPLES / "hello")},
        "slow": {"filename": str(guests.build("slow")), "concurrency": CLIENTS},
    }
    path = guests.BUILD / "beside.json"
    path.write_text(json.dumps(programs))
    return path


@contextmanager
def computing(port: int) -> Iterator[None]:
    """CLIENTS that ask slow again and again; at the end their last requests end too."""
    over = threading.Event()
    failed: list[Exception] = []

    def client() -> None:
        try:
            while not over.is_set():
                ask(port, "/slow")
        except (load.LoadError, OSError) as error:
            failed.append(error)

    threads = [threading.Thread(target=client) for _ in range(CLIENTS)]
    for each in threads:
        each.start()
    try:
        yield
    finally:
        over.set()
        for each in threads:
            each.join()
    if failed:
        raise load.LoadError(f"/slow: {failed[0]}")


class Beside:
    """hello at (port), by wrk for (seconds) at a time."""

    def __init__(self, port: int, seconds: int) -> None:
        self._port = port
        self._seconds = seconds

    def alone(self) -> load.Load:
        url = f"http://127.0.0.1:{self._port}/hello"
        return load.run(url, self._seconds, server.cpus()[1])

    def beside(self) -> load.Load:
        with computing(self._port):
            return self.alone()


def measure(args: argparse.Namespace) -> list[tuple[load.Load, load.Load]]:
    """Pairs of what wrk saw of hello: beside slow, and alone."""
    with server.running(server.skerry(configure(), "--workers", "1")) as port:
        hello = Beside(port, args.seconds)
        hello.alone()
        return pairs.rounds(hello.beside, hello.alone, args.rounds)


def show(found: list[tuple[load.Load, load.Load]]) -> None:
    for beside, alone in found:
        rates = f"{beside.rate:.0f}/s, p99 {beside.latency[99]:.2f} ms beside slow"
        print(f"hello: {rates}; {alone.rate:.0f}/s, {alone.latency[99]:.2f} ms alone")


def measure_all(args: argparse.Namespace) -> int:
    """The figure; the number of errors that wrk saw."""
    found = measure(args)
    show(found)
    ratio = pairs.median_ratio([(a.latency[99], b.latency[99]) for a, b in found])
    figures = {"p99_beside_slow": ratio}
    report.table(figures, sys.stdout)
    details = [[asdict(each) for each in pair] for pair in found]
    report.save(figures, {"p99_beside_slow": details})
    return sum(a.errors + b.errors for a, b in found)


def arguments() -> argparse.Namespace:
    return options.of_pairs(__doc__, rounds=4, seconds=2).parse_args()


if __name__ == "__main__":
    try:
        load.require()
        sys.exit(1 if measure_all(arguments()) else 0)
    except (load.LoadError, server.ServerError, OSError) as error:
        sys.exit(f"bench/beside.py: {error}")
