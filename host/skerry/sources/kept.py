"""What a fetched file is a copy of: FILENAME.source beside it, which is JSON.

An archive may bring a second program, that of the storage VM: FILENAME_storage."""

import hashlib
import re
from pathlib import Path

import msgspec

from skerry.config import Program


class Kept(msgspec.Struct, frozen=True):
    """(fetched) is the SHA-256 of what the source has sent, (file) that of the file,
    which differs for an archive, (storage) that of its second program, if it has one.
    (etag) and (last_modified) are what the source has said of it."""

    uri: str
    fetched: str
    file: str
    storage: str = ""
    etag: str = ""
    last_modified: str = ""


def source_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.source")


def storage_path(path: Path) -> Path:
    return path.with_name(f"{path.name}_storage")


def read(path: Path, uri: str) -> Kept | None:
    """What is known of file (path) as a copy of (uri); None: nothing."""
    try:
        kept = msgspec.json.decode(source_path(path).read_bytes(), type=Kept)
    except (OSError, msgspec.MsgspecError):
        return None
    return kept if kept.uri == shown(uri) else None


def is_of_another(path: Path, uri: str) -> bool:
    """Whether file (path) is known to be a copy of something else than (uri)."""
    return source_path(path).exists() and read(path, uri) is None


def is_intact(path: Path, kept: Kept) -> bool:
    """Whether what lies at (path) still is what was fetched. Reads all of it."""
    storage = file_version(storage_path(path)) if kept.storage else ""
    return file_version(path) == kept.file and storage == kept.storage


def storage_program(config: Program) -> Path | None:
    """The file that the storage VM of (config) boots, if it came with its program; None
    if it boots the same one. A program that somebody has put into the place of what was
    fetched is its own storage program too. ValueError if the one that came with it is
    no longer there."""
    kept = read(config.filename, config.uri) if config.uri and config.storage else None
    if kept is None or not kept.storage or file_version(config.filename) != kept.file:
        return None
    path = storage_path(config.filename)
    if file_version(path) != kept.storage:
        raise ValueError(
            f"{path}: it is not what came with {config.filename.name}: load the "
            "configuration again when its source is there"
        )
    return path


def besides(config: Program) -> tuple[str, ...]:
    """The SHA-256 of all that was fetched for (config) besides its file."""
    kept = read(config.filename, config.uri) if config.uri and config.storage else None
    files = [read(each.filename, each.uri) for each in config.download]
    return (
        kept.storage if kept else "",
        *(each.file if each else "" for each in files),
    )


def file_version(path: Path) -> str:
    """The SHA-256 of what file (path) holds, or "" if it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def shown(uri: str) -> str:
    """(uri) for people, and to be kept: without a password."""
    return re.sub(r"^(\w+://)[^/?#]*@", r"\1", uri)
