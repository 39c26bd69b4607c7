"""All programs that a process serves, and the request handler that they share."""

import asyncio
import contextlib
from collections.abc import Awaitable, Iterable, Sequence

from skerry.counts import Counts
from skerry.fetching import Fetching, Nowhere, Outside
from skerry.log import Log
from skerry.message import Request, Response
from skerry.native import NativeError
from skerry.parcel import Parcel, unpack
from skerry.program import Program
from skerry.router import Router

_LOOK = 0.05  # seconds between looks whether a program that left is done
_LOOK_CLOSELY = 0.002  # the same, while requests wait for it


class Absent:
    """Who answers, always the same, where no program does."""

    def __init__(self, status: int, text: str) -> None:
        self._response = Response.text(status, text)

    takes_pieces = False

    def answer(self, request: Request) -> Response:
        """The same for every (request)."""
        return self._response


_NOBODY = Absent(404, "404 no program answers here\n")
_NOT_STARTED = Absent(503, "503 the program did not start\n")


class App:
    """The handler of an HTTP server: app(request) is its response, or will be.

    Programs are added by a number that is never used again, and serve once use() names
    them; who is not named any more finishes what it has begun, and is closed. What they
    fetch from other hosts comes from (outside)."""

    def __init__(self, log: Log, outside: Outside | None = None) -> None:
        self._log = log
        self._fetching = Fetching(self.answer_inner, outside or Nowhere())
        self._programs: dict[int, Program | Absent] = {}
        self._past: dict[str, Counts] = {}  # of programs that left
        self._leaving: set[asyncio.Task[None]] = set()
        self._router: Router[Program | Absent] = Router({}, _NOBODY)

    def add(self, number: int, parcel: Parcel) -> None:
        """Takes over (parcel) as (number). When there is no room for it, that is
        logged, and it answers 503."""
        try:
            program = Program(unpack(parcel), self._log, self._fetching)
            self._programs[number] = program
            program.begin_tasks()
        except NativeError as error:
            self._log.problem(f"a program cannot be served here: {error}")
            self._programs[number] = _NOT_STARTED

    def use(
        self, programs: Sequence[tuple[str, int | None]], held: Sequence[int] = ()
    ) -> None:
        """From now on these serve, by name; None stands for one that did not start.
        Requests to those that are (held) wait. If one leaves, they go to who has its
        name then."""
        old = self._programs
        self._programs = {
            number: old[number] for _, number in programs if number is not None
        }
        found = {name: self._find(number) for name, number in programs}
        self._router = Router(found, _NOBODY)
        for number, program in old.items():
            if isinstance(program, Absent):
                continue
            if number not in self._programs:
                self._pass_on(program.take_waiting())
                self._let_go(program)
            program.hold(number in held)

    def _pass_on(self, requests: Iterable[Request]) -> None:
        """Requests of a program that has left, to who has its place."""
        for request in requests:
            response = self(request)
            if response is not None:
                request.client.on_response(response)

    async def settle(self, numbers: Sequence[int], seconds: float) -> None:
        """Returns when these programs, which are held, have nothing in flight, or after
        (seconds)."""
        programs = [self._programs.get(each) for each in numbers]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while any(isinstance(p, Program) and p.is_busy for p in programs):
                    await asyncio.sleep(_LOOK_CLOSELY)

    def _find(self, number: int | None) -> Program | Absent:
        return _NOT_STARTED if number is None else self._programs[number]

    def _let_go(self, program: Program) -> None:
        program.end_tasks()
        task = asyncio.get_running_loop().create_task(self._finish(program))
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    async def _finish(self, program: Program) -> None:
        while not program.is_idle:
            await asyncio.sleep(_LOOK)
        name = program.config.name
        self._past[name] = self._past.get(name, Counts()) + program.counts().totals
        program.close()

    def __call__(self, request: Request) -> Response | None:
        return self._router.match(request.host, request.target).answer(request)

    def answer_inner(
        self, request: Request, depth: int
    ) -> Response | Awaitable[Response] | None:
        """The same for a request that a program of this host makes, at (depth)."""
        found = self._router.match(request.host, request.target)
        if isinstance(found, Program):
            return found.answer_inner(request, depth)
        return found.answer(request)

    def takes_pieces(self, request: Request) -> bool:
        """Whether the body of (request) is wanted piece by piece, as it arrives."""
        return self._router.match(request.host, request.target).takes_pieces

    def counts(self) -> dict[str, Counts]:
        """What programs have done here, by name, from the beginning."""
        found = dict(self._past)
        for program in self._programs.values():
            if isinstance(program, Program):
                name = program.config.name
                found[name] = found.get(name, Counts()) + program.counts()
        return found

    def close(self) -> None:
        """Ends all programs; no request may be in flight."""
        for task in self._leaving:
            task.cancel()
        for program in self._programs.values():
            if isinstance(program, Program):
                program.close()
