"""File names in a configuration: what $HOME and $PWD mean, and what can be loaded."""

import os
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

from skerry.problems import bare

VARIABLE = re.compile(r"\$(?:(?P<name>[A-Za-z_][A-Za-z0-9_]*)|\{(?P<braced>\w*)\}|\{)")

# $PWD asks the system: the shell's variable is stale under sudo, systemd and make -C.
VARIABLES: dict[str, Callable[[], Path]] = {"HOME": Path.home, "PWD": Path.cwd}


def program_file(text: str, base: Path) -> Path:
    """The absolute path that (text) means in a configuration in directory (base).

    Raises ValueError, which names the path, unless a regular file can be read there."""
    path = base / expand(text)
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise ValueError(f"expected a file: {path}: {error.strerror}") from None
    if not stat.S_ISREG(mode):
        found = "a directory" if stat.S_ISDIR(mode) else "a device, pipe or socket"
        raise ValueError(f"expected a regular file, found {found}: {path}")
    if not os.access(path, os.R_OK):
        raise ValueError(f"expected a file that we may read: {path}")
    return path


def storage_file(text: str, base: Path) -> Path:
    """The absolute path that (text) means in a configuration in directory (base).

    The file may be there or not yet; raises ValueError, which names the path, where
    there is something else, or no directory to make it in."""
    path = base / expand(text)
    if not path.parent.is_dir():
        raise ValueError(f"expected a directory that exists: {path.parent}")
    if path.exists() and not path.is_file():
        raise ValueError(f"expected a regular file, or none yet: {path}")
    return path


def fetched_file(text: str, base: Path) -> Path:
    """The absolute path that (text) means, of a file that will be fetched: it may be
    there or not yet. Raises ValueError as the two above do."""
    path = base / expand(text)
    if not path.parent.is_dir():
        raise ValueError(f"expected a directory that exists: {path.parent}")
    return program_file(text, base) if path.exists() else path


def expand(text: str) -> str:
    """(text) with $HOME, ${HOME}, $PWD and ${PWD} replaced; ValueError for others."""
    return VARIABLE.sub(variable, text)


def variable(match: re.Match[str]) -> str:
    name = match["name"] or match["braced"]
    if name not in VARIABLES:
        raise ValueError(f"expected only $HOME and $PWD, found {bare(match[0])}")
    try:
        return str(VARIABLES[name]())
    except (OSError, RuntimeError) as error:
        raise ValueError(f"${name} is not known here: {error}") from None


def decode_path(kind: type, value: Any) -> Path:
    """For msgspec, where paths are written as text: with enc_hook=str."""
    return Path(value)
