"""A started program, serving: its clones, and the requests that wait for them."""

import asyncio
from math import inf

from skerry.carrier import NO_MEMORY, Carrier
from skerry.counts import Counts
from skerry.egress import Policy
from skerry.fetching import Fetching, Nowhere
from skerry.line import Line
from skerry.log import Log
from skerry.message import Client, Request, Response, Upload
from skerry.native import BATCH, NativeError, Vm
from skerry.pool import REST, Pool
from skerry.started import Started
from skerry.streaming import arrives, settle
from skerry.telling import Telling
from skerry.upkeep import Upkeep
from skerry.wanted import Fetched

NO_MEANS = "503 there are no means for a machine of this program now\n"


class Program:
    """Answers requests from clones of the frozen machine. Owns what was started. What
    the program fetches comes from (fetching).

    Requests that programs of this host make have (depth), the number of those that they
    wait for, and machines of their own at each depth. So a machine waits for deeper
    ones only, and the deepest wait for none: with `concurrency` of them at each depth
    nobody waits for ever, and there is an end to how many there are."""

    def __init__(
        self,
        started: Started,
        log: Log,
        fetching: Fetching | None = None,
        depth: int = 0,
    ) -> None:
        self.started = started
        self.config = started.config
        self._log = log
        self.body_limit = started.snapshot.body_limit
        self.takes_pieces = started.snapshot.takes_pieces  # of a body that arrives
        config = self.config
        self._line = Line(config.max_queue, config.max_request_time, self._refuse)
        self._requests = self._line.requests
        self._scheduled = False
        self._is_held = False
        limit = config.concurrency
        # What a clone has kept would go with it.
        rest = REST if config.ephemeral and not config.control_ephemeral else inf
        self._pool = Pool(started.clone, limit, self._schedule, self._tell, rest)
        self._free = self._pool.free
        self._telling = Telling(started, log)
        self._upkeep = Upkeep(started, self._telling)
        self._carrier = Carrier(
            self._pool,
            self._upkeep,
            self._telling,
            self._fetch,
            self._refusal,
            self._go_on,
        )
        self._answered = self._refused = 0
        self._fetching = fetching or Fetching(self.answer_inner, Nowhere())
        self._policy = Policy(config.allowed_hosts)
        self._depth = depth
        self._deeper: Program | None = None

    def _tell(self, error: NativeError) -> None:
        """Why there is no further clone."""
        made, limit = self._pool.made, self.config.concurrency
        self._telling.complain(
            f"no further machine: {error}; it has {made} of {limit}: "
            "lower concurrency, or give the host more"
        )

    def counts(self) -> Counts:
        """What it has done and is doing."""
        pool, storage = self._pool, self.started.storage
        kept = storage.counts() if storage else None
        deeper = self._deeper.counts() if self._deeper else Counts()
        return deeper + Counts(
            requests=self._answered + self._carrier.answered,
            errors=self._telling.errors,
            refused=self._refused,
            clones_busy=pool.busy,
            clones_free=pool.available,
            waiting=len(self._requests),
            storage_calls=kept.calls if kept else 0,
            storage_undone=kept.failed if kept else 0,
            tasks_run=kept.tasks_run if kept else 0,
            tasks_failed=kept.tasks_failed if kept else 0,
            tasks_pending=kept.tasks_pending if kept else 0,
        )

    @property
    def is_idle(self) -> bool:
        """All requests have been answered, and nothing runs: it may be closed."""
        is_quiet = self._pool.is_idle and self._upkeep.is_idle
        is_alone = self._deeper is None or self._deeper.is_idle
        return not self._requests and is_quiet and is_alone

    @property
    def is_busy(self) -> bool:
        """A request that has begun has not been answered yet."""
        is_alone = self._deeper is None or not self._deeper.is_busy
        return self._pool.busy > 0 or not (self._upkeep.is_saved and is_alone)

    def hold(self, held: bool) -> None:
        """While (held), requests wait, and none begins."""
        self._is_held = held
        self._go_on()

    def take_waiting(self) -> list[Request]:
        """The requests that have waited because it was held; they are the caller's."""
        if not self._is_held:
            return []
        waiting = list(self._requests)
        self._line.leave(len(waiting))
        return waiting

    def answer(self, request: Request) -> Response | None:
        """Puts (request) off until the event loop has read what else there is: then
        all are served in one batch."""
        if len(request.body) > self.body_limit:
            self._refused += 1
            return Response.text(413, "413 the body is too large for this program\n")
        self._requests.append(request)
        self._schedule()
        return None

    def answer_inner(self, request: Request, depth: int) -> Response | None:
        """The same for a request that a program of this host makes, at (depth)."""
        if depth == self._depth:
            return self.answer(request)
        if self._deeper is None:
            below = self._depth + 1
            self._deeper = Program(self.started, self._log, self._fetching, below)
        return self._deeper.answer_inner(request, depth)

    def _refuse(self, request: Request, reason: str) -> None:
        request.client.on_response(self._refusal(reason))

    def _refusal(self, reason: str) -> Response:
        self._refused += 1
        return Response.text(503, reason, b"Retry-After: 1\r\n")

    def _go_on(self) -> None:
        """There may be a clone for who waits."""
        if self._requests:
            self._schedule()

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        """Serves a batch; what is left of the line has its turn after other events."""
        self._scheduled = False
        batch = self._line.first(BATCH)
        if not batch:
            return
        if self._is_held:
            self._line.wait()
            return
        if self.takes_pieces:
            batch = settle(batch)
        vm = self._free.pop() if self._free else self._pool.take()
        if vm:
            self._serve(batch, vm)
        elif self._pool.is_growing:
            self._line.wait()
        elif self._pool.made:
            self._line.wait_in_bounds()
        else:
            self._line.refuse_all(NO_MEANS)

    def _serve(self, batch: list[Request], vm: Vm) -> None:
        if self.takes_pieces and arrives(batch[0]):
            self._begin_upload(batch[0], vm)
            return
        try:
            answers = vm.serve_batch(batch)
        except MemoryError:
            self._lose(batch, vm)
            return
        self._answered += len(answers)
        self._line.leave(len(answers))
        if vm.rare:
            self._answer_rarely(batch, answers, vm)
        else:
            self._free.append(vm)
            for request, answer in zip(batch, answers, strict=False):
                request.client.on_response(answer)
        if self._requests:
            self._schedule()

    def _lose(self, batch: list[Request], vm: Vm) -> None:
        """There was no memory for the answers, whoever has been served."""
        self._carrier.forsake(vm)
        self._line.leave(len(batch))
        for request in batch:
            self._refuse(request, NO_MEMORY)
        self._go_on()

    def _answer_rarely(
        self, batch: list[Request], answers: list[Response], vm: Vm
    ) -> None:
        """After a batch: a request that goes on, or waits, takes its clone along, and
        answers wait for the disk if they tell of what is not there yet."""
        carrier, upkeep = self._carrier, self._upkeep
        synced, is_busy = upkeep.synced(vm), vm.busy or vm.waits
        if is_busy:
            self._line.leave(1)
            upkeep.look_at(vm)
        else:
            answers[-1:] = [carrier.answer_of(vm, each) for each in answers[-1:]]
        for request, answer in zip(batch, answers, strict=False):
            later = upkeep.when(synced, answer) if synced else answer
            request.client.on_response(later)
        if is_busy:
            client = batch[len(answers)].client
            client.on_response(carrier.resume(vm, client))

    def _begin_upload(self, request: Request, vm: Vm) -> None:
        self._line.leave(1)
        assert isinstance(request, Upload)
        request.client.on_response(self._carrier.upload(request, vm))
        self._go_on()

    async def _fetch(self, vm: Vm, client: Client) -> Fetched:
        """What (vm) waits for, which serves (client)."""
        return await self._fetching.fetch(
            self.config.name, self._policy, vm.wanted(), self._depth + 1, client
        )

    def begin_tasks(self) -> None:
        """From now on tasks of its storage are run here."""
        self._upkeep.begin_tasks()

    def end_tasks(self) -> None:
        """They are left to other processes, or to who keeps the storage."""
        self._upkeep.end_tasks()

    def close(self) -> None:
        """Ends its machines. None may be serving."""
        self._close()
        self.started.close()

    def _close(self) -> None:
        if self._deeper:
            self._deeper._close()
        self._line.close()
        self._pool.close()
        self._upkeep.close()
