"""Fetching programs, by way of a process that does only that."""

import asyncio
import contextlib
import os
from collections.abc import Sequence

from skerry.channel import Nonsense
from skerry.child import Child
from skerry.config import Program
from skerry.log import Log, printable
from skerry.messages import Get, GetterNews, Getting, Got, NotGot
from skerry.supervise.bar import Bar
from skerry.supervise.programs import Entries, Entry

_LONGEST = 600.0  # seconds for all: far longer than one takes, see sources/limits


class Fetcher:
    """Brings what programs need from elsewhere. (origins) says where that came from the
    last time, by the programs' names."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self.origins: dict[str, str] = {}
        self._failed: Entries = {}
        self._missing: dict[int, Program] = {}

    async def fetch(self, programs: Sequence[Program]) -> Entries:
        """Returns those of (programs) that cannot be started, as what they need is not
        there. No process is started if none needs anything."""
        self.origins, self._failed = {}, {}
        self._missing = dict(enumerate(filter(_is_from_elsewhere, programs)))
        if self._missing:
            await self._attend(list(self._missing))
        # The process died, of something that it was sent: who was innocent is served.
        for number in list(self._missing):
            how = await self._attend([number])
            if number in self._missing:
                reason = f"the process that fetches {how}"
                self._fail(NotGot(number, "fetch", reason))
        return self._failed

    async def _attend(self, numbers: list[int]) -> str:
        """Runs a process that fetches these, to its end; returns how that was."""
        try:
            child: Child[GetterNews] = Child("skerry.getter", GetterNews)
        except OSError as error:
            return f"cannot be started: {error.strerror}"
        try:
            async with asyncio.timeout(_LONGEST):
                with contextlib.suppress(OSError, EOFError):
                    await self._talk(child, numbers)
                    return ""
                how = await child.ended()
                return f"died: {how}: is its source good?"
        except Nonsense as error:
            return f"sent {error}: is its source good?"
        except TimeoutError:
            for number in self._missing.keys() & numbers:
                reason = f"it takes longer than {_LONGEST:g} s with all others"
                self._fail(NotGot(number, "fetch", reason))
            return ""
        finally:
            child.close()

    async def _talk(self, child: Child[GetterNews], numbers: list[int]) -> None:
        """Returns when none is missing any more; EOFError or OSError when it dies."""
        bar = Bar(self._log)
        for number in numbers:
            config = self._missing[number].for_guests()
            await child.channel.send(Get(number, config))
        while not self._missing.keys().isdisjoint(numbers):
            news, fds = await child.channel.receive()
            for fd in fds:
                os.close(fd)
            if fds or news.id not in self._missing:
                raise Nonsense(f"nonsense: {type(news).__name__}")
            if isinstance(news, Getting):
                bar.show(self._missing[news.id].name, news.done, news.size)
            else:
                bar.clear()
                self._settle(news)

    def _settle(self, news: Got | NotGot) -> None:
        if isinstance(news, NotGot):
            self._fail(news)
            return
        name = self._missing.pop(news.id).name
        self.origins[name] = printable(news.origin)
        for reason in news.reasons:
            self._log.problem(
                f"program '{name}': fetch: {printable(reason)}; the copy from before "
                "is used"
            )

    def _fail(self, news: NotGot) -> None:
        config = self._missing.pop(news.id)
        step, reason = printable(news.step), printable(news.reason)
        self._failed[config.name] = Entry(config, None, step, reason)


def _is_from_elsewhere(config: Program) -> bool:
    return config.uri is not None or bool(config.download)
