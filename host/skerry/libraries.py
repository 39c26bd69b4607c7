"""The system's shared libraries: what a dynamically linked program may read while it
starts, without being configured."""

import os
from collections.abc import Sequence
from contextlib import ExitStack
from stat import S_IROTH, S_IXOTH

from skerry.allowed import Real, join, parts_of

# What the dynamic linkers of glibc and musl look into.
DIRECTORIES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib")
FILES = ("/etc/ld.so.cache", "/etc/ld-musl-x86_64.path")


class Libraries:
    """Finds what is in (directories), and (files). Holds descriptors until close()."""

    def __init__(
        self, directories: Sequence[str] = DIRECTORIES, files: Sequence[str] = FILES
    ) -> None:
        """The directories are those that they are now, whatever links lead there."""
        self._held = ExitStack()
        self._names = [os.fsencode(each) for each in directories]
        self._files = [os.fsencode(each) for each in files]
        self._tops: dict[bytes, int] = {}  # by their real paths
        try:
            for each in map(os.path.realpath, self._names):
                self._open(each)
            self._directories = tuple(self._tops)
            for each in map(os.path.dirname, self._files):
                self._open(each)
        except BaseException:
            self.close()
            raise

    def _open(self, real: bytes) -> None:
        if real in self._tops or not os.path.isdir(real):
            return
        fd = os.open(real, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        self._held.callback(os.close, fd)
        self._tops[real] = fd

    def find(self, path: bytes) -> Real:
        """What (path), absolute, means, with ".." taken at its word. Links are followed
        here, from one of the directories into another, and nowhere else.
        FileNotFoundError for all else, PermissionError for what not everybody may
        read: who asks for us may be root."""
        plain = join(parts_of(path))
        if plain in self._files:
            return self._place(plain, os.path.dirname(plain))
        if any(_is_below(plain, each) for each in self._names):
            real = os.path.realpath(plain, strict=True)
            for top in self._directories:
                if _is_below(real, top):
                    return self._place(real, top)
        raise FileNotFoundError(2, "not there")

    def _place(self, real: bytes, top: bytes) -> Real:
        if not _is_public(real, top):
            raise PermissionError(13, "not for everybody")
        base = self._tops[top]
        return Real(base, real[len(top) + 1 :] or b".", top, base, False, False)

    def close(self) -> None:
        self._held.close()
        self._tops.clear()


def _is_public(real: bytes, top: bytes) -> bool:
    """Whether everybody may read (real), and reach it from (top)."""
    needed = S_IROTH
    while os.stat(real).st_mode & needed:
        if real == top:
            return True
        real, needed = os.path.dirname(real), S_IXOTH
    return False


def _is_below(path: bytes, top: bytes) -> bool:
    """Whether (path) is in directory (top), or is that."""
    return path == top or path.startswith(top.rstrip(b"/") + b"/")
