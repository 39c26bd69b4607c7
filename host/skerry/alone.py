"""A started program that answers one request at a time, on the thread that asks."""

import asyncio
from collections.abc import Callable

from skerry.egress import Policy
from skerry.fetching import NOBODY, Fetching, Nowhere, Outside
from skerry.log import Log
from skerry.message import Request, Response
from skerry.native import Remains, Vm
from skerry.ready import ready
from skerry.started import Started
from skerry.streaming import gather
from skerry.telling import Telling
from skerry.upkeep import Upkeep
from skerry.wanted import Fetched, Wanted

AT_END = 100  # tasks that answer() runs: those that order each other never end


class Alone:
    """Owns what was (started). What it fetches comes from itself, or from (outside)."""

    def __init__(
        self, started: Started, log: Log, outside: Outside | None = None
    ) -> None:
        self._started = started
        self._telling = Telling(started, log)
        self._upkeep = Upkeep(started, self._telling)
        self._policy = Policy(started.config.allowed_hosts)
        self._fetching = Fetching(self._answer_itself, outside or Nowhere())

    @property
    def body_limit(self) -> int:
        """Bytes of a request's body."""
        return self._started.snapshot.body_limit

    def answer(
        self, request: Request, look: Callable[[Remains], None] | None = None
    ) -> tuple[Response, bool]:
        """Serves (request), however long it takes. Also tells if it failed, whatever
        on_error has answered: (look) is shown what is left of it before. NativeError
        where it cannot be kept."""
        return asyncio.run(self._answer(request, look, 0))

    async def _answer_itself(self, request: Request, depth: int) -> Response:
        return (await self._answer(request, None, depth))[0]

    async def _answer(
        self, request: Request, look: Callable[[Remains], None] | None, depth: int
    ) -> tuple[Response, bool]:
        with self._started.clone(look=look is not None) as vm:
            response = vm.serve(request)
            while response is None:
                if vm.waits:
                    await self._supply(vm, depth + 1)
                elif look and vm.failed:
                    with vm.remains() as left:
                        look(left)
                response = vm.resume()
            has_failed = bool(vm.rare) and vm.failed
            if vm.rare and vm.streams:
                response = gather(vm, response)
            self._telling.tell_of(vm)
            if vm.rare and vm.unsynced:
                self._upkeep.sync()
            self._upkeep.run_tasks(AT_END)
            return response, has_failed or (bool(vm.rare) and vm.failed)

    async def _supply(self, vm: Vm, depth: int) -> None:
        if awaited := vm.awaited():
            await ready(*awaited)
        else:
            vm.fetched(await self._fetch(vm.wanted(), depth))

    async def _fetch(self, wanted: Wanted, depth: int) -> Fetched:
        name = self._started.config.name
        return await self._fetching.fetch(name, self._policy, wanted, depth, NOBODY)

    def close(self) -> None:
        """Ends its machines."""
        self._upkeep.close()
        self._started.close()
