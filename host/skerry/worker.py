"""A worker process: serves the programs that its supervisor sends, on its sockets.

    python -m skerry.worker CHANNEL PARENT SOCKET...

It runs guests, in a jail. The supervisor replaces it when it dies, and nothing that was
acknowledged is lost with it: what programs keep lies in memory that others hold too."""

import asyncio
import contextlib
import signal
import socket
import sys
from collections.abc import Sequence

import uvloop

from skerry import http, jail
from skerry.app import App
from skerry.channel import Channel
from skerry.child import adopt, confine, die_with
from skerry.errors import SkerryError
from skerry.log import Log
from skerry.messages import (
    Add,
    Ask,
    Brought,
    Command,
    Counted,
    Drain,
    Draining,
    Outgoing,
    Serving,
    Settle,
    Settled,
    Use,
)
from skerry.native import use_connector
from skerry.parcel import Parcel
from skerry.remote import Remote

GRACE = 30.0  # seconds that requests in flight get to finish, if nobody says else


class Worker:
    """Obeys the supervisor until it says drain, is gone, or SIGTERM comes."""

    def __init__(
        self, channel: Channel[Command], sockets: Sequence[socket.socket]
    ) -> None:
        self._channel = channel
        self._sockets = sockets
        self._log = Log()
        self._remote = Remote()
        self._app = App(self._log, self._remote)
        self._server: http.Server | None = None
        self._settling: set[asyncio.Task[None]] = set()
        self._end = asyncio.get_running_loop().create_future()

    async def run(self) -> None:
        """Returns when what was in flight is done."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self.end, GRACE)
        obeying = loop.create_task(self._obey())
        obeying.add_done_callback(self._on_gone)
        seconds = await self._end
        if self._server:
            await self._drain(self._server, seconds)
        obeying.cancel()
        self._remote.close()
        self._app.close()

    def end(self, seconds: float) -> None:
        """Drain within (seconds), and end."""
        if not self._end.done():
            self._end.set_result(seconds)

    async def _drain(self, server: http.Server, seconds: float) -> None:
        stopping = asyncio.create_task(server.stop(seconds))
        await asyncio.sleep(0)  # now it has stopped listening
        with contextlib.suppress(OSError):
            await self._channel.send(Draining())
        await stopping

    async def _obey(self) -> None:
        """Returns when the supervisor is gone."""
        with contextlib.suppress(EOFError, ConnectionError):
            command, fds = await self._channel.receive()
            await self._channel.send(confine())
            while True:
                await self._do(command, fds)
                command, fds = await self._channel.receive()

    def _on_gone(self, obeying: asyncio.Task[None]) -> None:
        """Nobody is obeyed any more: a worker that fails has to end, to be replaced."""
        error = None if obeying.cancelled() else obeying.exception()
        if error and not self._end.done():
            self._end.set_exception(error)
        self.end(0)

    async def _do(self, command: Command, fds: tuple[int, ...]) -> None:
        match command:
            case Add():
                self._app.add(command.id, Parcel(command.data, fds))
            case Use():
                await self._use(command)
            case Settle():
                task = asyncio.create_task(self._settle(command))
                self._settling.add(task)
                task.add_done_callback(self._settling.discard)
            case Ask():
                connections = self._server.connections if self._server else 0
                await self._channel.send(Counted(connections, self._app.counts()))
            case Outgoing():
                channel, door = fds
                self._remote.use(Channel(socket.socket(fileno=channel), Brought))
                use_connector(door)
            case Drain():
                self.end(command.seconds)

    async def _use(self, command: Use) -> None:
        self._app.use(command.programs, command.held)
        if self._server is None:
            self._server = await http.serve_on(
                self._app, self._sockets, in_pieces=self._app.takes_pieces
            )
        await self._channel.send(Serving())

    async def _settle(self, command: Settle) -> None:
        await self._app.settle(command.programs, command.seconds)
        with contextlib.suppress(OSError):
            await self._channel.send(Settled())


async def _main(end: str, numbers: Sequence[str]) -> None:
    sockets = [socket.socket(fileno=int(each)) for each in numbers]
    await Worker(adopt(end, Command), sockets).run()


def main() -> None:
    end, parent, *numbers = sys.argv[1:]
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    die_with(int(parent))
    try:
        jail.prepare()
        uvloop.run(_main(end, numbers))
    except SkerryError as error:
        Log().problem(str(error))
        sys.exit(1)


if __name__ == "__main__":
    main()
