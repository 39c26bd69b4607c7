"""The process that fetches: programs and files to their places, and then it ends.

    python -m skerry.getter CHANNEL PARENT

It takes what strangers send, and unpacks their archives, so it is none of those that
serve, and gives up what it does not need. It runs no guest, and is in no jail: it opens
sockets and files."""

import asyncio
import ctypes
import resource
import signal
import sys
import time

from skerry.channel import Channel
from skerry.child import adopt, die_with
from skerry.config import Program
from skerry.messages import Get, Getting, Got, NotGot
from skerry.sources.failure import SourceError
from skerry.sources.getting import FETCHED, Brought, Getter, Want
from skerry.sources.limits import Limits
from skerry.sources.tag import Tell
from skerry.sources.web import Web, open_session

_OFTEN = 0.2  # seconds between news of how far one is
_MEMORY = 3 << 30  # bytes of addresses: an archive's dictionary may be large
_SECONDS = 900  # of a CPU: an archive cannot keep it busy for ever
_PR_SET_NO_NEW_PRIVS = 38


def wants(config: Program) -> list[Want]:
    """All that (config) has fetched."""
    files = [
        Want(each.uri, each.filename, each.sha256, False) for each in config.download
    ]
    if config.uri is None:
        return files
    return [Want(config.uri, config.filename, config.sha256, True), *files]


def origin(brought: list[Brought]) -> str:
    """One word for all: that something is not as it should be says most."""
    origins = {each.origin for each in brought}
    amiss = sorted(each.origin for each in brought if each.reason)
    return amiss[0] if amiss else FETCHED if FETCHED in origins else min(origins)


class Work:
    """Obeys the supervisor on (channel)."""

    def __init__(self, channel: Channel[Get], getter: Getter) -> None:
        self._channel = channel
        self._getter = getter

    async def run(self) -> None:
        """Returns when the supervisor has closed its end."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                try:
                    wanted, _ = await self._channel.receive()
                except EOFError:
                    return
                tasks.create_task(self._get(wanted))

    async def _get(self, wanted: Get) -> None:
        tell = self._teller(wanted.id)
        each = (self._getter.bring(want, tell) for want in wants(wanted.config))
        try:
            brought = await asyncio.gather(*each)
        except SourceError as error:
            await self._channel.send(NotGot(wanted.id, error.step, str(error)))
            return
        reasons = [each.reason for each in brought if each.reason]
        await self._channel.send(Got(wanted.id, origin(brought), reasons))

    def _teller(self, number: int) -> Tell:
        """Tells the supervisor how far (number) is, now and then."""
        last = 0.0
        tasks: set[asyncio.Task[None]] = set()

        def tell(done: int, size: int | None) -> None:
            nonlocal last
            if time.monotonic() < last + _OFTEN or tasks:
                return
            last = time.monotonic()
            sending = asyncio.create_task(
                self._channel.send(Getting(number, done, size))
            )
            tasks.add(sending)
            sending.add_done_callback(tasks.discard)

        return tell


def _confine(limits: Limits) -> None:
    """Gives up what fetching does not need."""
    ctypes.CDLL(None).prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    for kind, most in (
        (resource.RLIMIT_AS, _MEMORY),
        (resource.RLIMIT_FSIZE, limits.largest),
        (resource.RLIMIT_CPU, _SECONDS),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(kind)
        if hard != resource.RLIM_INFINITY:
            most = min(most, hard)
        resource.setrlimit(kind, (most, most))


async def _main(end: str) -> None:
    limits = Limits()
    async with open_session(limits) as session:
        await Work(adopt(end, Get), Getter(Web(session, limits), limits)).run()


def main() -> None:
    end, parent = sys.argv[1:]
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    die_with(int(parent))
    _confine(Limits())
    asyncio.run(_main(end))


if __name__ == "__main__":
    main()
