"""The fetcher: connects to other hosts for programs, whose own processes cannot.

    python -m skerry.fetcher CHANNEL PARENT

It runs no guest. What workers send is checked as if a guest had sent it: the supervisor
alone says where each program may go. There is one while a program may go anywhere."""

import asyncio
import contextlib
import ctypes
import os
import resource
import signal
import socket
import sys
from collections.abc import Coroutine, Sequence
from typing import Any

import uvloop

from skerry import jail
from skerry.channel import Channel, Nonsense
from skerry.child import adopt, die_with
from skerry.connector import Connector
from skerry.egress import Policy
from skerry.errors import SkerryError
from skerry.log import Log
from skerry.messages import Allow, Brought, Fetch, FetcherCommand, Forget, FromWorker
from skerry.outgoing import Outgoing

_MOST = 64  # fetches of one worker at a time: each may hold two bodies
_PR_SET_DUMPABLE = 4


class Fetcher:
    """Obeys the supervisor, and fetches for the workers that it brings."""

    def __init__(self, channel: Channel[FetcherCommand], outgoing: Outgoing) -> None:
        self._channel = channel
        self._outgoing = outgoing
        self._policies: dict[str, Policy] = {}

    async def run(self) -> None:
        """Returns when the supervisor is gone."""
        workers: set[asyncio.Task[None]] = set()
        try:
            while True:
                command, fds = await self._channel.receive()
                if isinstance(command, Allow):
                    self._allow(command)
                for work in self._join(fds):
                    task = asyncio.create_task(work)
                    workers.add(task)
                    task.add_done_callback(workers.discard)
        except EOFError:
            pass
        finally:
            for task in workers:
                task.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
            self._channel.close()

    def _join(self, fds: Sequence[int]) -> list[Coroutine[Any, Any, None]]:
        """What is to be done for the worker that (fds), of Join, lead to."""
        if not fds:
            return []
        asks, door = (socket.socket(fileno=fd) for fd in fds)
        channel = Channel[FromWorker](asks, FromWorker)
        return [_Worker(channel, self).run(), Connector(door, self.policy_of).run()]

    def policy_of(self, program: str) -> Policy:
        """A program that nobody knows may go nowhere."""
        return self._policies.get(program, Policy())

    def _allow(self, command: Allow) -> None:
        self._policies = {
            name: Policy(hosts) for name, hosts in command.programs.items()
        }

    async def fetch(self, wanted: Fetch) -> Brought:
        """What a worker asks for."""
        policy = self.policy_of(wanted.program)
        got = await self._outgoing.fetch(wanted.wanted, policy)
        return Brought(wanted.id, got)


class _Worker:
    """Fetches for who is at the other end of (channel)."""

    def __init__(self, channel: Channel[FromWorker], fetcher: Fetcher) -> None:
        self._channel = channel
        self._fetcher = fetcher
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._room = asyncio.Semaphore(_MOST)

    async def run(self) -> None:
        """Returns when that is closed, or says what makes no sense."""
        try:
            while True:
                said, fds = await self._channel.receive()
                for fd in fds:
                    os.close(fd)
                await self._do(said)
        except (EOFError, OSError, Nonsense):
            pass
        finally:
            for task in self._tasks.values():
                task.cancel()
            self._channel.close()

    async def _do(self, said: FromWorker) -> None:
        if isinstance(said, Forget):
            if task := self._tasks.get(said.id):
                task.cancel()
            return
        if said.id in self._tasks:
            raise Nonsense("a number twice")
        await self._room.acquire()
        task = asyncio.create_task(self._bring(said))
        self._tasks[said.id] = task
        task.add_done_callback(lambda _: self._done(said.id))

    def _done(self, number: int) -> None:
        del self._tasks[number]
        self._room.release()

    async def _bring(self, wanted: Fetch) -> None:
        brought = await self._fetcher.fetch(wanted)
        with contextlib.suppress(OSError):  # its end is seen elsewhere
            await self._channel.send(brought)


def _give_up_rights() -> None:
    """Root becomes nobody, for good; all that is imported later has to be there."""
    jail.prepare()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if os.geteuid() == 0:
        user, group = jail.nobody()
        os.setgroups([])
        os.setresgid(group, group, group)
        os.setresuid(user, user, user)
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0)


async def _main(end: str, outgoing: Outgoing) -> None:
    await Fetcher(adopt(end, FetcherCommand), outgoing).run()


def main() -> None:
    end, parent = sys.argv[1:]
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    outgoing = Outgoing()  # reads the certificates that are trusted
    try:
        _give_up_rights()
    except SkerryError as error:
        Log().problem(str(error))
        sys.exit(1)
    die_with(int(parent))  # a change of user ends what was said before
    uvloop.run(_main(end, outgoing))


if __name__ == "__main__":
    main()
