"""The boot process: starts programs, sends them to the supervisor, and ends.

    python -m skerry.booter CHANNEL PARENT THREADS

It runs programs' own start-up code, so it is in a jail, and may die of one; the
supervisor then starts another. It opens nothing, never serves, and holds nothing that
it has sent."""

import asyncio
import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor

from skerry import jail
from skerry.channel import Channel
from skerry.child import adopt, confine, die_with
from skerry.errors import ProgramError, SkerryError
from skerry.files import Files
from skerry.log import Log
from skerry.machine import check_machine
from skerry.messages import Begun, Boot, Booted, NotBooted, Unfit
from skerry.start import Parcel, Started, pack, start


class Booter:
    """Starts what the supervisor asks for, as many at a time as it has threads."""

    def __init__(self, channel: Channel[Boot], threads: int, log: Log) -> None:
        self._channel = channel
        self._threads = ThreadPoolExecutor(threads, "boot")
        self._turn = asyncio.Semaphore(threads)
        self._log = log

    async def run(self) -> None:
        """Returns when the supervisor has closed its end."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                try:
                    wanted, fds = await self._channel.receive()
                except EOFError:
                    return
                tasks.create_task(self._boot(wanted, fds))

    async def _boot(self, wanted: Boot, fds: tuple[int, ...]) -> None:
        loop = asyncio.get_running_loop()
        rest = iter(fds)
        files = Files.take(wanted.config, rest)
        old = Parcel(wanted.old, tuple(rest)) if wanted.old is not None else None
        async with self._turn:
            await self._channel.send(Begun(wanted.id))
            try:
                started = await loop.run_in_executor(
                    self._threads, start, wanted.config, self._log, old, files
                )
            except ProgramError as error:
                news = NotBooted(wanted.id, error.step, error.reason)
                await self._channel.send(news)
            else:
                await self._send(wanted.id, started)
            finally:
                for fd in fds:
                    os.close(fd)

    async def _send(self, number: int, started: Started) -> None:
        with started:
            parcel = pack(started)
            news = Booted(
                number, parcel.data, parcel.seat, started.version, started.ready_ms
            )
            await self._channel.send(news, parcel.fds)


async def _main(end: str, threads: int) -> None:
    channel = adopt(end, Boot)
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
