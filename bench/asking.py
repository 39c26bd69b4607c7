"""A program asked by a client in its own process, without HTTP in between."""

import asyncio
import time
from collections.abc import Awaitable

from bench import pairs
from skerry.message import Request, Response
from skerry.program import Program

_HEADERS = b"Host: 127.0.0.1\r\n"


class _Client:
    """Waits for one answer."""

    is_gone = False

    def __init__(self) -> None:
        self.answer: asyncio.Future[Response | Awaitable[Response]] = (
            asyncio.get_running_loop().create_future()
        )

    def on_response(self, response: Response | Awaitable[Response]) -> None:
        self.answer.set_result(response)


async def ask(program: Program, target: bytes) -> None:
    """One GET, answered 200, or RuntimeError."""
    request = Request(b"GET", target, b"", _HEADERS)
    client = request.client = _Client()
    response = program.answer(request) or await client.answer
    if not isinstance(response, Response):
        response = await response
    if response.status != 200:
        raise RuntimeError(f"answered {response.status}")


async def ratio(
    program: Program, dear: bytes, cheap: bytes, batch: int, rounds: int
) -> float:
    """What a GET of (dear) takes over one of (cheap), each asked (batch) times in turn;
    the median."""

    async def turn(target: bytes) -> float:
        begin = time.perf_counter()
        for _ in range(batch):
            await ask(program, target)
        return time.perf_counter() - begin

    await turn(dear)  # the machines are made
    found = [(await turn(dear), await turn(cheap)) for _ in range(rounds)]
    while not program.is_idle:
        await asyncio.sleep(0)
    return pairs.median_ratio(found)
