"""Load on an HTTP server: wrk, what it printed, and two servers compared."""

import re
import shutil
import subprocess
from dataclasses import dataclass
from statistics import median

from bench import pairs

CONNECTIONS = 8
UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0, "h": 3_600_000.0}
TOTAL = re.compile(r"^\s*(\d+) requests in ([\d.]+)(us|ms|s|m|h),", re.M)
RATE = re.compile(r"^Requests/sec:\s*([\d.]+)$", re.M)
PERCENTILE = re.compile(r"^\s*(\d+)%\s+([\d.]+)(us|ms|s|m|h)$", re.M)
SOCKET_ERRORS = re.compile(
    r"^\s*Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)$", re.M
)
BAD_STATUS = re.compile(r"^\s*Non-2xx or 3xx responses: (\d+)$", re.M)


class LoadError(Exception):
    """wrk is missing, failed, or printed something that is not its report."""


@dataclass(frozen=True, slots=True)
class Load:
    """What one run of wrk saw. Latencies in ms by percentile."""

    requests: int
    errors: int
    seconds: float
    rate: float
    latency: dict[int, float]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Interleaved runs against two servers: medians, and the ratio of the pairs."""

    ratio: float
    floor_rate: float
    our_rate: float
    our_latency: dict[int, float]
    errors: int


def run(url: str, seconds: int, cpu: str, connections: int = CONNECTIONS) -> Load:
    """Runs wrk for (seconds) on (cpu) with one thread, and reads its report."""
    require()
    command = f"taskset -c {cpu} wrk -t1 -c{connections} -d{seconds}s --latency {url}"
    try:
        done = subprocess.run(
            command.split(), capture_output=True, text=True, timeout=seconds + 30
        )
    except subprocess.TimeoutExpired:
        raise LoadError(f"wrk against {url} did not end in time") from None
    if done.returncode != 0:
        raise LoadError(f"wrk against {url}: {(done.stderr or done.stdout).strip()}")
    return parse(done.stdout)


def require() -> None:
    """Raises LoadError when wrk is not installed."""
    if shutil.which("wrk") is None:
        raise LoadError("wrk is missing: apt-get install wrk")


def parse(report: str) -> Load:
    """The report that `wrk --latency` prints, as numbers."""
    total, rate = TOTAL.search(report), RATE.search(report)
    if total is None or rate is None:
        raise LoadError(f"not a report of wrk: {report[:200]!r}")
    return Load(
        requests=int(total[1]),
        errors=_errors(report),
        seconds=float(total[2]) * UNITS[total[3]] / 1000,
        rate=float(rate[1]),
        latency={
            int(percent): float(number) * UNITS[unit]
            for percent, number, unit in PERCENTILE.findall(report)
        },
    )


def _errors(report: str) -> int:
    """Lines about errors are there only when there were some."""
    found = [SOCKET_ERRORS.search(report), BAD_STATUS.search(report)]
    return sum(int(number) for match in found if match for number in match.groups())


def compare(
    floor: str,
    ours: str,
    *,
    seconds: int,
    count: int,
    cpu: str,
    connections: int = CONNECTIONS,
) -> Comparison:
    """The server at (ours) beside the one at (floor), in (count) pairs of runs."""
    for url in (floor, ours):
        run(url, 1, cpu, connections)
    found = pairs.rounds(
        lambda: run(floor, seconds, cpu, connections),
        lambda: run(ours, seconds, cpu, connections),
        count,
    )
    if not all(load.requests for pair in found for load in pair):
        raise LoadError(f"no answers from {floor} or {ours}")
    return _summary(found)


def _summary(found: list[tuple[Load, Load]]) -> Comparison:
    ours = [load for _, load in found]
    return Comparison(
        ratio=pairs.median_ratio([(a.rate, b.rate) for a, b in found]),
        floor_rate=median(load.rate for load, _ in found),
        our_rate=median(load.rate for load in ours),
        our_latency={
            percent: median(load.latency[percent] for load in ours)
            for percent in ours[0].latency
        },
        errors=sum(a.errors + b.errors for a, b in found),
    )
