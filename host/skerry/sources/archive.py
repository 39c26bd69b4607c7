"""Strangers' archives: .tar.xz, .tar.gz and .zip, told apart by how they begin.

No name in an archive is ever used as a path, and yet one that could be misused makes it
an archive that nobody should take. What it decompresses to is counted as it comes."""

import gzip
import lzma
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import IO, BinaryIO, Protocol, cast

from skerry.problems import quote
from skerry.sources.failure import SourceError
from skerry.sources.limits import Limits

ELF = b"\x7fELF"
_XZ, _GZIP, _ZIP = b"\xfd7zXZ\0", b"\x1f\x8b", b"PK\x03\x04"
_DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    lzma.LZMAError,
    zlib.error,
    struct.error,
    EOFError,
    OverflowError,
    ValueError,
    RuntimeError,  # what zipfile says of a password
)


class Reader(Protocol):
    """What bytes come from."""

    def read(self, size: int, /) -> bytes: ...


class _Budget:
    """The bytes that an archive may still decompress to."""

    def __init__(self, limits: Limits) -> None:
        self._most = self._left = limits.unpacked

    def take(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            raise SourceError(
                f"the archive unpacks to more than {self._most >> 20} MB; make it "
                "smaller"
            )


class _Counted:
    """(raw), as long as (budget) lasts."""

    def __init__(self, raw: Reader, budget: _Budget) -> None:
        self._raw = raw
        self._budget = budget

    def read(self, size: int, /) -> bytes:
        data = self._raw.read(size)
        self._budget.take(len(data))
        return data


def is_archive(head: bytes) -> bool:
    """Whether a file that begins with (head) is one of those that we know."""
    return head.startswith((_XZ, _GZIP, _ZIP))


def members(file: BinaryIO, limits: Limits) -> Iterator[tuple[str, Reader]]:
    """(the name, the content) of each regular file in the archive (file); a content
    can be read until the next one is asked for. SourceError for an archive that has
    anything but files and directories, or is too large. To be used inside sound()."""
    file.seek(0)
    head = file.read(6)
    file.seek(0)
    budget = _Budget(limits)
    if head.startswith(_ZIP):
        yield from _zip(file, limits, budget)
    else:
        opener = lzma.open if head.startswith(_XZ) else gzip.open
        with cast(IO[bytes], opener(file)) as raw:
            yield from _tar(_Counted(raw, budget), limits)


@contextmanager
def sound() -> Iterator[None]:
    """What is read inside of an archive that is damaged raises SourceError."""
    try:
        yield
    except MemoryError:
        raise SourceError("unpacking the archive takes too much memory") from None
    except (*_DAMAGE, gzip.BadGzipFile) as error:
        reason = f"the archive is damaged: {quote(str(error))}; make it again"
        raise SourceError(reason) from None


def _tar(raw: _Counted, limits: Limits) -> Iterator[tuple[str, Reader]]:
    with tarfile.open(fileobj=cast(IO[bytes], raw), mode="r|") as archive:
        for count, each in enumerate(archive, 1):
            _check(each.name, count, limits)
            if each.isdir():
                continue
            if not each.isreg() or each.issparse():
                raise _unwanted(each.name)
            content = archive.extractfile(each)
            assert content, "it is a regular file"
            yield each.name, cast(Reader, content)
    while raw.read(1 << 16):  # what comes behind its end has checksums too
        pass


def _zip(
    file: BinaryIO, limits: Limits, budget: _Budget
) -> Iterator[tuple[str, Reader]]:
    with zipfile.ZipFile(file) as archive:
        for count, each in enumerate(archive.infolist(), 1):
            _check(each.filename, count, limits)
            kind = stat.S_IFMT(each.external_attr >> 16)
            if each.is_dir() and kind in (0, stat.S_IFDIR):
                continue
            if kind not in (0, stat.S_IFREG):
                raise _unwanted(each.filename)
            if each.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise SourceError(
                    f"{quote(each.filename)} in the archive is compressed in a way "
                    "that is not known here: use deflate"
                )
            with archive.open(each) as content:
                yield each.filename, _Counted(content, budget)


def _check(name: str, count: int, limits: Limits) -> None:
    if count > limits.members:
        reason = f"the archive has more than {limits.members} members: take some out"
        raise SourceError(reason)
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or ":" in name:
        raise SourceError(f"{quote(name)} in the archive leads out of it: refused")


def _unwanted(name: str) -> SourceError:
    return SourceError(
        f"{quote(name)} in the archive is neither a file nor a directory: refused; "
        "make an archive without links, devices and sparse files"
    )
