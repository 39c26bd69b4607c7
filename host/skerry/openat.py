"""Opens files below a directory, and nothing else: openat2(2), which Python lacks."""

import ctypes
import errno
import os
import stat
import struct

_OPENAT2 = 437  # x86-64
_HOW = struct.Struct("<QQQ")  # struct open_how: flags, mode, resolve
_NO_MAGICLINKS = 0x02
_NO_SYMLINKS = 0x04
_BENEATH = 0x08
_QUIET = os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK
_ROUNDS = 8  # tries, while others make and remove a file

_libc = ctypes.CDLL(None, use_errno=True)


def _openat2(base: int, path: bytes, flags: int, mode: int, links: bool) -> int:
    resolve = _BENEATH | _NO_MAGICLINKS | (0 if links else _NO_SYMLINKS)
    how = _HOW.pack(flags | os.O_CLOEXEC, mode, resolve)
    fd = int(_libc.syscall(_OPENAT2, base, path, how, ctypes.c_size_t(_HOW.size)))
    if fd < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return fd


def look(base: int, path: bytes, follow: bool = True, links: bool = True) -> int:
    """A descriptor (O_PATH) of what (path) is below directory (base); without (follow),
    of a link itself. With (links) symbolic links are followed, as long as they stay
    below (base). OSError: EACCES for what leads outside."""
    try:
        return _openat2(base, path, os.O_PATH | _nofollow(follow), 0, links)
    except OSError as error:
        if error.errno == errno.EXDEV or (error.errno == errno.ELOOP and not links):
            raise _denied() from None
        raise


def _nofollow(follow: bool) -> int:
    return 0 if follow else os.O_NOFOLLOW


def open_below(
    base: int, path: bytes, flags: int, mode: int, links: bool = True
) -> int:
    """open() of a regular file or a directory below (base), see look(). What is there
    is looked at before it is opened: opening a device does things."""
    for _ in range(_ROUNDS):
        try:
            found = look(base, path, not flags & os.O_NOFOLLOW, links)
        except FileNotFoundError:
            if not flags & os.O_CREAT:
                raise
        else:
            try:
                return _open_again(found, flags)
            finally:
                os.close(found)
        try:
            new = (flags | os.O_EXCL | _QUIET) & ~os.O_TRUNC
            return _openat2(base, path, new, mode, links)
        except FileExistsError:
            # A link to nowhere is a name that is taken; or somebody was faster.
            continue
    raise _denied()


def _open_again(found: int, flags: int) -> int:
    kind = os.fstat(found).st_mode
    if flags & os.O_CREAT and flags & os.O_EXCL:
        raise OSError(errno.EEXIST, os.strerror(errno.EEXIST))
    if stat.S_ISLNK(kind):
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    if not stat.S_ISREG(kind) and not stat.S_ISDIR(kind):
        raise _denied()
    again = flags & ~(os.O_CREAT | os.O_NOFOLLOW)
    if flags & os.O_CREAT and stat.S_ISDIR(kind):
        raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
    return os.open(f"/proc/self/fd/{found}", again | _QUIET)


def _denied() -> OSError:
    return PermissionError(errno.EACCES, os.strerror(errno.EACCES))
