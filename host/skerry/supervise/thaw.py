"""Programs that are not started, but taken from their cold-start files; and kept there,
once they have been started."""

import hashlib
import importlib.util
import os
import time
from pathlib import Path

import msgspec

from skerry import __version__, cold
from skerry.config import Program
from skerry.files import open_door_of
from skerry.interpreter import interpreter_of
from skerry.log import Log
from skerry.messages import Booted
from skerry.parcel import Parcel, door_of, is_plain
from skerry.sources.kept import besides, file_version
from skerry.supervise.programs import Edition, Entry, enter

_OF_THE_CPU = ("vendor_id", "cpu family", "model", "stepping", "flags")
_LIBRARIES = "/etc/ld.so.cache"  # made anew when one is installed
_OPEN = "it has files open or tasks waiting, which cannot be kept"


def thaw(number: int, config: Program, path: Path) -> Entry:
    """(config) from its cold-start file (path), as (number). cold.NotUsable when it has
    to be started; ProgramError when it cannot be."""
    begin = time.monotonic()
    parcel, version = cold.load(path, digest(config))
    fds, place = list(parcel.fds), door_of(parcel)
    if place is not None:
        try:
            fds.insert(place, open_door_of(config))
        except BaseException:
            for fd in fds:
                os.close(fd)
            raise
    ready_ms = (time.monotonic() - begin) * 1000
    news = Booted(number, parcel.data, parcel.seat, version, ready_ms, "cold")
    return enter(config, news, tuple(fds))


def keep(edition: Edition, path: Path, log: Log) -> None:
    """(edition), which nobody uses yet, is kept in (path). A program serves as well
    where it cannot be."""
    name = edition.config.name
    parcel = Parcel(edition.data, edition.fds, edition.seat)
    if not is_plain(parcel):
        log.problem(f"program '{name}': no cold-start file: {_OPEN}")
        return
    place, fds = door_of(parcel), list(edition.fds)
    if place is not None:
        del fds[place]
    kept = Parcel(edition.data, tuple(fds), edition.seat)
    try:
        cold.save(path, digest(edition.config), kept, edition.version)
    except OSError as error:
        log.problem(f"program '{name}': no cold-start file: {path}: {error.strerror}")


def digest(config: Program) -> str:
    """All that a frozen machine depends on: the program, how it is started, this build
    of skerry, the kernel, the CPU."""
    depends = (
        __version__,
        file_version(_core()),
        os.uname().release,
        os.uname().version,
        _cpu(Path("/proc/cpuinfo").read_text()),
        file_version(config.filename),
        besides(config),
        _libraries(config.filename),
        config.for_guests(),
    )
    return hashlib.sha256(msgspec.json.encode(depends, enc_hook=str)).hexdigest()


def _libraries(program: Path) -> list[str]:
    """Of a dynamically linked (program): which dynamic linker there is, and since when
    which libraries of the system. Who names it is a stranger: it is not opened."""
    try:
        with program.open("rb") as file:
            linker = interpreter_of(file.fileno())
    except OSError:
        return []
    return [_seen(linker), _seen(_LIBRARIES)] if linker else []


def _seen(path: str) -> str:
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return ""
    return f"{found.st_dev} {found.st_ino} {found.st_size} {found.st_mtime_ns}"


def _core() -> Path:
    found = importlib.util.find_spec("skerry._native")
    assert found and found.origin
    return Path(found.origin)


def _cpu(text: str) -> list[str]:
    """What the first CPU can do, as Linux tells it."""
    lines = text.partition("\n\n")[0].splitlines()
    return [each for each in lines if each.split("\t")[0].strip() in _OF_THE_CPU]
