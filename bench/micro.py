"""In-process figures: what a request costs over one bare KVM_RUN round trip.

    python bench/micro.py [--quick] [--json FILE|-]

Without --json the table is printed and bench/results/latest.json brought up to
date. With it the figures are one JSON object, key to number, null for what could
not be measured; the table then goes to standard error.
"""

import argparse
import asyncio
import faulthandler
import json
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from statistics import median

# Not this file's directory: its http.py would stand in for the stdlib's http.
sys.path.pop(0)
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench import asking, pairs, report, subject
from bench.floor import Floor, FloorError, load
from bench.pairs import timed
from skerry.program import Program

BATCH = 200
HEADERS = (0, 1, 32)
CLOCK_READS = 50_000
CLONES, CLONE_CALLS = 8, 100
QUICK_WITHIN, FULL_WITHIN = 30, 180


class Micro:
    """The figures, one method each, and how many rounds they take."""

    def __init__(self, floor: Floor, quick: bool) -> None:
        self.floor = floor
        self.rounds = 30 if quick else 100
        self.boots = 5 if quick else 15

    def call_reset_over_floor(self) -> float:
        with closing(subject.open_hello()) as hello:
            return self._over_floor(hello)

    def storage_over_floor(self) -> float:
        """The whole request, its storage call included."""
        with closing(subject.open_counter()) as counter:
            return self._over_floor(counter)

    def headers_over_floor(self) -> float:
        """The whole request, which brings 10 headers; its answer has 20."""
        with closing(subject.open_headers()) as program:
            return self._over_floor(program, 10)

    def regex_over_floor(self) -> float:
        """The whole request, its match included."""
        with closing(subject.open_regex()) as program:
            return self._over_floor(program)

    def clock_over_native(self) -> float:
        """The whole request, which reads the clock so often that no more counts."""
        native = load().lib.loop_clock
        with closing(subject.open_clock(CLOCK_READS)) as program:
            program.call()
            ours, here = timed(program.call), timed(lambda: native(CLOCK_READS))
            return pairs.median_ratio(pairs.rounds(ours, here, self.rounds))

    def reset_us(self) -> float:
        with closing(subject.open_hello()) as hello:
            return median(hello.reset_us() for _ in range(self.rounds * 20))

    def exits_per_request(self) -> float:
        """The worst of: few and many headers in the request and in the response."""
        with closing(subject.open_hello()) as hello:
            asked = [exits_per_call(hello, headers) for headers in HEADERS]
        with closing(subject.open_headers()) as program:
            answered = exits_per_call(program, 10)
        return max(*asked, answered)

    def boot_ms(self) -> float:
        return self._boot_ms(subject.boot_hello)

    def boot_storage_ms(self) -> float:
        return self._boot_ms(subject.boot_counter)

    def clone_kib(self) -> float:
        with closing(subject.open_hello()) as hello:
            hello.call()
            return private_kib_per_clone(hello)

    def clone_us(self) -> float:
        with closing(subject.open_hello()) as hello:
            return median(hello.clone_us() for _ in range(self.rounds))

    def fetch_over_request(self) -> float:
        """The whole request, and the one to this host that it makes."""
        with closing(subject.boot_fetch()) as program:
            work = asking.ratio(program, b"/fetch", b"/plain", BATCH, self.rounds)
            return asyncio.run(work)

    def _over_floor(self, machine: subject.Machine, headers: int = 0) -> float:
        """Turns of BATCH calls beside turns of BATCH bare exits, by the median."""
        ours = timed(lambda: machine.calls(BATCH, headers))
        ours()
        floor = timed(lambda: self.floor.exit(BATCH))
        return pairs.median_ratio(pairs.rounds(ours, floor, self.rounds))

    def _boot_ms(self, boot: Callable[[], Program]) -> float:
        times = []
        for _ in range(self.boots):
            begin = time.perf_counter()
            program = boot()
            times.append((time.perf_counter() - begin) * 1e3)
            program.close()
        return median(times)


def exits_per_call(machine: subject.Machine, headers: int) -> float:
    """After one call to warm up: the first may meet faults that later ones do not."""
    machine.call(headers)
    before = machine.exits()
    for _ in range(BATCH):
        machine.call(headers)
    return (machine.exits() - before) / BATCH


def private_kib_per_clone(machine: subject.Machine) -> float:
    """Memory of this process that clones do not share, the mean of CLONES."""
    before = anonymous_kib()
    clones = [machine.clone() for _ in range(CLONES)]
    for clone in clones:
        clone.calls(CLONE_CALLS)
    after = anonymous_kib()
    for clone in clones:
        clone.close()
    return (after - before) / CLONES


def anonymous_kib() -> int:
    """Private copies of a page are anonymous; pages of the frozen memfd are not."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Anonymous:"))


FIGURES: tuple[Callable[[Micro], float], ...] = (
    Micro.call_reset_over_floor,
    Micro.storage_over_floor,
    Micro.headers_over_floor,
    Micro.regex_over_floor,
    Micro.fetch_over_request,
    Micro.clock_over_native,
    Micro.reset_us,
    Micro.exits_per_request,
    Micro.boot_ms,
    Micro.boot_storage_ms,
    Micro.clone_kib,
    Micro.clone_us,
)


def measure(quick: bool) -> dict[str, float | None]:
    """Every figure; None for one that failed, whose reason is printed."""
    found: dict[str, float | None] = {}
    with Floor() as floor:
        micro = Micro(floor, quick)
        for figure in FIGURES:
            found[figure.__name__] = attempt(figure, micro)
    return found


def attempt(figure: Callable[[Micro], float], micro: Micro) -> float | None:
    """One figure that fails must not cost the others."""
    try:
        return figure(micro)
    except Exception as error:
        reason = str(error) or type(error).__name__
        print(f"{figure.__name__}: {reason}", file=sys.stderr)
        return None


def publish(figures: dict[str, float | None], json_to: str | None) -> None:
    """The table, and the JSON where it was asked for."""
    report.table(figures, sys.stderr if json_to else sys.stdout)
    if json_to is None:
        report.save(figures)
    elif json_to == "-":
        print(json.dumps(figures))
    else:
        Path(json_to).write_text(json.dumps(figures) + "\n")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="within 30 s")
    parser.add_argument("--json", metavar="FILE|-", help="where to write the figures")
    return parser.parse_args()


def main() -> int:
    given = arguments()
    limit = QUICK_WITHIN if given.quick else FULL_WITHIN
    faulthandler.dump_traceback_later(limit, exit=True)
    figures = measure(given.quick)
    publish(figures, given.json)
    return 1 if None in figures.values() else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except FloorError as error:
        sys.exit(f"bench/micro.py: {error}")
