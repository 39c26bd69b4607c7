"""Bodies that a program takes or makes piece by piece: its clone is taken meanwhile."""

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from skerry.message import Client, Cut, Request, Response, Upload
from skerry.native import NativeError, Vm

T = TypeVar("T")

# What has no memory, or can start no thread.
SCARCE = (MemoryError, RuntimeError)


class Clones(Protocol):
    """What is asked of the program whose clone it is."""

    async def run(self, work: Callable[[], T]) -> T:
        """What (work) returns, run on a thread."""

    async def carry_on(self, vm: Vm, client: Client) -> Response | None:
        """What comes of (vm) that is busy or waits. None: it wants more of its body.
        Gone when (client) leaves while it waits."""

    def look_at(self, vm: Vm) -> None:
        """Tells what is out of the ordinary."""

    def synced(self, vm: Vm) -> Awaitable[None] | None:
        """What has to be waited for before others may know of what (vm) did."""

    def finish(self, vm: Vm) -> None:
        """(vm) has answered: tells what is out of the ordinary, and takes it back."""

    def put_back(self, vm: Vm) -> None:
        """(vm) is as a request left it: takes it back."""

    def forsake(self, vm: Vm) -> None:
        """There was no memory to go on with (vm)."""


class Body:
    """The body of a response, made by the clone (vm): the source of a Streamed. The
    clone is given back with the last piece, or when it is closed."""

    def __init__(self, clones: Clones, vm: Vm) -> None:
        self._clones = clones
        self._vm: Vm | None = vm
        self._is_running = False  # on a thread

    async def next(self) -> bytes:
        """The next piece, on this thread if it does not take long. Raises Cut."""
        vm = self._vm
        if vm is None:
            return b""
        try:
            piece = await self._make(vm)
        except SCARCE:
            self._vm = None
            self._clones.forsake(vm)
            raise Cut from None
        synced = self._clones.synced(vm)
        self._settle(vm)
        if synced:
            await self._wait(synced)
        if piece is None:
            raise Cut
        return piece

    async def _wait(self, synced: Awaitable[None]) -> None:
        try:
            await synced
        except NativeError:
            self.close()
            raise Cut from None

    async def _make(self, vm: Vm) -> bytes | None:
        piece = vm.next_piece(wait=False)
        if vm.rare and vm.busy:
            self._is_running = True
            piece = await self._clones.run(lambda: vm.next_piece(wait=True))
            self._is_running = False
        return piece

    def _settle(self, vm: Vm) -> None:
        """After a piece, or a failure, which is told."""
        if vm.streams:
            self._clones.look_at(vm)
            return
        self._vm = None
        if vm.failed:
            self._clones.finish(vm)
        else:
            self._clones.look_at(vm)
            self._clones.put_back(vm)

    def close(self) -> None:
        """A clone that still runs on a thread ends with the process: only what ends all
        leaves it in the middle of a piece."""
        vm, self._vm = self._vm, None
        if vm and not self._is_running:
            self._clones.put_back(vm)


async def take_in(clones: Clones, request: Upload, vm: Vm) -> Response:
    """Gives the body of (request) to (vm) as it arrives. Returns the program's answer,
    which may come before the body's end. Raises Cut when that never comes."""
    vm.begin(request)
    answer = None
    while answer is None:
        answer = vm.post(await request.pieces.next())
        if answer is None:
            answer = await clones.carry_on(vm, request.client)
    return answer


def settle(batch: list[Request]) -> list[Request]:
    """Of the first requests in a line those that can be served now: all before the
    first whose body still arrives, or that one alone. A body that is complete becomes
    that of its request."""
    for index, request in enumerate(batch):
        if isinstance(request, Upload) and not request.body:
            if not request.pieces.is_complete:
                return batch[: max(index, 1)]
            request.body = request.pieces.take()
    return batch


def arrives(request: Request) -> bool:
    """Whether its body comes in pieces."""
    return isinstance(request, Upload) and not request.body


def gather(vm: Vm, head: Response) -> Response:
    """(head), with all of the body that (vm) makes, or as much as it does."""
    pieces: list[bytes] = []
    while vm.streams:
        pieces.append(vm.next_piece(wait=True) or b"")
    return Response(head.status, b"".join((head.rest, *pieces)), head.body_at, head.has)
