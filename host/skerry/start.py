"""A program from its file to frozen machines; their way to other processes.

Starting runs the program's main, once as storage if it has storage, and once to serve
requests. What comes of it serves here, or goes as a Parcel to processes that serve.
"""

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal, Self

import msgspec

from skerry import native
from skerry.config import FromHeader, Warmup
from skerry.config import Program as Config
from skerry.errors import ProgramError
from skerry.files import Files, has_opener, open_files
from skerry.keys import FRESH, FSYNC
from skerry.log import Log
from skerry.native import Remains, Stream
from skerry.symbols import Symbols, read_symbols

_MB = 1 << 20
_LOST = (
    "its storage would be lost, as {}: register both, or set "
    '"live_update": "fresh" to begin anew'
)
_STATE_FILE = "state"
_HAND_OVER = 10.0  # seconds that storage calls get to end before a hand-over


def arguments(config: Config, kind: str) -> list[str]:
    """argv: the name, then what is configured, else state file and kind."""
    if config.main_arguments is not None:
        return [config.name, *config.main_arguments]
    return [config.name, _STATE_FILE, kind]


def environment(config: Config, kind: str) -> list[str]:
    """What every program finds in its environment, then what is configured."""
    return [
        f"KVM_NAME={config.name}",
        f"KVM_GROUP={config.group}",
        f"KVM_TYPE={kind}",
        f"KVM_STATE={_STATE_FILE}",
        f"KVM_DEBUG={config.allow_debug:d}",
        "LC_ALL=C",
        "USER=root",
        *config.environment,
    ]


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


class _Contents(msgspec.Struct):
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


# What became of the storage of the same program as it was started before: there was
# none to take over; it lives on; it has to be handed over; or it has been left behind.
# Or all of the program comes from its cold-start file.
Origin = Literal["new", "kept", "handed", "fresh", "cold"]


class Started:
    """A program that waits for requests, frozen. Owns its machines.

    With the (origin) "handed", hand_over() comes before it may serve."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.console = native.Console()
        self.shared: native.SharedMemory | None = None
        self.storage: native.Storage | None = None
        self.snapshot: native.Snapshot
        self.opener = -1  # where its guests ask for files; its own
        self.ready_ms = 0.0
        self.version = ""  # of the program's file: its SHA-256, hexadecimal
        self.state = ""  # what its storage and shared memory depend on, likewise
        self.symbols = Symbols(b"")
        self.look: Callable[[Remains], None] | None = None  # at what did not start
        self.notes: list[str] = []  # for the log
        self.origin: Origin = "new"
        self.old: native.Storage | None = None  # that is to be handed over
        self.held = ExitStack()
        self.held.enter_context(self.console)

    def print_lines(self, log: Log) -> None:
        """Logs what the program has printed so far, and what there is to say of it."""
        for text in self.notes:
            log.program(self.config.name, Stream.HOST, text)
        self.notes.clear()
        for stream, text in self.console.take():
            if stream == Stream.HOST:
                text = self.symbols.explain(text)
            if self.config.stdout or stream in (Stream.LOG, Stream.HOST):
                log.program(self.config.name, stream, text)

    def hold_opener(self, fd: int) -> None:
        """Takes over (fd), where its guests ask for files."""
        self.held.callback(os.close, fd)
        self.opener = fd

    def hand_over(self, log: Log) -> None:
        """Takes over what the storage before knows. That takes no calls from now on,
        until let_go(). ProgramError: it goes on as before, and this is to be closed."""
        assert self.old and self.storage
        try:
            self.old.hand_over(self.storage, _HAND_OVER)
        except native.NativeError as error:
            raise ProgramError(self.config.name, error.step, error.reason) from None
        finally:
            self.print_lines(log)

    def let_go(self, moved: bool) -> None:
        """Ends hand_over(): the storage before is over; or goes on after all."""
        assert self.old
        self.old.let_go(moved)

    def close(self) -> None:
        """Ends its machines. None may be serving."""
        self.held.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *unused: object) -> None:
        self.close()


def start(
    config: Config,
    log: Log,
    old: Parcel | None = None,
    files: Files | None = None,
    look: Callable[[Remains], None] | None = None,
) -> Started:
    """Boots (config); takes the program's own start-up time. ProgramError when it does
    not start; what it printed is logged either way.

    What (old), the same program as it was started before, keeps in storage lives on if
    nothing has changed that it depends on; else see Started.origin. Its shared memory
    lives on unless its size is another. Its descriptors stay its own, and so do those
    of (files), which are for a process that may not open any. (look) is shown the
    machine of one that does not start."""
    if files is None:
        with open_files(config) as own:
            return start(config, log, old, own, look)
    begin = time.monotonic()
    with ExitStack() as undo:
        started = undo.enter_context(Started(config))
        started.look = look
        if files.opener >= 0:
            started.hold_opener(os.dup(files.opener))
        undo.callback(started.print_lines, log)
        try:
            _boot_all(started, old, files)
        except native.NativeError as error:
            reason = started.symbols.explain(error.reason)
            raise ProgramError(config.name, error.step, reason) from None
        except OSError as error:
            reason = f"{config.filename}: {error.strerror}"
            raise ProgramError(config.name, "read", reason) from None
        undo.pop_all()
    started.print_lines(log)
    started.ready_ms = (time.monotonic() - begin) * 1000
    return started


def _boot_all(started: Started, old: Parcel | None, files: Files) -> None:
    elf = files.read_program()
    with ThreadPoolExecutor(1, "symbols") as beside:
        reading = beside.submit(read_symbols, elf)
        try:
            _boot_both(started, elf, old, files)
        finally:
            started.symbols = Symbols(reading.result())


def _boot_both(started: Started, elf: bytes, old: Parcel | None, files: Files) -> None:
    config, held = started.config, started.held
    started.version = hashlib.sha256(elf).hexdigest()
    _check_version(config, started.version)
    second = files.read_second() or elf
    started.state = _state(config, _versions(config, elf, second))
    contents = _contents(old) if old else None
    if old and contents and _is_same(started, contents):
        started.origin = "kept"
        _attach_state(started, contents, _copies(old, contents))
    else:
        _make_shared(started, old, contents)
        _make_storage(started, second, files)
        if old and contents and _is_succession(started, contents):
            _succeed(started, old, contents)
    started.snapshot = held.enter_context(_boot(started, elf, "request"))
    if started.storage and config.storage_file:
        started.storage.set_waits(config.durability == FSYNC)


def _check_version(config: Config, version: str) -> None:
    wanted = config.sha256
    if wanted is not None and wanted.lower() != version:
        reason = (
            f"{config.filename}: expected {wanted}, found {version}: download it again "
            "or correct the key"
        )
        raise ProgramError(config.name, "sha256", reason)


def _versions(config: Config, elf: bytes, second: bytes) -> str | list[str]:
    """The programs that the memory of storage depends on: that of storage; and where it
    shares memory with requests, theirs too."""
    versions = [hashlib.sha256(second).hexdigest()]
    if second != elf and config.shared_memory:
        versions.append(hashlib.sha256(elf).hexdigest())
    return versions if len(versions) > 1 else versions[0]


def _state(config: Config, versions: str | list[str]) -> str:
    """All that the memory of storage depends on, as a digest."""
    depends = (
        versions,
        config.storage,
        arguments(config, "storage"),
        environment(config, "storage"),
        config.max_memory,
        config.shared_memory,
    )
    return hashlib.sha256(msgspec.json.encode(depends)).hexdigest()


def _is_same(started: Started, old: _Contents) -> bool:
    """Whether the storage of (old) is that of (started) as well."""
    return old.state == started.state and _is_succession(started, old)


def _is_succession(started: Started, old: _Contents) -> bool:
    """Whether (started) has to take over what (old) knows. With another storage_file,
    it has what that has."""
    return bool(
        old.storage is not None
        and started.config.storage
        and old.config.storage_file == started.config.storage_file
    )


def _succeed(started: Started, parcel: Parcel, old: _Contents) -> None:
    """What becomes of the storage of (old), which is not that of (started).
    ProgramError when it would be lost."""
    config, storage = started.config, started.storage
    assert storage
    limit = old.config.max_storage_time
    opener = parcel.fds[1 + old.files] if has_opener(old.config) else -1
    copies = _copies(parcel, old)
    _, before = _attach_old(started, old, copies, opener, limit)
    assert before
    if before.leaves and storage.restores:
        started.origin, started.old = "handed", before
    elif config.live_update == FRESH:
        started.origin = "fresh"
    else:
        who = "this build has no on_live_restore"
        if not before.leaves:
            who = "the build that serves has no on_live_update"
        raise ProgramError(config.name, "live update", _LOST.format(who))


def _first_of_state(contents: _Contents) -> int:
    """The index of the first descriptor of shared memory and storage."""
    return 1 + contents.files + has_opener(contents.config)


def _copies(parcel: Parcel, contents: _Contents) -> Iterator[int]:
    """The descriptors of a program's state, anew."""
    return iter([os.dup(fd) for fd in parcel.fds[_first_of_state(contents) :]])


def _make_shared(
    started: Started, parcel: Parcel | None, old: _Contents | None
) -> None:
    """That of (old), if it fits."""
    size = started.config.shared_memory
    if not size:
        return
    if parcel and old and old.config.shared_memory == size:
        fd = os.dup(parcel.fds[_first_of_state(old)])
        started.shared = native.SharedMemory.attach(fd, size * _MB)
    else:
        started.shared = native.SharedMemory(size * _MB)
        if old and old.config.shared_memory:
            text = f"shared memory begins anew, as shared_memory is {size} MB now"
            started.notes.append(text)
    started.held.enter_context(started.shared)


def _make_storage(started: Started, elf: bytes, files: Files) -> None:
    config, held = started.config, started.held
    if config.storage:
        limit, file = config.max_storage_time, _storage_file(started, files)
        with _boot(started, elf, "storage") as snapshot:
            started.storage = native.Storage(
                snapshot, started.console, limit, file, files.control
            )
        held.enter_context(started.storage)


def _storage_file(started: Started, files: Files) -> native.StorageFile | None:
    config = started.config
    if config.storage_file is None:
        return None
    return native.StorageFile(
        fd=files.storage,
        path=str(config.storage_file),
        digest=bytes.fromhex(started.state),
        text=f"{config.name}, file {started.version[:12]}, {config.max_memory} MB, "
        f"started as {started.state[:8]}",
        waits=config.durability == FSYNC,
    )


def _boot(started: Started, elf: bytes, kind: str) -> native.Snapshot:
    config = started.config
    options = native.BootOptions(
        name=config.name,
        elf=elf,
        argv=arguments(config, kind),
        environment=environment(config, kind),
        max_memory=config.max_memory * _MB,
        max_request_memory=config.max_request_memory * _MB,
        max_boot_time=config.max_boot_time,
        is_storage=kind == "storage",
        debug=config.allow_debug,
        opener=started.opener,
        directory=config.current_working_directory,
        arg=config.arg if isinstance(config.arg, str) else "",
        arg_header=config.arg.header if isinstance(config.arg, FromHeader) else "",
        ephemeral=config.ephemeral,
        control_ephemeral=config.control_ephemeral,
        hugepages=config.hugepages,
        warmup=_warming(config.warmup) if config.warmup else None,
    )
    storage = started.storage if kind == "request" else None
    return native.boot(options, started.console, started.shared, storage, started.look)


def _warming(warmup: Warmup) -> native.Warming:
    headers = "".join(f"{each}\r\n" for each in warmup.headers)
    return native.Warming(warmup.num_requests, warmup.method, warmup.url, headers)


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
    contents = _Contents(
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
    contents = _contents(parcel)
    return not (contents.files or contents.storage_files or contents.tasks)


def door_of(parcel: Parcel) -> int | None:
    """The index of the descriptor at which its guests ask for files, if one does."""
    contents = _contents(parcel)
    return 1 + contents.files if has_opener(contents.config) else None


def unpack(parcel: Parcel) -> Started:
    """The program in (parcel), whose descriptors it takes over. NativeError when it
    comes from another version, or there is no memory for it."""
    contents, fds = _contents(parcel), iter(parcel.fds)
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


def _contents(parcel: Parcel) -> _Contents:
    return msgspec.json.decode(parcel.data, type=_Contents, dec_hook=_path)


def _attach(started: Started, contents: _Contents, fds: Iterator[int]) -> None:
    requests = next(fds)
    files = list(islice(fds, contents.files))
    if has_opener(contents.config):
        started.hold_opener(next(fds))
    _attach_state(started, contents, fds)
    snapshot = native.Snapshot.attach(contents.requests, requests, started.shared)
    started.snapshot = started.held.enter_context(snapshot)
    opener = started.opener
    snapshot.adopt_files(opener if opener < 0 else os.dup(opener), files)


def _attach_state(started: Started, contents: _Contents, fds: Iterator[int]) -> None:
    limit = started.config.max_storage_time
    opener = started.opener
    started.shared, started.storage = _attach_old(started, contents, fds, opener, limit)


def _attach_old(
    started: Started,
    contents: _Contents,
    fds: Iterator[int],
    opener: int,
    limit: float,
) -> tuple[native.SharedMemory | None, native.Storage | None]:
    """Shared memory and storage of (contents), held by (started). Its guests ask
    (opener) for files; (limit) is the time of a storage call, in seconds."""
    config, held = contents.config, started.held
    shared = storage = None
    if config.shared_memory:
        size = config.shared_memory * _MB
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


def _path(kind: type, value: Any) -> Path:
    return Path(value)
