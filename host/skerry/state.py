"""The state file: the one that a storage program may write without being configured.
It is written as a private copy, and replaced as a whole."""

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path

STATE_MAX = 64 << 20  # bytes
_NEW = ".new"  # behind the name of a state file that is being written


def open_state(path: Path, flags: int) -> tuple[int, bool]:
    """open() of state file (path): itself for reading, else a copy, to be given to
    keep_state(); and whether it is that."""
    if flags & os.O_ACCMODE == os.O_RDONLY and not flags & (os.O_CREAT | os.O_TRUNC):
        return _open(path), False
    try:
        old = _open(path)
    except FileNotFoundError:
        if not flags & os.O_CREAT:
            raise
        return os.memfd_create("skerry-state", os.MFD_CLOEXEC), True
    try:
        if flags & os.O_CREAT and flags & os.O_EXCL:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
        return _copy(old, bool(flags & os.O_TRUNC)), True
    finally:
        os.close(old)


def _open(path: Path) -> int:
    """Not a link, which might lead to anything: the directory is the program's, too."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
    fd = os.open(path, flags)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    return fd


def _copy(old: int, empty: bool) -> int:
    new = os.memfd_create("skerry-state", os.MFD_CLOEXEC)
    try:
        if not empty:
            _fill(new, old)
    except BaseException:
        os.close(new)
        raise
    return new


def _fill(target: int, source: int) -> None:
    size = os.fstat(source).st_size
    if size > STATE_MAX:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
    at = 0
    while at < size and (sent := os.sendfile(target, source, at, size - at)):
        at += sent


def keep_state(path: Path, source: int) -> None:
    """Replaces state file (path) by what (source) holds, which anybody may have sent.
    When this returns it outlives a power loss; when it fails, the old one stays."""
    if not stat.S_ISREG(os.fstat(source).st_mode):
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _replace(directory, path.name, source)
    finally:
        os.close(directory)


def _replace(directory: int, name: str, source: int) -> None:
    new = name + _NEW
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with suppress(FileNotFoundError):
        os.unlink(new, dir_fd=directory)  # a host that was killed has left it
    target = os.open(new, flags, 0o600, dir_fd=directory)
    try:
        _fill(target, source)
        os.fsync(target)
        os.rename(new, name, src_dir_fd=directory, dst_dir_fd=directory)
    except BaseException:
        os.unlink(new, dir_fd=directory)
        raise
    finally:
        os.close(target)
    os.fsync(directory)
