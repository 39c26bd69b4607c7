"""The socket at which skerry status and skerry reload ask a supervisor: they connect,
write a word, and read JSON."""

import asyncio
import contextlib
import errno
import os
import socket
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from skerry.errors import SkerryError
from skerry.log import Log

STATUS, RELOAD = b"status\n", b"reload\n"
_PATIENCE = 10.0  # seconds that one end waits for the other; a reload takes its time


def directory() -> Path:
    """Where the sockets are; systemd says so, or it depends on the user."""
    if given := os.environ.get("RUNTIME_DIRECTORY"):
        return Path(given.partition(":")[0])
    if os.geteuid() == 0:
        return Path("/run/skerry")
    if given := os.environ.get("XDG_RUNTIME_DIR"):
        return Path(given) / "skerry"
    return Path(f"/tmp/skerry-{os.geteuid()}")


def socket_of(place: str) -> Path:
    """The socket of who serves at (place), HOST:PORT."""
    return directory() / f"{place.replace('/', '_')}.sock"


def ask(place: str, word: bytes = STATUS) -> bytes:
    """What the supervisor at (place) says to (word). SkerryError if there is none, or
    it ends before it has said anything."""
    path = socket_of(place)
    try:
        with socket.socket(socket.AF_UNIX) as sock, sock.makefile("rb") as answer:
            sock.settimeout(_PATIENCE)
            sock.connect(str(path))
            sock.sendall(word)
            if word == RELOAD:
                sock.settimeout(None)
            said = answer.read()
    except (FileNotFoundError, ConnectionRefusedError):
        raise SkerryError(
            f"no skerry serves {place} (nobody answers at {path}); name its address "
            "with --listen, and be the user that it runs as, or root"
        ) from None
    except OSError as error:
        raise SkerryError(f"{path}: {error.strerror or error}") from None
    if not said:
        raise SkerryError(f"the skerry that serves {place} has stopped meanwhile")
    return said


def is_served(place: str) -> bool:
    """Whether a supervisor serves (place) already."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(_PATIENCE)
        try:
            sock.connect(str(socket_of(place)))
        except OSError:
            return False
        return True


def _make_ours(path: Path) -> None:
    """Makes directory (path). It may be in /tmp, where anybody can come before us."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.stat().st_uid != os.geteuid():
        raise PermissionError(errno.EPERM, "the directory belongs to another user")


class Door:
    """Answers a word with what (answers) has for it. It is more important to serve than
    to tell: a socket that cannot be made is a line in the log."""

    def __init__(
        self, answers: Mapping[bytes, Callable[[], Awaitable[bytes]]], log: Log
    ) -> None:
        self._answers = answers
        self._log = log
        self._server: asyncio.Server | None = None
        self._path = Path()

    async def open(self, place: str) -> None:
        """Takes the place of a socket that was left behind."""
        self._path = socket_of(place)
        try:
            _make_ours(self._path.parent)
            self._path.unlink(missing_ok=True)
            self._server = await asyncio.start_unix_server(self._answer, self._path)
        except OSError as error:
            reason = error.strerror or error
            self._log.problem(f"skerry status will not work: {self._path}: {reason}")

    async def _answer(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        with contextlib.suppress(OSError, TimeoutError, SkerryError, ValueError):
            word = await asyncio.wait_for(reader.readline(), _PATIENCE)
            if answer := self._answers.get(word):
                writer.write(await answer())
                await writer.drain()
        writer.close()

    def close(self) -> None:
        if self._server:
            self._server.close()
            self._path.unlink(missing_ok=True)
