"""Who kills: one of a deck of ways after the other, at moments that the seed picks.

Most deeds wait for some answers after the one before, so that they hit a host at
work, however fast it is; the others come while it is still recovering.
"""

import asyncio
import random
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable

from crash.client import PATIENCE
from crash.host import Broken, Host, kill
from crash.site import Site

# The ways, as often as they are in a deck. Every deck is dealt whole, in some order.
DECK = {
    "worker": 4,
    "all workers": 2,
    "stall": 3,
    "reload": 1,
    "reload, boot process": 2,
    "tree": 1,
    "whole tree": 1,
    "restart": 1,
}
PAUSE = 0.02, 0.8  # seconds between two deeds
ANSWERS = 200  # at most that come between two deeds
AT_WORK = 0.75  # of the deeds wait for answers
STALL = 0.3  # seconds at most that a worker stands still
BOOT_APPEARS = 2.0  # seconds in which a boot process is looked for, then given up


class Killer:
    """Does to (host) what a deck says. (answers) tells how many have come; (reborn) is
    called between the death of a tree and the next start, when no process is there."""

    def __init__(
        self,
        host: Host,
        site: Site,
        seed: int,
        answers: Callable[[], int],
        reborn: Callable[[], None],
    ) -> None:
        self.deeds: Counter[str] = Counter()
        self._host, self._site = host, site
        self._answers, self._reborn = answers, reborn
        self._random = random.Random(seed)
        self._ways: dict[str, Callable[[], Awaitable[bool]]] = {
            "worker": self._worker,
            "all workers": self._all_workers,
            "stall": self._stall,
            "reload": self._reload,
            "reload, boot process": self._boot,
            "tree": lambda: self._tree(everybody=False),
            "whole tree": lambda: self._tree(everybody=True),
            "restart": self._restart,
        }

    async def run(self, seconds: float) -> None:
        """Deals decks until (seconds) are over; the first one always whole, so that
        what was tested does not depend on how fast anything was."""
        end = time.monotonic() + seconds
        first = True
        while first or time.monotonic() < end:
            for way in self._deck():
                await self._pause()
                self.deeds[way] += await self._ways[way]()
                if not first and time.monotonic() > end:
                    break
            first = False

    def _deck(self) -> list[str]:
        deck = [way for way, times in DECK.items() for _ in range(times)]
        self._random.shuffle(deck)
        return deck

    async def _pause(self) -> None:
        await asyncio.sleep(self._random.uniform(*PAUSE))
        wanted = self._answers() + self._random.randrange(ANSWERS)
        at_work, end = self._random.random() < AT_WORK, time.monotonic() + PATIENCE
        while at_work and self._answers() < wanted:
            if time.monotonic() > end:
                raise Broken("answers have stopped coming")
            await asyncio.sleep(0.005)
        self._host.check()

    async def _some_worker(self) -> int:
        """One of the workers; they come back when all were killed."""
        end = time.monotonic() + PATIENCE
        while not (workers := self._host.workers()):
            self._host.check()
            if time.monotonic() > end:
                raise Broken("there are no workers, and none comes")
            await asyncio.sleep(0.01)
        return self._random.choice(workers)

    async def _worker(self) -> bool:
        return kill(await self._some_worker())

    async def _all_workers(self) -> bool:
        await self._some_worker()
        return any([kill(pid) for pid in self._host.workers()])

    async def _stall(self) -> bool:
        """Stops a worker, with luck one that holds a lock, for a while."""
        pid = await self._some_worker()
        stopped = kill(pid, signal.SIGSTOP)
        await asyncio.sleep(self._random.uniform(0, STALL))
        kill(pid, signal.SIGCONT)
        return stopped

    async def _reload(self) -> bool:
        self._site.write()
        self._host.reload()
        return True

    async def _boot(self) -> bool:
        """Reloads, and kills who starts the programs. Whether that one was seen."""
        await self._reload()
        end = time.monotonic() + BOOT_APPEARS
        while not (boots := self._host.boots()) and time.monotonic() < end:
            await asyncio.sleep(0.01)
        await asyncio.sleep(self._random.uniform(0, 0.3))
        return any([kill(pid) for pid in boots])

    async def _tree(self, everybody: bool) -> bool:
        await self._host.kill_tree(everybody)
        self._reborn()
        await self._host.start()
        return True

    async def _restart(self) -> bool:
        """As an operator does it."""
        await self._host.stop()
        self._reborn()
        await self._host.start()
        return True
