"""All workers together: what they are told at the same time."""

import asyncio
from collections.abc import Sequence

from skerry.supervise.outside import Outside
from skerry.supervise.programs import Edition, Wanted
from skerry.supervise.slot import Slot

_MOST = 10.0  # seconds that requests in flight get to end before state is handed over


class Fleet:
    """The workers in (slots), which serve what is (wanted), and what they fetch
    (outside)."""

    def __init__(self, wanted: Wanted, slots: Sequence[Slot], outside: Outside) -> None:
        self._wanted = wanted
        self._slots = slots
        self._outside = outside

    async def hold(self, editions: Sequence[Edition]) -> None:
        """From now on new requests to (editions) wait, in all workers, until update().
        Returns when those in flight have been answered, or have had their time."""
        self._wanted.held = {each.id for each in editions}
        await asyncio.gather(*(each.update() for each in self._slots))
        longest = max(each.config.max_request_time for each in editions)
        numbers, seconds = sorted(self._wanted.held), min(longest, _MOST)
        await asyncio.gather(*(each.settle(numbers, seconds) for each in self._slots))

    async def update(self) -> None:
        """Returns when all workers serve what is wanted; no request waits any more."""
        self._wanted.held = set()
        await self._outside.refresh()
        await asyncio.gather(*(each.update() for each in self._slots))
