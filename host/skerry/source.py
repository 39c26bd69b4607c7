"""The text of a configuration file."""

from codecs import BOM_UTF8
from pathlib import Path

from skerry.errors import ConfigError
from skerry.problems import Problem

# A file that grows past this is not a configuration; nor is /dev/zero.
LARGEST = 16 << 20


def read_text(path: Path) -> str:
    """The UTF-8 text in file (path), or ConfigError: nothing else."""
    data = read_bytes(path)
    if len(data) > LARGEST:
        raise bad(path, f"larger than {LARGEST >> 20} MiB")
    if data.startswith(BOM_UTF8):
        raise bad(path, "begins with a byte order mark: save it without one", 1)
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        byte = data[error.start]
        raise bad(path, f"expected UTF-8, found byte 0x{byte:02x}", line) from None


def read_bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(LARGEST + 1)
    except OSError as error:
        raise bad(path, f"cannot be read: {error.strerror}") from None
    except ValueError:
        raise bad(path, "cannot be read: its name holds a NUL") from None


def bad(path: Path, message: str, line: int = 0) -> ConfigError:
    return ConfigError([Problem(path, "", "", line, message)])
