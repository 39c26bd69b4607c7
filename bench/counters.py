"""The counters add up: no request that was answered is missing from the count.

wrk runs against /counter (storage) and /scounter (shared memory). Then the counter
has grown by the requests that wrk saw answered, plus at most those in flight when
it stopped: one a connection. Less would be a lost update.
"""

import argparse
import re
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

# Not this file's directory: its http.py would stand in for the stdlib's http.
sys.path.pop(0)
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench import load, options, report, server
from bench.answer import ask

SHARED = re.compile(r"Hello (\d+) World!")


@dataclass(frozen=True, slots=True)
class Count:
    """What wrk saw answered, and by how much the counter grew meanwhile."""

    answered: int
    counted: int
    errors: int
    connections: int

    @property
    def in_flight(self) -> int:
        """Counted, but not answered before wrk stopped."""
        return self.counted - self.answered

    @property
    def adds_up(self) -> bool:
        return self.errors == 0 and 0 <= self.in_flight <= self.connections


def read(port: int, path: str) -> int:
    """The counter's next value, which this very request takes."""
    answer, body = ask(port, path)
    value = answer.headers["X-Counter"]
    if value is None and (shown := SHARED.search(body.decode("latin-1"))):
        value = shown[1]
    if value is None:
        raise load.LoadError(f"{path} answered without its counter: {body[:200]!r}")
    return int(value)


def count(port: int, path: str, seconds: int, connections: int) -> Count:
    """Runs wrk between two readings; the second reading is not wrk's."""
    before = read(port, path)
    url = f"http://127.0.0.1:{port}{path}"
    seen = load.run(url, seconds, server.cpus()[1], connections)
    grown = read(port, path) - before - 1
    return Count(seen.requests, grown, seen.errors, connections)


def show(path: str, found: Count) -> None:
    lost, flying = max(0, -found.in_flight), max(0, found.in_flight)
    print(
        f"{path}: {found.answered} answered by wrk's count, {flying} in flight when it"
        f" stopped (at most {found.connections}), {lost} lost, {found.errors} errors;"
        f" {found.counted} counted: {'ok' if found.adds_up else 'WRONG'}"
    )


def count_all(args: argparse.Namespace) -> bool:
    """Both counters; whether both add up."""
    found = {}
    with server.running(args.ours) as port:
        for path in ("/counter", "/scounter"):
            found[path] = count(port, path, args.seconds, args.connections)
            show(path, found[path])
    if args.ours == server.SKERRY:
        report.save({}, {f"counted {path}": asdict(c) for path, c in found.items()})
    return all(c.adds_up for c in found.values())


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=5, help="of each run")
    parser.add_argument("--connections", type=int, default=load.CONNECTIONS)
    options.add_ours(parser)
    return parser.parse_args()


if __name__ == "__main__":
    try:
        sys.exit(0 if count_all(arguments()) else 1)
    except (load.LoadError, server.ServerError, OSError) as error:
        sys.exit(f"bench/counters.py: {error}")
