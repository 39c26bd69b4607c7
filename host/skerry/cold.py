"""Cold-start files: a started program as a file, to be served without starting it.

    magic, length of the head    a line, 4 bytes
    head                         MessagePack: what it is of, the parcel, what follows
    memory                       the blocks of its descriptors that are not all zero
    SHA-256                      of all that stands before it

What is in the file becomes memory of processes that trust it: a file that others may
write to, or that is damaged, or of another program, version or machine, is not used."""

import errno
import fcntl
import hashlib
import os
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

import msgspec

from skerry.parcel import Parcel

_MAGIC = b"skerry cold start 1\n"
_LENGTH = 4  # bytes
_LARGEST_HEAD = 64 << 20
_LARGEST_MEMORY = 16 << 30
_BLOCK = 64 << 10
_ZERO = bytes(_BLOCK)


class NotUsable(Exception):
    """Why a file cannot be used; the program has to be started."""


class _Memory(msgspec.Struct):
    """One descriptor: its size, its seals, and which of its blocks follow."""

    size: int
    seals: int
    blocks: list[int]


class _Head(msgspec.Struct):
    digest: str
    data: bytes
    seat: int | None
    version: str
    memories: list[_Memory]


def save(path: Path, digest: str, parcel: Parcel, version: str) -> None:
    """Replaces file (path) by what (parcel) holds, which nobody may use yet. It will be
    good for who asks for (digest). OSError when it cannot be written: then the file is
    as it was."""
    memories = [_look_at(fd) for fd in parcel.fds]
    head = _Head(digest, parcel.data, parcel.seat, version, memories)
    fd, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with open(fd, "wb") as file:
            _write(file, head, parcel.fds)
            file.flush()
            os.fsync(fd)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


def _write(file: BinaryIO, head: _Head, fds: Sequence[int]) -> None:
    summed, text = _Summed(file), msgspec.msgpack.encode(head)
    summed.write(_MAGIC + len(text).to_bytes(_LENGTH, "little") + text)
    for fd, memory in zip(fds, head.memories, strict=True):
        for block in memory.blocks:
            summed.write(os.pread(fd, _BLOCK, block * _BLOCK))
    file.write(summed.sum.digest())


def load(path: Path, digest: str) -> tuple[Parcel, str]:
    """The parcel in file (path), whose descriptors are the caller's now, and the
    version of its program. NotUsable if it is not for (digest)."""
    try:
        with open(path, "rb", opener=_open) as file, ExitStack() as undo:
            _check_owner(file)
            summed = _Summed(file)
            head = _read_head(summed, digest)
            fds = []
            for memory in head.memories:
                fds.append(_restore(summed, memory))
                undo.callback(os.close, fds[-1])
            if file.read() != summed.sum.digest():
                raise NotUsable("it is damaged")
            for fd, memory in zip(fds, head.memories, strict=True):
                fcntl.fcntl(fd, fcntl.F_ADD_SEALS, memory.seals)
            undo.pop_all()
    except FileNotFoundError:
        raise NotUsable("it is not there yet") from None
    except OSError as error:
        raise NotUsable(error.strerror or str(error)) from None
    return Parcel(head.data, tuple(fds), head.seat), head.version


class _Summed:
    """(file), and the SHA-256 of all that goes through here."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.sum = hashlib.sha256()

    def write(self, data: bytes) -> None:
        self.sum.update(data)
        self._file.write(data)

    def read(self, size: int) -> bytes:
        data = self._file.read(size)
        if len(data) < size:
            raise NotUsable("it is cut off")
        self.sum.update(data)
        return data


def _open(name: str, flags: int) -> int:
    """A pipe would wait for its other end."""
    return os.open(name, flags | os.O_NONBLOCK | os.O_NOCTTY)


def _look_at(fd: int) -> _Memory:
    size = os.fstat(fd).st_size
    return _Memory(size, fcntl.fcntl(fd, fcntl.F_GET_SEALS), list(_blocks(fd, size)))


def _blocks(fd: int, size: int) -> Iterator[int]:
    """The numbers of the blocks that hold something."""
    at = 0
    while at < size:
        try:
            at = os.lseek(fd, at, os.SEEK_DATA) // _BLOCK * _BLOCK
        except OSError as error:
            if error.errno == errno.ENXIO:  # only a hole is left
                return
            raise
        block = os.pread(fd, _BLOCK, at)
        if block != _ZERO[: len(block)]:
            yield at // _BLOCK
        at += _BLOCK


def _check_owner(file: BinaryIO) -> None:
    found = os.fstat(file.fileno())
    if not stat.S_ISREG(found.st_mode):
        raise NotUsable("it is no regular file")
    if found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise NotUsable("others own it or may write to it")


def _read_head(file: _Summed, digest: str) -> _Head:
    if file.read(len(_MAGIC)) != _MAGIC:
        raise NotUsable("it is no cold-start file of this version")
    length = int.from_bytes(file.read(_LENGTH), "little")
    if length > _LARGEST_HEAD:
        raise NotUsable("it is damaged")
    try:
        head = msgspec.msgpack.decode(file.read(length), type=_Head)
    except msgspec.MsgspecError:
        raise NotUsable("it is damaged") from None
    if head.digest != digest:
        raise NotUsable("it is of another program, configuration, version or machine")
    return head


def _restore(file: _Summed, memory: _Memory) -> int:
    """A memfd with the blocks of (memory), which (file) has next."""
    if not 0 <= memory.size <= _LARGEST_MEMORY:
        raise NotUsable("it is damaged")
    fd = os.memfd_create("skerry-cold", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.ftruncate(fd, memory.size)
        for block in memory.blocks:
            at = block * _BLOCK
            if not 0 <= at < memory.size:
                raise NotUsable("it is damaged")
            os.pwrite(fd, file.read(min(_BLOCK, memory.size - at)), at)
    except BaseException:
        os.close(fd)
        raise
    return fd
