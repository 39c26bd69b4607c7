"""All programs of a configuration, and the request handler that they share."""

import asyncio
from collections.abc import Awaitable

from skerry.config import Config
from skerry.config import Program as ProgramConfig
from skerry.errors import ProgramError
from skerry.log import Log
from skerry.message import Request, Response
from skerry.program import Program
from skerry.router import Router

_NOT_FOUND = "404 no program answers here\n"
_NOT_STARTED = "503 the program did not start\n"


class App:
    """The handler of an HTTP server: app(request) is its response, or will be."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self.programs: list[Program] = []
        self._router: Router[Program | ProgramError] = Router({})

    async def start(self, config: Config) -> None:
        """Starts all programs at the same time. One that does not start is logged, and
        answers 503."""
        started = await asyncio.gather(
            *(asyncio.to_thread(self._start, each) for each in config.programs)
        )
        names = (each.name for each in config.programs)
        self._router = Router(dict(zip(names, started, strict=True)))
        self.programs = [each for each in started if isinstance(each, Program)]

    def _start(self, config: ProgramConfig) -> Program | ProgramError:
        try:
            program = Program(config, self._log)
        except ProgramError as error:
            self._log.problem(f"program '{error.name}': {error.step}: {error.reason}")
            return error
        self._log.info(_ready_line(program))
        return program

    def __call__(self, request: Request) -> Response | Awaitable[Response]:
        program = self._router.match(request.host, request.target)
        if type(program) is Program:
            return program.answer(request)
        if program is None:
            return Response.text(404, _NOT_FOUND)
        return Response.text(503, _NOT_STARTED)

    def close(self) -> None:
        """Ends all programs; no request may be in flight."""
        for program in self.programs:
            program.close()


def _ready_line(program: Program) -> str:
    config = program.config
    parts = []
    if config.storage:
        parts.append("storage")
    if config.shared_memory:
        parts.append(f"shared memory {config.shared_memory} MB")
    parts.append(f"ready={program.ready_ms:.2f}ms")
    return f"Program '{config.name}' is loaded ({', '.join(parts)})"
