"""Two things measured side by side, on a machine whose speed drifts.

Both are measured in small turns, the first to go changing every round, and the
ratio is taken within each round: what slows the machine down slows both.
"""

import time
from collections.abc import Callable
from statistics import median
from typing import TypeVar

T = TypeVar("T")


def timed(step: Callable[[], None]) -> Callable[[], float]:
    """(step), made to return the seconds that it took."""

    def run() -> float:
        begin = time.perf_counter()
        step()
        return time.perf_counter() - begin

    return run


def rounds(
    first: Callable[[], T], second: Callable[[], T], count: int
) -> list[tuple[T, T]]:
    """(count) pairs of what the two returned, always as (first's, second's)."""
    pairs = []
    for turn in range(count):
        if turn % 2 == 0:
            a, b = first(), second()
        else:
            b, a = second(), first()
        pairs.append((a, b))
    return pairs


def median_ratio(pairs: list[tuple[float, float]]) -> float:
    """The median over the rounds of first over second."""
    return median(a / b for a, b in pairs)
