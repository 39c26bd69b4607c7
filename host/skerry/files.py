"""The descriptors that starting a program takes: opened by a process that may open
files, for one that runs guests and may not."""

import errno
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from skerry.allowed import Policy
from skerry.config import Program as Config
from skerry.errors import ProgramError
from skerry.interpreter import interpreter_of
from skerry.opener import open_door
from skerry.sources.kept import storage_program

# Without O_NONBLOCK a pipe would wait for its other end.
_FLAGS = os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
_ADVICE = {
    errno.ENOENT: "make its directory",
    errno.EISDIR: "choose another",
    errno.EACCES: "let the user of skerry read and write it",
    errno.EROFS: "choose another",
}


@dataclass(frozen=True, slots=True)
class Files:
    """Of one program, -1 where it has none: (program), its file; (second), the file
    that its storage VM boots, if it comes from elsewhere and so may have one of its
    own; (storage), the file of its storage; (control), a memfd for its storage, and the
    same opened anew for the one process that starts it (see native.Storage); (opener),
    where it asks for other files; (loader), where a dynamically linked one does so
    while it starts, for its libraries too. Owned by who has opened them."""

    program: int
    second: int
    storage: int
    control: tuple[int, int]
    opener: int
    loader: int

    @property
    def fds(self) -> tuple[int, ...]:
        """Those that there are, for another process."""
        own = (self.program, self.second, self.storage, *self.control)
        return tuple(fd for fd in (*own, self.opener, self.loader) if fd >= 0)

    @classmethod
    def take(cls, config: Config, fds: Iterator[int], linked: bool = False) -> Self:
        """What (fds), from another process, begin with; (linked): with a loader."""
        program = next(fds)
        second = next(fds) if _may_have_second(config) else -1
        storage = next(fds) if config.storage_file else -1
        control = (next(fds), next(fds)) if config.storage else (-1, -1)
        opener = next(fds) if has_opener(config) else -1
        loader = next(fds) if linked else -1
        return cls(program, second, storage, control, opener, loader)

    def loader_of(self, kind: str) -> int:
        """The loader for what is booted to be of (kind), -1 if that is static."""
        fd = self.second if kind == "storage" and self.second >= 0 else self.program
        return self.loader if interpreter_of(fd) else -1

    def read_program(self) -> bytes:
        """All of its file. Once."""
        return _read(self.program)

    def read_second(self) -> bytes | None:
        """All of what its storage VM boots, if that may be another file. Once."""
        return None if self.second < 0 else _read(self.second)


@contextmanager
def open_files(
    config: Config, program: Path | None = None, anew: bool = False
) -> Iterator[Files]:
    """Opens what starting (config) takes, and closes it at the end. ProgramError when
    that cannot be done. (program) is read in place of the configured file. With (anew),
    the file of its storage is an empty one, new_file(), beside that of who serves."""
    with ExitStack() as held:

        def hold(fd: int) -> int:
            held.callback(os.close, fd)
            return fd

        opened = hold(_open_program(config, program or config.filename))
        second, storage, control = -1, -1, (-1, -1)
        if _may_have_second(config):
            second = hold(_open_program(config, program or _second(config)))
        if config.storage_file:
            storage = hold(_open_storage(config, config.storage_file, anew))
        if config.storage:
            memory = hold(os.memfd_create("skerry-storage", os.MFD_CLOEXEC))
            control = memory, hold(open_anew(memory))
        opener = hold(open_door_of(config)) if has_opener(config) else -1
        loader = -1
        if any(interpreter_of(fd) for fd in (opened, second) if fd >= 0):
            loader = hold(open_door_of(config, config.filename))
        yield Files(opened, second, storage, control, opener, loader)


def has_opener(config: Config) -> bool:
    """Whether the program may have files of the host: a storage program has one, its
    state file."""
    return config.storage or bool(config.allowed_paths)


def policy_of(config: Config, linked: Path | None = None) -> Policy:
    """What the opener opens for the program, or for the dynamically linked one that is
    in file (linked), while it starts."""
    file = config.filename
    return Policy(
        config.allowed_paths,
        config.current_working_directory,
        Path(f"{file}.state") if config.storage else None,
        linked,
    )


def open_door_of(config: Config, linked: Path | None = None) -> int:
    """Where guests of (config) ask for files, see policy_of(): the caller's.
    ProgramError when a path of it is not there."""
    try:
        return open_door(policy_of(config, linked))
    except OSError as error:
        reason = f"{error.filename}: {error.strerror}"
        raise ProgramError(config.name, "allowed_paths", reason) from None


def open_anew(fd: int) -> int:
    """Another description of the file (fd), which shares no locks with it."""
    return os.open(f"/proc/self/fd/{fd}", os.O_RDWR | os.O_CLOEXEC)


def new_file(path: Path) -> Path:
    """Where what is to replace file (path) is made: in the directory that has it."""
    real = path.resolve()
    return real.with_name(f"{real.name}.new")


def old_file(path: Path) -> Path:
    """What file (path) is called that has been replaced, if it is kept."""
    real = path.resolve()
    return real.with_name(f"{real.name}.old")


def _may_have_second(config: Config) -> bool:
    return config.storage and config.uri is not None


def _second(config: Config) -> Path:
    """What the storage VM of (config) boots."""
    try:
        return storage_program(config) or config.filename
    except ValueError as error:
        raise ProgramError(config.name, "read", str(error)) from None


def _read(fd: int) -> bytes:
    with open(fd, "rb", closefd=False) as file:
        return file.read()


def _open_program(config: Config, path: Path) -> int:
    try:
        return os.open(path, os.O_RDONLY | _FLAGS)
    except OSError as error:
        reason = f"{path}: {error.strerror}"
        raise ProgramError(config.name, "read", reason) from None


def _open_storage(config: Config, path: Path, anew: bool) -> int:
    try:
        if anew:
            path = new_file(path)
            path.unlink(missing_ok=True)
        return _open_synced(path)
    except OSError as error:
        advice = _ADVICE.get(error.errno or 0)
        reason = f"{path}: {error.strerror}{f': {advice}' if advice else ''}"
        raise ProgramError(config.name, "storage file", reason) from None


def _open_synced(path: Path) -> int:
    """The file, made if it is not there. Before anything is written to it, its name
    outlives a power loss."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | _FLAGS, 0o600)
    try:
        if os.fstat(fd).st_size == 0:
            sync_directory(path.resolve().parent)
    except BaseException:
        os.close(fd)
        raise
    return fd


def sync_directory(path: Path) -> None:
    """The names in it outlive a power loss from now on."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno != errno.EINVAL:  # a file system that has no way to
            raise
    finally:
        os.close(fd)
