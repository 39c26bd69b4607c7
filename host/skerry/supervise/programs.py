"""The programs that are served: what is configured, and what has come of it."""

import asyncio
import os
from collections.abc import Iterator, Set
from contextlib import contextmanager
from dataclasses import dataclass

from skerry import native
from skerry.config import Config, Program
from skerry.files import open_anew
from skerry.messages import Add, Booted, NotBooted, Use
from skerry.sources.kept import besides, file_version
from skerry.started import Origin


@dataclass(frozen=True)
class Edition:
    """A program that has started, to be served under a number of its own. Owns (fds)
    until close(); workers have theirs."""

    id: int
    config: Program
    data: bytes
    fds: tuple[int, ...]
    seat: int | None
    version: str
    ready_ms: float
    besides: tuple[str, ...] = ()  # see kept.besides()
    origin: Origin = "new"

    @property
    def is_moved(self) -> bool:
        """Whether its storage is over: another edition has what it knew."""
        return self.seat is not None and native.is_moved(self.fds[self.seat])

    def move_back(self) -> None:
        """Its storage goes on: the edition that took it over will not serve."""
        if self.seat is not None:
            native.move_back(self.fds[self.seat])

    @property
    def parcel(self) -> Add:
        """What a worker is sent, together with (fds)."""
        return Add(self.id, self.data)

    @contextmanager
    def for_one_more(self) -> Iterator[tuple[int, ...]]:
        """The descriptors for one more process. It may not open files: what it needs as
        a file description of its own (see start.Parcel) is opened for it."""
        if self.seat is None:
            yield self.fds
            return
        own = open_anew(self.fds[self.seat])
        try:
            yield (*self.fds, own)
        finally:
            os.close(own)

    def close(self) -> None:
        for fd in self.fds:
            os.close(fd)


@dataclass(frozen=True)
class Entry:
    """A program of the configuration: its edition, or why it has none: (step) failed
    because of (reason)."""

    config: Program
    edition: Edition | None
    step: str = ""
    reason: str = ""

    @property
    def failure(self) -> str:
        """Why the last start failed, or ""."""
        return f"{self.step}: {self.reason}" if self.step else ""

    def is_changed(self, config: Program) -> bool:
        """Whether (config) has to be started anew: it is another one, its file or
        another that was fetched for it is, or nothing serves. Reads the file."""
        edition = self.edition
        if edition is None or self.config.for_guests() != config.for_guests():
            return True
        if besides(config) != edition.besides:
            return True
        return file_version(config.filename) != edition.version


Entries = dict[str, Entry]


class Wanted:
    """What workers are to serve: (config), and once that is (known), what has come of
    it: (entries), by name. (held) are the editions, by id, that begin no request."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.entries: Entries = {}
        self.held: set[int] = set()
        self.known = asyncio.Event()


def editions(entries: Entries) -> list[Edition]:
    return [each.edition for each in entries.values() if each.edition]


def use(entries: Entries, held: Set[int]) -> Use:
    """What workers are told to serve."""
    served = [
        (name, each.edition.id if each.edition else None)
        for name, each in entries.items()
    ]
    return Use(served, sorted(held))


def enter(config: Program, news: Booted | NotBooted, fds: tuple[int, ...]) -> Entry:
    """What has come of starting (config)."""
    if isinstance(news, NotBooted):
        return Entry(config, None, news.step, news.reason)
    edition = Edition(
        news.id,
        config.for_guests(),
        news.data,
        fds,
        news.seat,
        news.version,
        news.ready_ms,
        besides(config),
        news.origin,
    )
    return Entry(config, edition)


def ready_line(edition: Edition, origin: str = "") -> str:
    """What the log says of a program that has started, and that came from (origin)."""
    config = edition.config
    parts = [origin] if origin else []
    if edition.origin == "cold":
        parts.append("cold start")
    if config.storage:
        parts.append("storage")
    if config.shared_memory:
        parts.append(f"shared memory {config.shared_memory} MB")
    parts.append(f"ready={edition.ready_ms:.2f}ms")
    return f"Program '{config.name}' is loaded ({', '.join(parts)})"
