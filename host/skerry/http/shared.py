"""What the connections of one server share."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Protocol

from skerry.http.clock import Clock
from skerry.http.limits import Limits
from skerry.message import Request, Response

# Returns the answer, or what will be the answer when it is awaited, or None: then the
# handler calls request.client.on_response, soon and on the loop's thread.
Handler = Callable[[Request], Response | Awaitable[Response] | None]

# Tells of a request whose head has arrived if the handler wants it now, as an Upload.
InPieces = Callable[[Request], bool]


class Connection(Protocol):
    """What the server asks of a connection."""

    deadline: float

    def expire(self) -> None:
        """The deadline has passed."""

    def retire(self) -> None:
        """Answer what is in flight, then close."""

    def abort(self) -> None:
        """Close at once."""


class Shared:
    """The handler, the limits and the clock; who is connected; what still runs."""

    def __init__(
        self,
        handler: Handler,
        limits: Limits,
        loop: asyncio.AbstractEventLoop,
        in_pieces: InPieces | None = None,
    ) -> None:
        self.handler = handler
        self.in_pieces = in_pieces
        self.limits = limits
        self.loop = loop
        self.clock = Clock()
        self.connections: set[Connection] = set()
        self.tasks: set[asyncio.Task[None]] = set()
        self.stopping = False
        self._idle: asyncio.Event | None = None

    def spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Runs (work) in a task that is held until it ends."""
        task = self.loop.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def leave(self, connection: Connection) -> None:
        """(connection) is closed."""
        self.connections.discard(connection)
        self._look()

    def sweep(self) -> None:
        """Moves the clock and expires every connection whose deadline has passed."""
        self.clock.tick()
        now = self.clock.now
        late = [each for each in self.connections if each.deadline < now]
        for connection in late:
            connection.expire()

    async def idle(self) -> None:
        """Returns when no connection is open and no task runs."""
        self._idle = asyncio.Event()
        self._look()
        await self._idle.wait()

    def _done(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        self._look()

    def _look(self) -> None:
        if self._idle and not self.connections and not self.tasks:
            self._idle.set()
