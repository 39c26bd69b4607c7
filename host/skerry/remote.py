"""The way of a process that runs guests to the one that connects to other hosts."""

import asyncio
import contextlib
import errno
from itertools import count

from skerry.channel import Channel, Nonsense
from skerry.messages import Brought, Fetch, Forget
from skerry.wanted import Fetched, Wanted, failed


class Remote:
    """Has the fetcher fetch, once there is a channel to it: a new one, each time that
    there is another fetcher."""

    def __init__(self) -> None:
        self._channel: Channel[Brought] | None = None
        self._listening: asyncio.Task[None] | None = None
        self._numbers = count(1)
        self._waiting: dict[int, asyncio.Future[Fetched]] = {}
        self._forgetting: set[asyncio.Task[None]] = set()

    def use(self, channel: Channel[Brought]) -> None:
        """Takes (channel) over, in place of the one before."""
        self.close()
        self._channel = channel
        self._listening = asyncio.ensure_future(self._listen(channel))

    async def fetch(self, name: str, wanted: Wanted) -> Fetched:
        """What (wanted) brings program (name). Who waits no more has it forgotten."""
        channel = self._channel
        if channel is None:
            return failed(errno.EAGAIN)
        number = next(self._numbers)
        brought = asyncio.get_running_loop().create_future()
        self._waiting[number] = brought
        try:
            await channel.send(Fetch(number, name, wanted))
            return await asyncio.shield(brought)
        except OSError:
            return failed(errno.EAGAIN)
        finally:
            del self._waiting[number]
            if not brought.done():
                self._forget(channel, number)

    def _forget(self, channel: Channel[Brought], number: int) -> None:
        async def tell() -> None:
            with contextlib.suppress(OSError):
                await channel.send(Forget(number))

        task = asyncio.ensure_future(tell())
        self._forgetting.add(task)
        task.add_done_callback(self._forgetting.discard)

    async def _listen(self, channel: Channel[Brought]) -> None:
        """Returns when the fetcher is gone: what it owes will not come."""
        with contextlib.suppress(EOFError, OSError, Nonsense):
            while True:
                news, _ = await channel.receive()
                self._settle(self._waiting.get(news.id), news.fetched)
        if self._channel is channel:
            self.close()

    def _settle(self, waiter: "asyncio.Future[Fetched] | None", got: Fetched) -> None:
        if waiter and not waiter.done():
            waiter.set_result(got)

    def close(self) -> None:
        """Who waits gets an error. May be called again."""
        for waiter in self._waiting.values():
            self._settle(waiter, failed(errno.ECONNRESET))
        if self._channel:
            self._channel.close()
            self._channel = None
        if self._listening:
            self._listening.cancel()
            self._listening = None
