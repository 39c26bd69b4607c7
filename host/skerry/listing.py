"""What a program gets when it opens a directory: not the directory, through which a
process could look further, but a memfd that says what is in it (opener.h)."""

import os
import stat
import struct
from collections.abc import Iterable, Iterator

_STAT = struct.Struct("<QQQIIIIQqqqqqqqqq24x")  # struct stat of x86-64
_PATH_AT = 1024
_RECORDS_AT = 8192
_RECORD = struct.Struct("<QqHB")  # struct linux_dirent64 before its name
_MOST = 4 << 20  # bytes of records: what more there is in a directory is left out
_NS = 1_000_000_000

Record = tuple[int, int, bytes]  # inode, DT_*, name


def pack_stat(st: os.stat_result) -> bytes:
    """struct stat."""
    times = (st.st_atime_ns, st.st_mtime_ns, st.st_ctime_ns)
    return _STAT.pack(
        st.st_dev,
        st.st_ino,
        st.st_nlink,
        st.st_mode,
        st.st_uid,
        st.st_gid,
        0,
        st.st_rdev,
        st.st_size,
        st.st_blksize,
        st.st_blocks,
        *(part for time in times for part in divmod(time, _NS)),
    )


def plain_directory() -> bytes:
    """struct stat of a directory that is there only by name."""
    mode = stat.S_IFDIR | 0o555
    return _STAT.pack(0, 0, 2, mode, 0, 0, 0, 0, 0, 4096, 0, *([0] * 6))


def make(packed: bytes, path: bytes, records: Iterable[Record]) -> int:
    """The descriptor for a directory that is (packed) and that the program calls
    (path)."""
    head = packed.ljust(_PATH_AT, b"\0") + path + b"\0"
    body = bytearray()
    for inode, kind, name in records:
        size = -(-(_RECORD.size + len(name) + 1) // 8) * 8
        if len(body) + size > _MOST:
            break
        record = _RECORD.pack(inode, len(body) + size, size, kind) + name
        body += record.ljust(size, b"\0")
    fd = os.memfd_create("skerry-directory", os.MFD_CLOEXEC)
    os.pwrite(fd, head.ljust(_RECORDS_AT, b"\0"), 0)
    os.pwrite(fd, body, _RECORDS_AT)
    return fd


def records(directory: int) -> Iterator[Record]:
    """What is in (directory), a descriptor that can be read."""
    own = os.fstat(directory).st_ino
    yield own, stat.S_IFDIR >> 12, b"."
    yield own, stat.S_IFDIR >> 12, b".."
    with os.scandir(directory) as entries:
        for each in entries:
            yield each.inode(), _kind(each), os.fsencode(each.name)


def _kind(entry: "os.DirEntry[str]") -> int:
    """DT_*: the bits of st_mode that tell the kind; 0, unknown, where that would have
    to be looked up."""
    if entry.is_symlink():
        return stat.S_IFLNK >> 12
    if entry.is_dir(follow_symlinks=False):
        return stat.S_IFDIR >> 12
    return stat.S_IFREG >> 12 if entry.is_file(follow_symlinks=False) else 0


def names(above: Iterable[bytes]) -> Iterator[Record]:
    """What is in a directory that is there only by name."""
    for name in (b".", b"..", *above):
        yield 1, 0, name
