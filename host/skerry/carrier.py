"""Requests that do not end with their batch: they take longer, wait for what they
fetch, or have bodies that come or go piece by piece. Each keeps its clone till then."""

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from skerry.fetching import Gone, while_there
from skerry.message import Client, Cut, Response, Streamed, Upload
from skerry.native import Vm
from skerry.pool import Pool
from skerry.ready import ready
from skerry.streaming import SCARCE, Body, take_in
from skerry.telling import Telling
from skerry.upkeep import Upkeep
from skerry.wanted import Fetched

T = TypeVar("T")

NO_MEMORY = "503 there was no memory for the answer\n"
GONE = "503 the client has left\n"


class Carrier:
    """Carries them on, with clones of (pool). (fetch) gets what a clone waits for,
    (refusal) makes the answer to who gets none, and (freed) is called when a clone has
    come back."""

    def __init__(
        self,
        pool: Pool,
        upkeep: Upkeep,
        telling: Telling,
        fetch: Callable[[Vm, Client], Coroutine[Any, Any, Fetched]],
        refusal: Callable[[str], Response],
        freed: Callable[[], None],
    ) -> None:
        self._pool = pool
        self._upkeep = upkeep
        self._telling = telling
        self._fetch = fetch
        self._refusal = refusal
        self._freed = freed
        self.answered = 0

    async def resume(self, vm: Vm, client: Client) -> Response:
        """The answer to the request of (client), which (vm) has begun."""
        try:
            response = await self.carry_on(vm, client)
        except SCARCE:
            self.forsake(vm)
            return self._refusal(NO_MEMORY)
        except Gone:
            self._pool.drop(vm)
            return self._refusal(GONE)
        assert response, "it has its whole body"
        return await self._conclude(vm, response)

    async def upload(self, request: Upload, vm: Vm) -> Response:
        """The answer to (request), which (vm) takes as it arrives. Raises Cut when the
        rest of it never comes."""
        try:
            response = await take_in(self, request, vm)
        except Cut:
            self.put_back(vm)
            raise
        except Gone:
            self._pool.drop(vm)
            raise Cut from None
        except SCARCE:
            self.forsake(vm)
            return self._refusal(NO_MEMORY)
        return await self._conclude(vm, response)

    async def _conclude(self, vm: Vm, response: Response) -> Response:
        """(response) has come late, and alone."""
        self.answered += 1
        synced = self.synced(vm)
        response = self.answer_of(vm, response)
        return await self._upkeep.when(synced, response) if synced else response

    def answer_of(self, vm: Vm, response: Response) -> Response:
        """Takes (vm) back, unless it has to make the body of (response) first."""
        if not (vm.rare and vm.streams):
            self.finish(vm)
            return response
        self.look_at(vm)
        return Streamed(response, vm.stream_length, Body(self, vm))

    # What goes on with a clone, also for bodies in pieces: see streaming.Clones.

    async def run(self, work: Callable[[], T]) -> T:
        return await self._pool.run(work)

    async def carry_on(self, vm: Vm, client: Client) -> Response | None:
        response = None
        while response is None and (vm.busy or vm.waits):
            if vm.waits:
                await while_there(client, self._supply(vm, client))
                response = vm.go_on()
            else:
                response = await self.run(vm.resume)
        return response

    async def _supply(self, vm: Vm, client: Client) -> None:
        """Returns when what (vm) waits for is there, or will not come."""
        if awaited := vm.awaited():
            await ready(*awaited)
        else:
            vm.fetched(await self._fetch(vm, client))

    def synced(self, vm: Vm) -> Awaitable[None] | None:
        return self._upkeep.synced(vm)

    def look_at(self, vm: Vm) -> None:
        """Tells what is out of the ordinary; its tasks begin here."""
        self._telling.tell_of(vm)
        self._upkeep.look_at(vm)

    def forsake(self, vm: Vm) -> None:
        self._telling.complain("no memory for an answer")
        self._pool.drop(vm)

    def finish(self, vm: Vm) -> None:
        """Tells what is out of the ordinary, and gives the clone back."""
        self.look_at(vm)
        self._give_back(vm, bool(vm.rare) and vm.discard)

    def put_back(self, vm: Vm) -> None:
        """Takes a clone that is as a request left it."""
        is_lost = bool(vm.rare) and vm.discard
        self._give_back(vm, is_lost or vm.reset() < 0)

    def _give_back(self, vm: Vm, is_lost: bool) -> None:
        if is_lost:
            self._pool.drop(vm)
        else:
            self._pool.give(vm)
        self._freed()
