"""The shared libraries that a dynamic program needs, and where they are."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from elftools.elf.elffile import ELFFile

_USUAL = (
    "/lib/x86_64-linux-gnu",
    "/usr/lib/x86_64-linux-gnu",
    "/lib64",
    "/usr/lib64",
    "/lib",
    "/usr/lib",
    "/usr/local/lib",
)


def interpreter_of(elf: ELFFile) -> str | None:
    """What loads it; None if it is static."""
    for segment in elf.iter_segments("PT_INTERP"):
        data: bytes = segment.data()
        return data.rstrip(b"\0").decode()
    return None


def missing(path: Path, elf: ELFFile) -> Iterator[str]:
    """The names of what is not there: the interpreter, and libraries that program
    (path) itself names."""
    interpreter = interpreter_of(elf)
    if interpreter is not None and not Path(interpreter).exists():
        yield interpreter
    needed, places = _dynamic(path, elf)
    for name in needed:
        if not any((place / name).exists() for place in places):
            yield name


def _dynamic(path: Path, elf: ELFFile) -> tuple[list[str], list[Path]]:
    """The libraries, and the directories to look in."""
    needed: list[str] = []
    places: list[str] = []
    for segment in elf.iter_segments("PT_DYNAMIC"):
        tags: Any = segment  # its kind has no types
        for tag in tags.iter_tags():
            if tag.entry.d_tag == "DT_NEEDED":
                needed.append(tag.needed)
            if tag.entry.d_tag in ("DT_RPATH", "DT_RUNPATH"):
                text = getattr(tag, tag.entry.d_tag[3:].lower())
                places += text.replace("$ORIGIN", str(path.parent)).split(":")
    return needed, [Path(each) for each in (*places, *_USUAL)]
