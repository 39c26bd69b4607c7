"""A started program, serving: its clones, and the requests that wait for them."""

import asyncio
from collections.abc import Awaitable, Callable
from math import inf
from typing import TypeVar

from skerry.counts import Counts
from skerry.durable import GroupCommit
from skerry.egress import Policy
from skerry.failures import describe
from skerry.fetching import NOBODY, Fetching, Gone, Nowhere, while_there
from skerry.keys import FSYNC
from skerry.line import Line
from skerry.log import Log
from skerry.message import Client, Cut, Request, Response, Streamed, Upload
from skerry.native import BATCH, NativeError, Remains, Stream, Vm
from skerry.pool import REST, Pool
from skerry.started import Started
from skerry.streaming import Body, arrives, gather, settle, take_in
from skerry.tasks import Tasks
from skerry.wanted import Fetched

T = TypeVar("T")

INLINE = 0.001  # seconds that a request may hold up the event loop
NO_MEMORY = "503 there was no memory for the answer\n"
GONE = "503 the client has left\n"
AT_END = 100  # tasks that answer_now runs: those that order each other never end
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
        self._pool = Pool(self._clone, limit, self._schedule, self._tell, rest)
        self._free = self._pool.free
        is_synced = config.storage_file and config.durability == FSYNC
        self._commit = GroupCommit(self._sync) if is_synced else None
        self._tasks = self._make_tasks(started)
        self._answered = self._errors = self._refused = 0
        self._fetching = fetching or Fetching(self.answer_inner, Nowhere())
        self._policy = Policy(config.allowed_hosts)
        self._depth = depth
        self._deeper: Program | None = None

    def _clone(self, look: bool = False) -> Vm:
        started = self.started
        return Vm(
            started.snapshot,
            started.console,
            self.config.max_request_time,
            INLINE,
            started.storage,
            look=look,
        )

    def _tell(self, error: NativeError) -> None:
        """Why there is no further clone."""
        made, limit = self._pool.made, self.config.concurrency
        self._log.problem(
            f"program '{self.config.name}': no further machine: {error}; it has {made} "
            f"of {limit}: lower concurrency, or give the host more"
        )

    def counts(self) -> Counts:
        """What it has done and is doing."""
        pool, storage = self._pool, self.started.storage
        kept = storage.counts() if storage else None
        deeper = self._deeper.counts() if self._deeper else Counts()
        return deeper + Counts(
            requests=self._answered,
            errors=self._errors,
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
        is_saved = self._commit is None or self._commit.is_idle
        is_quiet = is_saved and (self._tasks is None or self._tasks.is_idle)
        is_alone = self._deeper is None or self._deeper.is_idle
        return not self._requests and self._pool.is_idle and is_quiet and is_alone

    @property
    def is_busy(self) -> bool:
        """A request that has begun has not been answered yet."""
        is_saved = self._commit is None or self._commit.is_idle
        is_alone = self._deeper is None or not self._deeper.is_busy
        return self._pool.busy > 0 or not (is_saved and is_alone)

    def hold(self, held: bool) -> None:
        """While (held), requests wait, and none begins."""
        self._is_held = held
        if self._requests:
            self._schedule()

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
        self.forsake(vm)
        self._line.leave(len(batch))
        for request in batch:
            self._refuse(request, NO_MEMORY)
        if self._requests:
            self._schedule()

    def _answer_rarely(
        self, batch: list[Request], answers: list[Response], vm: Vm
    ) -> None:
        """After a batch: a request that goes on, or waits, takes its clone along, and
        answers wait for the disk if they tell of what is not there yet."""
        synced, is_busy = self.synced(vm), vm.busy or vm.waits
        if is_busy:
            self._line.leave(1)
            self._look_at_tasks(vm)
        else:
            answers[-1:] = [self._answer_of(vm, each) for each in answers[-1:]]
        for request, answer in zip(batch, answers, strict=False):
            later = self._when(synced, answer) if synced else answer
            request.client.on_response(later)
        if is_busy:
            client = batch[len(answers)].client
            client.on_response(self._resume(vm, client))

    async def _resume(self, vm: Vm, client: Client) -> Response:
        try:
            response = await self.carry_on(vm, client)
        except (MemoryError, RuntimeError):  # also: can't start new thread
            self.forsake(vm)
            return self._refusal(NO_MEMORY)
        except Gone:
            self._pool.drop(vm)
            return self._refusal(GONE)
        assert response, "it has its whole body"
        return await self._conclude(vm, response)

    async def _conclude(self, vm: Vm, response: Response) -> Response:
        """(response) has come late, and alone."""
        self._answered += 1
        synced = self.synced(vm)
        response = self._answer_of(vm, response)
        return await self._when(synced, response) if synced else response

    async def carry_on(self, vm: Vm, client: Client) -> Response | None:
        response = None
        while response is None and (vm.busy or vm.waits):
            if vm.waits:
                work = self._fetch(vm, client, self._depth)
                vm.fetched(await while_there(client, work))
                response = vm.go_on()
            else:
                response = await self.run(vm.resume)
        return response

    async def _fetch(self, vm: Vm, client: Client, depth: int) -> Fetched:
        """What (vm) waits for, which serves at (depth)."""
        return await self._fetching.fetch(
            self.config.name, self._policy, vm.wanted(), depth + 1, client
        )

    def _answer_of(self, vm: Vm, response: Response) -> Response:
        """Takes (vm) back, unless it has to make the body of (response) first."""
        if not (vm.rare and vm.streams):
            self.finish(vm)
            return response
        self.look_at(vm)
        return Streamed(response, vm.stream_length, Body(self, vm))

    def _begin_upload(self, request: Request, vm: Vm) -> None:
        self._line.leave(1)
        assert isinstance(request, Upload)
        request.client.on_response(self._upload(request, vm))
        if self._requests:
            self._schedule()

    async def _upload(self, request: Upload, vm: Vm) -> Response:
        try:
            response = await take_in(self, request, vm)
        except Cut:
            self.put_back(vm)
            raise
        except Gone:
            self._pool.drop(vm)
            raise Cut from None
        except (MemoryError, RuntimeError):
            self.forsake(vm)
            return self._refusal(NO_MEMORY)
        return await self._conclude(vm, response)

    def answer_now(
        self, request: Request, look: Callable[[Remains], None] | None = None
    ) -> tuple[Response, bool]:
        """Serves (request) on this thread, however long it takes. Also tells if it
        failed, whatever on_error has answered: (look) is shown what is left of it
        before. NativeError where it cannot be kept."""
        return asyncio.run(self.answer_alone(request, look))

    async def answer_alone(
        self,
        request: Request,
        look: Callable[[Remains], None] | None = None,
        depth: int = 0,
    ) -> tuple[Response, bool]:
        """The same at (depth), for an event loop that nothing else waits for."""
        with self._clone(look=look is not None) as vm:
            response = vm.serve(request)
            while response is None:
                if vm.waits:
                    vm.fetched(await self._fetch(vm, NOBODY, depth))
                elif look and vm.failed:
                    with vm.remains() as left:
                        look(left)
                response = vm.resume()
            has_failed = bool(vm.rare) and vm.failed
            if vm.rare and vm.streams:
                response = gather(vm, response)
            self._tell_of(vm)
            if vm.rare and vm.unsynced:
                self._sync()
            if self._tasks and self._tasks.run(AT_END):
                self._print()
            return response, has_failed or (bool(vm.rare) and vm.failed)

    # What goes on with a clone, also for bodies in pieces.

    async def run(self, work: Callable[[], T]) -> T:
        return await self._pool.run(work)

    def forsake(self, vm: Vm) -> None:
        self._log.problem(f"program '{self.config.name}': no memory for an answer")
        self._pool.drop(vm)

    def look_at(self, vm: Vm) -> None:
        """Tells what is out of the ordinary; its tasks begin here."""
        self._tell_of(vm)
        self._look_at_tasks(vm)

    def _tell_of(self, vm: Vm) -> None:
        """Tells what is out of the ordinary."""
        if vm.rare and vm.has_lines:
            self.started.print_lines(self._log)
        if vm.rare and vm.failed:
            self._errors += 1
            text = describe(vm.failure, self.started.symbols)
            self._log.program(self.config.name, Stream.HOST, text)

    def put_back(self, vm: Vm) -> None:
        """Takes a clone that is as a request left it."""
        is_lost = bool(vm.rare) and vm.discard
        if is_lost or vm.reset() < 0:
            self._pool.drop(vm)
        else:
            self._pool.give(vm)
        if self._requests:
            self._schedule()

    def finish(self, vm: Vm) -> None:
        """Tells what is out of the ordinary, and gives the clone back."""
        self.look_at(vm)
        if vm.rare and vm.discard:
            self._pool.drop(vm)
        else:
            self._pool.give(vm)
        if self._requests:
            self._schedule()

    # Tasks of storage.

    def _make_tasks(self, started: Started) -> Tasks | None:
        if started.storage is None:
            return None
        sync = self._sync if self._commit else None
        return Tasks(started.storage, sync, self._print)

    def begin_tasks(self) -> None:
        """From now on tasks are run here."""
        if self._tasks:
            self._tasks.look()

    def end_tasks(self) -> None:
        """They are left to other processes, or to who keeps the storage."""
        if self._tasks:
            self._tasks.end()

    def _look_at_tasks(self, vm: Vm) -> None:
        if self._tasks and vm.rare and vm.has_tasks:
            self._tasks.look()

    def _print(self) -> None:
        self.started.print_lines(self._log)

    # Storage that is kept, with durability "fsync".

    def synced(self, vm: Vm) -> Awaitable[None] | None:
        """What the answers of (vm) have to wait for. To be called before (vm) is given
        back: then the program is never idle in between."""
        is_unsynced = self._commit and vm.rare and vm.unsynced
        return self._commit.wait() if self._commit and is_unsynced else None

    async def _when(self, synced: Awaitable[None], answer: Response) -> Response:
        """(answer), once the disk has what it tells of; a 500 if that fails."""
        try:
            await synced
        except NativeError:
            self._errors += 1
            if isinstance(answer, Streamed):
                answer.source.close()
            return Response.text(500, "500 storage could not be written\n")
        return answer

    def _sync(self) -> None:
        """Blocks until the disk has what storage has. On any thread."""
        storage = self.started.storage
        assert storage
        try:
            storage.sync()
        except NativeError as error:
            text = f"storage could not be written: {error}"
            self._log.program(self.config.name, Stream.HOST, text)
            raise

    def close(self) -> None:
        """Ends its machines. None may be serving."""
        self._close()
        self.started.close()

    def _close(self) -> None:
        if self._deeper:
            self._deeper._close()
        self._line.close()
        if self._tasks:
            self._tasks.close()
        self._pool.close()
        if self._commit:
            self._commit.close()
