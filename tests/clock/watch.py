"""Readings of a program's clocks between two of this machine's."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from support.clones import ask
from support.guests import PRELUDE, Guest, compile_guest

from skerry import native

CLOCKS = {"realtime": time.CLOCK_REALTIME, "monotonic": time.CLOCK_MONOTONIC}
SOURCE = (
    PRELUDE
    + r"""
#include <time.h>
START {}
HANDLE {
    struct timespec t;
    clock_gettime(atoi(url + 1), &t);
    reply("%ld", t.tv_sec * 1000000000l + t.tv_nsec);
}
"""
)


@dataclass
class Seen:
    """Of one clock: readings; the furthest that one was outside of the two around it,
    and how near the nearest two were, ns; steps back."""

    readings: int = 0
    outside: int = 0
    between: int = 1 << 62
    back: int = 0
    last: int = field(default=0, repr=False)

    def add(self, before: int, told: int, after: int) -> None:
        self.readings += 1
        self.outside = max(self.outside, before - told, told - after)
        self.between = min(self.between, after - before)
        self.back += told < self.last
        self.last = told


def read(vm: native.Vm, clock: int, seen: Seen) -> None:
    before = time.clock_gettime_ns(clock)
    told = int(ask(vm, f"/{clock}").body)
    seen.add(before, told, time.clock_gettime_ns(clock))


def watch(seconds: float, pause: float = 1.0) -> Iterator[dict[str, Seen]]:
    """Reads every clock every (pause) seconds for (seconds), in a clone from the
    beginning and in a new one each time; what was seen so far, after each round."""
    seen = {name: Seen() for name in CLOCKS}
    with Guest(compile_guest(SOURCE).read_bytes()) as guest, guest.clone() as old:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with guest.clone() as new:
                for name, clock in CLOCKS.items():
                    for _ in range(10):
                        read(old, clock, seen[name])
                        read(new, clock, seen[name])
            yield seen
            time.sleep(pause)
