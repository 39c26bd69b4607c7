"""A started program, serving: its clones, and the requests that wait for them."""

import asyncio

from skerry import native
from skerry.log import Log
from skerry.message import Request, Response
from skerry.native import BATCH, Stream
from skerry.pool import Pool
from skerry.start import Started

INLINE = 0.001  # seconds that a request may hold up the event loop


class Program:
    """Answers requests from clones of the frozen machine. Owns what was started."""

    def __init__(self, started: Started, log: Log) -> None:
        self.started = started
        self.config = started.config
        self._log = log
        self._queue: list[Request] = []
        self._scheduled = False
        self.body_limit = started.snapshot.body_limit
        self.pool = Pool(self._clone, self.config.concurrency)
        self._free = self.pool.free

    def _clone(self) -> native.Vm:
        started = self.started
        limit = self.config.max_request_time
        return native.Vm(
            started.snapshot, started.console, limit, INLINE, started.storage
        )

    def answer(self, request: Request) -> Response | None:
        """Puts (request) off until the event loop has read what else there is: then
        all are served in one batch."""
        if len(request.body) > self.body_limit:
            return Response.text(413, "413 the body is too large for this program\n")
        self._queue.append(request)
        self._schedule()
        return None

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        """Serves a batch; what is left of the queue has its turn after other events."""
        self._scheduled = False
        batch, self._queue = self._queue[:BATCH], self._queue[BATCH:]
        if self._free:
            self._serve(batch, self._free.pop())
        else:
            for request in batch:
                request.client.on_response(self._answer_later(request))
        if self._queue:
            self._schedule()

    def _serve(self, batch: list[Request], vm: native.Vm) -> None:
        answers = vm.serve_batch(batch)
        if len(answers) < len(batch):
            self._queue = batch[len(answers) :] + self._queue
        if vm.rare:
            self._look_closer(vm)
        else:
            self._free.append(vm)
        for request, answer in zip(batch, answers, strict=False):
            request.client.on_response(answer)

    def _look_closer(self, vm: native.Vm) -> None:
        """After a batch: a request that goes on takes its clone to a thread."""
        if vm.busy:
            request = self._queue.pop(0)
            request.client.on_response(self._resume(vm))
        else:
            self._finish(vm)

    def answer_now(self, request: Request) -> tuple[Response, bool]:
        """Serves (request) on this thread, however long it takes. Also tells if it
        failed, whatever on_error has answered."""
        vm = self.pool.make()
        response = vm.serve(request) or vm.resume()
        failed = bool(vm.rare) and vm.failed
        self._finish(vm)
        return response, failed

    async def _answer_later(self, request: Request) -> Response:
        vm = await self.pool.take(self.config.max_request_time)
        if vm is None:
            text = "503 all machines of this program are busy\n"
            return Response.text(503, text, b"Retry-After: 1\r\n")
        response = vm.serve(request)
        if response is None:
            return await self._resume(vm)
        self._finish(vm)
        return response

    async def _resume(self, vm: native.Vm) -> Response:
        response = await self.pool.run(vm.resume)
        self._finish(vm)
        return response

    def _finish(self, vm: native.Vm) -> None:
        """Looks at what is out of the ordinary, and gives the clone back."""
        if vm.rare and vm.has_lines:
            self.started.print_lines(self._log)
        if vm.rare and vm.failed:
            text = f"request failed: {vm.reason}"
            self._log.program(self.config.name, Stream.HOST, text)
        if vm.rare and vm.discard:
            self.pool.drop(vm)
        else:
            self.pool.give(vm)

    def close(self) -> None:
        """Ends its machines. None may be serving."""
        self.pool.close()
        self.started.close()
