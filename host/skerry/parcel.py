"""A started program on its way to another process."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import msgspec

from skerry import native
from skerry.config import Program as Config
from skerry.files import has_opener
from skerry.options import MB
from skerry.paths import decode_path
from skerry.started import Started
from skerry.symbols import Symbols


@dataclass(frozen=True)
class Parcel:
    """A started program on its way to another process of the same version: (data), and
    descriptors that belong to whoever holds the parcel.

    (seat) is the index of the one, if any, that a process has to open anew for itself.
    If it may not open files, whoever sends it the parcel does so, and puts it behind
    the others."""

    data: bytes
    fds: tuple[int, ...]
    seat: int | None = None


class Contents(msgspec.Struct):
    """What Parcel.data holds; the descriptors are in this order: requests, (files) that
    their start-up has opened, the opener if there is one, shared memory if there is
    one, then those of storage: (storage_files), memory, control, committed image, its
    file if it has one."""

    config: Config
    ready_ms: float
    version: str
    state: str
    requests: bytes
    storage: bytes | None
    symbols: bytes
    files: int
    storage_files: int
    tasks: int  # of storage, that wait


def pack(started: Started) -> Parcel:
    """(started) for another process. The descriptors stay its own."""
    requests, fd = started.snapshot.export()
    files, storage_files = started.snapshot.files(), list[int]()
    fds = [fd, *files]
    if started.opener >= 0:
        fds.append(started.opener)
    if started.shared:
        fds.append(started.shared.export())
    storage = seat = None
    if started.storage:
        storage_files = started.storage.files()
        fds += storage_files
        seat = len(fds) + 1
        storage, more = started.storage.export()
        fds += more if started.config.storage_file else more[:3]
    contents = Contents(
        started.config,
        started.ready_ms,
        started.version,
        started.state,
        requests,
        storage,
        started.symbols.packed,
        len(files),
        len(storage_files),
        started.storage.counts().tasks_pending if started.storage else 0,
    )
    return Parcel(msgspec.json.encode(contents, enc_hook=str), tuple(fds), seat)


def is_plain(parcel: Parcel) -> bool:
    """Whether its memory is all that it takes along, but for where its guests ask for
    files."""
    contents = read_contents(parcel)
    return not (contents.files or contents.storage_files or contents.tasks)


def door_of(parcel: Parcel) -> int | None:
    """The index of the descriptor at which its guests ask for files, if one does."""
    contents = read_contents(parcel)
    return 1 + contents.files if has_opener(contents.config) else None


def unpack(parcel: Parcel) -> Started:
    """The program in (parcel), whose descriptors it takes over. NativeError when it
    comes from another version, or there is no memory for it."""
    contents, fds = read_contents(parcel), iter(parcel.fds)
    started = Started(contents.config)
    started.ready_ms, started.version = contents.ready_ms, contents.version
    started.state = contents.state
    started.symbols = Symbols(contents.symbols)
    try:
        _attach(started, contents, fds)
    except native.NativeError:
        started.close()
        raise
    return started


def read_contents(parcel: Parcel) -> Contents:
    """What (parcel) says of its program."""
    return msgspec.json.decode(parcel.data, type=Contents, dec_hook=decode_path)


def _attach(started: Started, contents: Contents, fds: Iterator[int]) -> None:
    requests = next(fds)
    files = list(islice(fds, contents.files))
    if has_opener(contents.config):
        started.hold_opener(next(fds))
    attach_state(started, contents, fds)
    snapshot = native.Snapshot.attach(contents.requests, requests, started.shared)
    started.snapshot = started.held.enter_context(snapshot)
    opener = started.opener
    snapshot.adopt_files(opener if opener < 0 else os.dup(opener), files)


def attach_state(started: Started, contents: Contents, fds: Iterator[int]) -> None:
    """Shared memory and storage of (contents) become those of (started); takes what
    (fds) begin with."""
    limit = started.config.max_storage_time
    opener = started.opener
    started.shared, started.storage = attach_old(started, contents, fds, opener, limit)


def attach_old(
    started: Started,
    contents: Contents,
    fds: Iterator[int],
    opener: int,
    limit: float,
) -> tuple[native.SharedMemory | None, native.Storage | None]:
    """Shared memory and storage of (contents), held by (started). Its guests ask
    (opener) for files; (limit) is the time of a storage call, in seconds."""
    config, held = contents.config, started.held
    shared = storage = None
    if config.shared_memory:
        size = config.shared_memory * MB
        shared = held.enter_context(native.SharedMemory.attach(next(fds), size))
    if contents.storage is not None:
        files = list(islice(fds, contents.storage_files))
        own = [next(fds), next(fds), next(fds)]
        own += [next(fds) if config.storage_file else -1, next(fds, -1)]
        storage = native.Storage.attach(
            contents.storage, own, shared, started.console, limit
        )
        held.enter_context(storage)
        storage.adopt_files(opener if opener < 0 else os.dup(opener), files)
    return shared, storage


def first_of_state(contents: Contents) -> int:
    """The index of the first descriptor of shared memory and storage."""
    return 1 + contents.files + has_opener(contents.config)


def copies(parcel: Parcel, contents: Contents) -> Iterator[int]:
    """The descriptors of a program's state, anew."""
    return iter([os.dup(fd) for fd in parcel.fds[first_of_state(contents) :]])
