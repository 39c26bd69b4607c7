"""Which of the host's files a program may have, under which names."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from skerry.config import AllowedPath

Parts = tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """What a program is allowed: (paths), and the file (state) under the name "state"
    in its working directory, or None. (linked) is the file of a dynamically linked
    program, which may read the system's libraries too, and finds out where it is; or
    None."""

    paths: tuple[AllowedPath, ...] = ()
    directory: str = "/"
    state: Path | None = None
    linked: Path | None = None


@dataclass(frozen=True, slots=True)
class Real:
    """(path) below directory (base), which stays the owner's. (virtual) is what the
    program calls (top), a descriptor of what is allowed. Only an exact file has no
    (links)."""

    base: int
    path: bytes
    virtual: bytes
    top: int
    writable: bool
    links: bool


@dataclass(frozen=True, slots=True)
class State:
    """The state file."""


@dataclass(frozen=True, slots=True)
class Above:
    """A directory that is there because of what is allowed below it: (names)."""

    virtual: bytes
    names: tuple[bytes, ...]


Place = Real | State | Above


@dataclass(frozen=True, slots=True)
class _Entry:
    top: int
    parent: int  # -1: (top) is a directory
    name: bytes
    virtual: Parts
    prefix: bool
    writable: bool

    @classmethod
    def open(cls, path: AllowedPath) -> Self:
        """Its directory is the one that it is now, whatever links lead there."""
        real = os.path.realpath(path.real)
        top = os.open(real, os.O_PATH | os.O_CLOEXEC)
        virtual = parts_of(os.fsencode(path.virtual))
        if os.path.isdir(real):
            return cls(top, -1, b"", virtual, path.prefix, path.writable)
        head, tail = os.path.split(real)
        try:
            parent = os.open(head, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            os.close(top)
            raise
        name = os.fsencode(tail)
        return cls(top, parent, name, virtual, False, path.writable)

    def place(self, rest: Parts) -> Real:
        """What (rest) of a path means below this one."""
        virtual, path = join(self.virtual), b"/".join(rest).lstrip(b"/")
        if self.parent >= 0:
            if any(rest):
                raise NotADirectoryError(20, "not a directory")
            name = self.name + (b"/" if rest else b"")
            return Real(self.parent, name, virtual, self.top, self.writable, False)
        if not self.prefix and any(each not in (b"", b".") for each in rest):
            raise FileNotFoundError(2, "not there")
        return Real(self.top, path or b".", virtual, self.top, self.writable, True)

    def close(self) -> None:
        os.close(self.top)
        if self.parent >= 0:
            os.close(self.parent)


class Allowed:
    """Finds what (policy) allows. Holds descriptors until close(). OSError when a path
    is not there."""

    def __init__(self, policy: Policy) -> None:
        self._entries: dict[Parts, _Entry] = {}
        self._state: Parts | None = None
        if policy.state is not None:
            self._state = (*parts_of(os.fsencode(policy.directory)), b"state")
        try:
            for each in policy.paths:
                self._add(_Entry.open(each))
        except BaseException:
            self.close()
            raise
        named = [*self._entries, *([self._state] if self._state else [])]
        self._above = _above(named)
        self._deepest = max(map(len, named), default=0)

    def _add(self, entry: _Entry) -> None:
        if (old := self._entries.get(entry.virtual)) is not None:
            old.close()
        self._entries[entry.virtual] = entry

    def find(self, path: bytes) -> Place:
        """What (path), absolute, means; FileNotFoundError for what is not allowed.

        Above all that is allowed there are no links, so ".." is taken at its word;
        below it stays in the path, for the kernel, which knows where links lead."""
        walked: list[bytes] = []
        best: tuple[_Entry, Parts] | None = None
        parts = path.split(b"/")
        for index, part in enumerate(parts, 1):
            if part == b".." and best:
                break
            if part == b"..":
                del walked[-1:]
            elif part not in (b"", b"."):
                walked.append(part)
                if len(walked) > self._deepest:
                    continue
                if entry := self._entries.get(tuple(walked)):
                    best = entry, tuple(parts[index:])
                if tuple(walked) == self._state and index == len(parts):
                    return State()
        if best:
            return best[0].place(best[1])
        key = tuple(walked)
        if key not in self._above:
            raise FileNotFoundError(2, "not there")
        return Above(join(key), self._above[key])

    def close(self) -> None:
        for each in self._entries.values():
            each.close()
        self._entries.clear()


def parts_of(path: bytes) -> Parts:
    """The names in (path), absolute, with ".." taken at its word."""
    parts: list[bytes] = []
    for part in path.split(b"/"):
        if part == b"..":
            del parts[-1:]
        elif part not in (b"", b"."):
            parts.append(part)
    return tuple(parts)


def join(parts: Parts) -> bytes:
    return b"/" + b"/".join(parts)


def _above(all_of: Iterable[Parts]) -> dict[Parts, tuple[bytes, ...]]:
    """The directories above (all_of), the root among them, and what is in them."""
    found: dict[Parts, list[bytes]] = {(): []}
    for each in all_of:
        for length in range(len(each)):
            names = found.setdefault(each[:length], [])
            if each[length] not in names:
                names.append(each[length])
    return {key: tuple(names) for key, names in found.items()}
