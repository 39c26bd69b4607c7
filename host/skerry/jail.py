"""The jail of a process that runs guests: docs/security.md tells what it stops.

jail.prepare()              before the event loop is made
...                         open /dev/kvm, sockets and files
Jail().enter()              before the first guest
"""

import contextlib
import ctypes
import importlib
import os
import pwd
from collections.abc import Sequence
from dataclasses import dataclass, field

from skerry import native
from skerry.errors import SkerryError
from skerry.log import nowhere

# What Python imports only when it is needed; in the jail there are no files.
_LAZY = (
    "concurrent.futures.thread",
    "encodings.ascii",
    "encodings.idna",
    "encodings.latin_1",
    "encodings.punycode",
    "linecache",
    "traceback",
)
_NOBODY = 65534  # where no user has that name


class JailError(SkerryError):
    """The process could not be jailed, and must not serve; says what to do."""


def prepare() -> None:
    """Fetches what cannot be fetched in the jail, and makes sure that event loops made
    from here on fit into it. Call it once."""
    for name in _LAZY:
        importlib.import_module(name)
    with contextlib.suppress(OSError):  # a C library without it does not need it
        ctypes.CDLL("libgcc_s.so.1")  # glibc opens it when a thread calls pthread_exit
    nowhere()
    try:
        native.prepare_jail()
    except native.NativeError as error:
        raise _refused(error) from None


def nobody() -> tuple[int, int]:
    """The ids of the user "nobody", who owns no file, and of his group."""
    try:
        user = pwd.getpwnam("nobody")
    except KeyError:
        return _NOBODY, _NOBODY
    return user.pw_uid, user.pw_gid


@dataclass(frozen=True, slots=True)
class Jail:
    """Root becomes (user), a user's and a group's id; user 0: it stays root. The
    process keeps at most (max_files) open descriptors, 0 for as many as it may have,
    and reading below the directories (readable). With (kill) a refused system call ends
    it; otherwise that is a line on standard error."""

    user: tuple[int, int] = field(default_factory=nobody)
    max_files: int = 0
    readable: Sequence[str] = ()
    kill: bool = False

    def enter(self) -> str:
        """Puts this process into the jail, for good; returns what holds. JailError: end
        the process."""
        try:
            facts = native.enter_jail(
                *self.user, self.max_files, self.readable, self.kill
            )
        except native.NativeError as error:
            raise _refused(error) from None
        return ", ".join(_layers(facts))


def _layers(facts: native.JailFacts) -> list[str]:
    user = os.geteuid()
    return [
        f"user {user}" if user else "user 0 (it is to stay root)",
        "no capabilities",
        _landlock(facts),
        "seccomp",
    ]


def _landlock(facts: native.JailFacts) -> str:
    if not facts.landlock:
        return "no Landlock (this kernel has none: Linux 5.13 or newer, lsm=landlock)"
    late = f" but for {facts.outside} threads from before" if facts.outside else ""
    return f"Landlock {facts.landlock}{late}"


def _refused(error: native.NativeError) -> JailError:
    return JailError(
        f"cannot enter the jail: {error}; skerry does not run guests outside of it"
    )
