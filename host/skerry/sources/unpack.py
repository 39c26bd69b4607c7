"""What has been fetched -> the program, and the storage program if there is one."""

from contextlib import ExitStack

from skerry.problems import quote
from skerry.sources.archive import ELF, Reader, is_archive, members, sound
from skerry.sources.failure import SourceError
from skerry.sources.kept import storage_path
from skerry.sources.limits import Limits
from skerry.sources.part import Part

_PIECE = 1 << 18
_EXPECTED = 'expected one program, and optionally one whose name ends in "_storage"'


def unpack(part: Part, limits: Limits, held: ExitStack) -> tuple[Part, Part | None]:
    """The programs in (part), which is one itself, or an archive; (held) closes what is
    made here. SourceError when it is neither."""
    part.file.seek(0)
    head = part.file.read(8)
    if head.startswith(ELF):
        return part, None
    if not is_archive(head):
        raise SourceError(
            "expected a program (ELF), or a .tar.xz, .tar.gz or .zip of one; found "
            f"what begins with {quote(head.decode('latin-1'))}"
        )
    with sound():
        return _programs(part, limits, held)


def _programs(part: Part, limits: Limits, held: ExitStack) -> tuple[Part, Part | None]:
    """Files that are no programs, a README say, are passed over."""
    found: dict[bool, tuple[str, Part]] = {}
    for name, content in members(part.file, limits):
        if content.read(len(ELF)) != ELF:
            continue
        is_storage = name.endswith("_storage")
        if is_storage in found:
            both = f"{quote(found[is_storage][0])} and {quote(name)}"
            raise SourceError(f"the archive has {both}: {_EXPECTED}")
        path = storage_path(part.path) if is_storage else part.path
        made = held.enter_context(Part(path))
        _copy(content, made)
        found[is_storage] = name, made
    if False not in found:
        raise SourceError(f"the archive has no program (ELF): {_EXPECTED}")
    return found[False][1], found[True][1] if True in found else None


def _copy(content: Reader, made: Part) -> None:
    """The rest of (content), whose first bytes have been read."""
    made.write(ELF)
    while piece := content.read(_PIECE):
        made.write(piece)
