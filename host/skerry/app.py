"""All programs of a configuration, and the request handler that they share."""

import asyncio

from skerry.config import Config
from skerry.config import Program as ProgramConfig
from skerry.errors import ProgramError
from skerry.log import Log
from skerry.message import Request, Response
from skerry.program import Program
from skerry.router import Router
from skerry.start import start


class Absent:
    """Who answers, always the same, where no program does."""

    def __init__(self, status: int, text: str) -> None:
        self._response = Response.text(status, text)

    def answer(self, request: Request) -> Response:
        """The same for every (request)."""
        return self._response


_NOBODY = Absent(404, "404 no program answers here\n")
_NOT_STARTED = Absent(503, "503 the program did not start\n")


class App:
    """The handler of an HTTP server: app(request) is its response, or will be."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self.programs: list[Program] = []
        self._router: Router[Program | Absent] = Router({}, _NOBODY)

    async def start(self, config: Config) -> None:
        """Starts all programs at the same time. One that does not start is logged, and
        answers 503."""
        started = await asyncio.gather(
            *(asyncio.to_thread(self._start, each) for each in config.programs)
        )
        names = (each.name for each in config.programs)
        self._router = Router(dict(zip(names, started, strict=True)), _NOBODY)
        self.programs = [each for each in started if isinstance(each, Program)]

    def _start(self, config: ProgramConfig) -> Program | Absent:
        try:
            program = Program(start(config, self._log), self._log)
        except ProgramError as error:
            self._log.problem(f"program '{error.name}': {error.step}: {error.reason}")
            return _NOT_STARTED
        self._log.info(_ready_line(program))
        return program

    def __call__(self, request: Request) -> Response | None:
        return self._router.match(request.host, request.target).answer(request)

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
    parts.append(f"ready={program.started.ready_ms:.2f}ms")
    return f"Program '{config.name}' is loaded ({', '.join(parts)})"
