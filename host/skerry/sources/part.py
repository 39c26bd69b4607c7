"""A file while it is being written: nobody ever finds half of it under its name."""

import hashlib
import os
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

_OLD = 3600.0  # seconds: no fetch takes as long, so who wrote to it is dead


class Part:
    """A new file beside (path), whose place it takes with put(). A context manager,
    which removes what was not put. OSError where it cannot be written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._digest = hashlib.sha256()
        self.size = 0
        fd, name = tempfile.mkstemp(".part", f".{path.name}.", path.parent)
        self.file: BinaryIO = os.fdopen(fd, "w+b")
        self._name = Path(name)

    def write(self, data: bytes) -> None:
        self.file.write(data)
        self._digest.update(data)
        self.size += len(data)

    @property
    def sha256(self) -> str:
        """Of what has been written so far."""
        return self._digest.hexdigest()

    def put(self, mode: int) -> None:
        """Brings it to its place, with (mode); a power loss leaves the old one, or all
        of this one."""
        os.fchmod(self.file.fileno(), mode)
        self.file.flush()
        os.fsync(self.file.fileno())
        self._name.rename(self.path)
        _sync_directory(self.path.parent)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with suppress(OSError):  # a full disk: what is not written is thrown away
            self.file.close()
        self._name.unlink(missing_ok=True)


def sweep(path: Path) -> None:
    """Removes what was to become file (path) when its writer was killed."""
    with suppress(OSError):
        for each in path.parent.iterdir():
            is_part = each.name.startswith(f".{path.name}.") and each.suffix == ".part"
            if is_part and each.stat().st_mtime < time.time() - _OLD:
                each.unlink(missing_ok=True)


def _sync_directory(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with suppress(OSError):  # a file system that has no way to
            os.fsync(fd)
    finally:
        os.close(fd)
