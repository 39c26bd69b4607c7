"""The boot process: starts programs, sends them to the supervisor, and ends.

    python -m skerry.booter CHANNEL PARENT THREADS

It runs programs' own start-up code, so it is in a jail, and may die of one; the
supervisor then starts another. It opens nothing, never serves, and holds nothing that
it has sent."""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from skerry import jail
from skerry.channel import Channel
from skerry.child import adopt, confine, die_with
from skerry.errors import ProgramError, SkerryError
from skerry.files import Files
from skerry.log import Log
from skerry.machine import check_machine
from skerry.messages import (
    Begun,
    Boot,
    Booted,
    Moved,
    NotBooted,
    Order,
    Prepared,
    Unfit,
)
from skerry.parcel import Parcel, pack
from skerry.start import start
from skerry.started import Started

T = TypeVar("T")


class Booter:
    """Starts what the supervisor asks for, as many at a time as it has threads."""

    def __init__(self, channel: Channel[Order], threads: int, log: Log) -> None:
        self._channel = channel
        self._threads = ThreadPoolExecutor(threads, "boot")
        self._turn = asyncio.Semaphore(threads)
        self._log = log
        self._words: dict[int, asyncio.Future[None]] = {}  # that are waited for, by id

    async def run(self) -> None:
        """Returns when the supervisor has closed its end."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                try:
                    order, fds = await self._channel.receive()
                except EOFError:
                    for word in self._words.values():
                        word.cancel()
                    return
                if isinstance(order, Boot):
                    tasks.create_task(self._boot(order, fds))
                else:
                    self._words[order.id].set_result(None)

    async def _boot(self, wanted: Boot, fds: tuple[int, ...]) -> None:
        try:
            async with self._turn:
                await self._channel.send(Begun(wanted.id))
                started = await self._start(wanted, fds)
            with started:
                await self._finish(wanted.id, started)
        except ProgramError as error:
            news = NotBooted(wanted.id, error.step, error.reason)
            await self._channel.send(news)

    async def _start(self, wanted: Boot, fds: tuple[int, ...]) -> Started:
        rest = iter(fds)
        files = Files.take(wanted.config, rest, wanted.linked)
        old = Parcel(wanted.old, tuple(rest)) if wanted.old is not None else None
        try:
            return await self._on_thread(start, wanted.config, self._log, old, files)
        finally:
            for fd in fds:
                os.close(fd)

    async def _finish(self, number: int, started: Started) -> None:
        """The storage of the build before, if it has to be handed over, takes no call
        from then on, until the supervisor has the parcel: if we die, it serves on."""
        if started.origin != "handed":
            await self._send(number, started)
            return
        await self._ask(number, self._channel.send(Prepared(number)))
        async with self._turn:
            await self._on_thread(started.hand_over, self._log)
        try:
            await self._ask(number, self._send(number, started))
        except BaseException:
            started.let_go(moved=False)
            raise
        started.let_go(moved=True)
        await self._channel.send(Moved(number))

    async def _ask(self, number: int, sending: Awaitable[None]) -> None:
        """Returns when the supervisor has an order about (number) after (sending)."""
        self._words[number] = asyncio.get_running_loop().create_future()
        try:
            await sending
            await self._words[number]
        finally:
            del self._words[number]

    async def _on_thread(self, work: Callable[..., T], *arguments: Any) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, work, *arguments)

    async def _send(self, number: int, started: Started) -> None:
        parcel = pack(started)
        news = Booted(
            number,
            parcel.data,
            parcel.seat,
            started.version,
            started.ready_ms,
            started.origin,
        )
        await self._channel.send(news, parcel.fds)


async def _main(end: str, threads: int) -> None:
    channel = adopt(end, Order)
    try:
        await channel.send(confine())
        check_machine()
    except SkerryError as error:
        await channel.send(Unfit(str(error)))
        return
    await Booter(channel, threads, Log()).run()


def main() -> None:
    end, parent, threads = sys.argv[1:]
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    die_with(int(parent))
    jail.prepare()
    asyncio.run(_main(end, int(threads)))


if __name__ == "__main__":
    main()
