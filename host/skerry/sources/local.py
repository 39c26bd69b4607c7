"""Sources on this machine: file:// URIs."""

import os
import stat
from pathlib import Path
from urllib.parse import unquote, urlsplit

from skerry.sources.failure import Away, Passing, SourceError
from skerry.sources.part import Part
from skerry.sources.tag import Tag

_PIECE = 1 << 18


def copy(uri: str, seen: Tag, part: Part, most: int) -> Tag | None:
    """Copies the file that (uri) names to (part), at most (most) bytes of it. Returns
    its tag, or None if that is (seen): then there is nothing new. Or SourceError."""
    path = _path(uri)
    try:
        # Without O_NONBLOCK a pipe would wait for its other end.
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise Away(f"{path}: {error.strerror}: check the uri") from None
    try:
        before = _tag(fd, path)
        if before == seen:
            return None
        _copy(fd, part, most, path)
        if _tag(fd, path) != before:
            raise Passing(f"{path}: it is being written: put whole files there")
    finally:
        os.close(fd)
    return before


def _path(uri: str) -> Path:
    parts = urlsplit(uri)
    if parts.netloc not in ("", "localhost") or not parts.path.startswith("/"):
        raise SourceError(f"{uri}: expected a file of this machine: file:///PATH")
    return Path(unquote(parts.path))


def _tag(fd: int, path: Path) -> Tag:
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode):
        raise SourceError(f"{path}: expected a regular file")
    return Tag(f"{found.st_dev}-{found.st_ino}-{found.st_size}-{found.st_mtime_ns}")


def _copy(fd: int, part: Part, most: int, path: Path) -> None:
    while piece := os.read(fd, _PIECE):
        if part.size + len(piece) > most:
            raise SourceError(f"{path}: larger than {most >> 20} MB: refused")
        part.write(piece)
