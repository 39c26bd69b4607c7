"""A configured program, started: its storage VM, its frozen machine, its clones."""

import asyncio
import time
from contextlib import ExitStack

from skerry import native
from skerry.config import Program as Config
from skerry.errors import ProgramError
from skerry.log import Log
from skerry.message import Request, Response
from skerry.native import BATCH, Stream
from skerry.pool import Pool

_MB = 1 << 20
_STATE_FILE = "state"
INLINE = 0.001  # seconds that a request may hold up the event loop


def arguments(config: Config, kind: str) -> list[str]:
    """argv: the name, then what is configured, else state file and kind."""
    if config.main_arguments is not None:
        return [config.name, *config.main_arguments]
    return [config.name, _STATE_FILE, kind]


def environment(config: Config, kind: str) -> list[str]:
    """What every program finds in its environment, then what is configured."""
    return [
        f"KVM_NAME={config.name}",
        f"KVM_GROUP={config.group}",
        f"KVM_TYPE={kind}",
        f"KVM_STATE={_STATE_FILE}",
        "KVM_DEBUG=0",
        "LC_ALL=C",
        "USER=root",
        *config.environment,
    ]


class Program:
    """Answers requests from clones of the frozen machine.

    Starting takes the program's own start-up time: construct it on a thread that may
    wait. ProgramError when it does not start.
    """

    def __init__(self, config: Config, log: Log) -> None:
        self.config = config
        self._log = log
        self._held = ExitStack()
        self._queue: list[Request] = []
        self._scheduled = False
        self.console = self._held.enter_context(native.Console())
        begin = time.monotonic()
        try:
            self._start()
        except native.NativeError as error:
            raise ProgramError(config.name, error.step, error.reason) from None
        except OSError as error:
            raise ProgramError(config.name, "read", error.strerror or "") from None
        finally:
            self.print_lines()
        self.ready_ms = (time.monotonic() - begin) * 1000

    def _start(self) -> None:
        config = self.config
        elf = config.filename.read_bytes()
        self.shared = None
        if config.shared_memory:
            self.shared = native.SharedMemory(config.shared_memory * _MB)
            self._held.enter_context(self.shared)
        self.storage = self._start_storage(elf) if config.storage else None
        self.snapshot = self._held.enter_context(self._boot(elf, "request"))
        self.body_limit = self.snapshot.body_limit
        self.pool = Pool(self._clone, config.concurrency)
        self.pool.give(self.pool.make())
        self._free = self.pool.free

    def _boot(self, elf: bytes, kind: str) -> native.Snapshot:
        config = self.config
        options = native.BootOptions(
            name=config.name,
            elf=elf,
            argv=arguments(config, kind),
            environment=environment(config, kind),
            max_memory=config.max_memory * _MB,
            max_request_memory=config.max_request_memory * _MB,
            max_boot_time=config.max_boot_time,
            is_storage=kind == "storage",
        )
        storage = self.storage if kind == "request" else None
        return native.boot(options, self.console, self.shared, storage)

    def _start_storage(self, elf: bytes) -> native.Storage:
        limit = self.config.max_storage_time
        with self._boot(elf, "storage") as snapshot:
            return self._held.enter_context(
                native.Storage(snapshot, self.console, limit)
            )

    def _clone(self) -> native.Vm:
        limit = self.config.max_request_time
        return native.Vm(self.snapshot, self.console, limit, INLINE, self.storage)

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
            self.print_lines()
        if vm.rare and vm.failed:
            text = f"request failed: {vm.reason}"
            self._log.program(self.config.name, Stream.HOST, text)
        if vm.rare and vm.discard:
            self.pool.drop(vm)
        else:
            self.pool.give(vm)

    def print_lines(self) -> None:
        """Logs what the program has printed so far."""
        for stream, text in self.console.take():
            if self.config.stdout or stream in (Stream.LOG, Stream.HOST):
                self._log.program(self.config.name, stream, text)

    def close(self) -> None:
        """Ends its machines. None may be serving."""
        self.pool.close()
        self._held.close()
