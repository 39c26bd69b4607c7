"""A program from its file to frozen machines.

Starting runs the program's main, once as storage if it has storage, and once to serve
requests. What comes of it serves here, or goes as a Parcel to processes that serve.
"""

import hashlib
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

from skerry import native
from skerry.config import Program as Config
from skerry.errors import ProgramError
from skerry.files import Files, open_files
from skerry.keys import FSYNC
from skerry.log import Log, printable
from skerry.native import Remains
from skerry.options import MB, boot_options
from skerry.parcel import (
    Contents,
    Parcel,
    attach_state,
    copies,
    first_of_state,
    read_contents,
)
from skerry.started import Started
from skerry.succession import digest_state, is_same, is_succession, succeed
from skerry.symbols import Symbols, read_symbols

_CHANGES = (
    "the program is dynamically linked, and its memory would not fit the next version "
    "of a library: link it with -static, or do without storage_file"
)


def start(
    config: Config,
    log: Log,
    old: Parcel | None = None,
    files: Files | None = None,
    look: Callable[[Remains], None] | None = None,
    trace: int = 0,
) -> Started:
    """Boots (config); takes the program's own start-up time. ProgramError when it does
    not start; what it printed is logged either way.

    What (old), the same program as it was started before, keeps in storage lives on if
    nothing has changed that it depends on; else see Started.origin. Its shared memory
    lives on unless its size is another. Its descriptors stay its own, and so do those
    of (files), which are for a process that may not open any. (look) is shown the
    machine of one that does not start; its guests' calls are told on (trace)."""
    if files is None:
        with open_files(config) as own:
            return start(config, log, old, own, look, trace)
    begin = time.monotonic()
    with ExitStack() as undo:
        started = undo.enter_context(Started(config))
        started.look, started.trace = look, trace
        if files.opener >= 0:
            started.hold_opener(os.dup(files.opener))
        undo.callback(started.print_lines, log)
        try:
            _boot_all(started, old, files)
        except native.NativeError as error:
            reason = printable(started.symbols.explain(error.reason))
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
    started.state = digest_state(config, elf, second)
    contents = read_contents(old) if old else None
    if old and contents and is_same(started, contents):
        started.origin = "kept"
        attach_state(started, contents, copies(old, contents))
    else:
        _make_shared(started, old, contents)
        _make_storage(started, second, files)
        if old and contents and is_succession(started, contents):
            succeed(started, old, contents)
    snapshot = _boot(started, elf, "request", files)
    started.snapshot = held.enter_context(snapshot)
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


def _make_shared(started: Started, parcel: Parcel | None, old: Contents | None) -> None:
    """That of (old), if it fits."""
    size = started.config.shared_memory
    if not size:
        return
    if parcel and old and old.config.shared_memory == size:
        fd = os.dup(parcel.fds[first_of_state(old)])
        started.shared = native.SharedMemory.attach(fd, size * MB)
    else:
        started.shared = native.SharedMemory(size * MB)
        if old and old.config.shared_memory:
            text = f"shared memory begins anew, as shared_memory is {size} MB now"
            started.notes.append(text)
    started.held.enter_context(started.shared)


def _make_storage(started: Started, elf: bytes, files: Files) -> None:
    config, held = started.config, started.held
    if config.storage:
        limit, file = config.max_storage_time, _storage_file(started, files)
        with _boot(started, elf, "storage", files) as snapshot:
            started.storage = native.Storage(
                snapshot, started.console, limit, file, files.control
            )
        held.enter_context(started.storage)
        started.storage.tell(started.trace)


def _storage_file(started: Started, files: Files) -> native.StorageFile | None:
    config = started.config
    if config.storage_file is None:
        return None
    if files.loader_of("storage") >= 0:
        raise ProgramError(config.name, "storage_file", _CHANGES)
    return native.StorageFile(
        fd=files.storage,
        path=str(config.storage_file),
        digest=bytes.fromhex(started.state),
        text=f"{config.name}, file {started.version[:12]}, {config.max_memory} MB, "
        f"started as {started.state[:8]}",
        waits=config.durability == FSYNC,
    )


def _boot(started: Started, elf: bytes, kind: str, files: Files) -> native.Snapshot:
    """Libraries can be read only until it is frozen: afterwards nothing that is in them
    could be executed, and a request is to read what is configured."""
    loader = files.loader_of(kind)
    options = boot_options(started, elf, kind, loader)
    storage = started.storage if kind == "request" else None
    snapshot = native.boot(
        options, started.console, started.shared, storage, started.look
    )
    if loader >= 0:
        snapshot.change_opener(started.opener)
    return snapshot
