"""One file from its source to its place; the copy from before where that fails."""

import asyncio
from collections import defaultdict
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import msgspec

from skerry.sources import kept, local
from skerry.sources.failure import Away, Passing, SourceError
from skerry.sources.kept import Kept
from skerry.sources.limits import Limits
from skerry.sources.part import Part, sweep
from skerry.sources.tag import Tag, Tell
from skerry.sources.unpack import unpack
from skerry.sources.web import Web

FETCHED, CACHED = "fetched", "cached"
_READABLE, _PRIVATE = 0o644, 0o600


@dataclass(frozen=True, slots=True)
class Want:
    """What (uri) names is to lie at (path): a program, or any file. (sha256) is what
    that has to have, if it is known."""

    uri: str
    path: Path
    sha256: str | None
    is_program: bool


@dataclass(frozen=True, slots=True)
class Brought:
    """Something is there: where it comes from now, and why it is not from the source,
    or ""."""

    origin: str
    reason: str = ""


class Getter:
    """Brings what is wanted, by way of (web), within (limits); several at a time."""

    def __init__(self, web: Web, limits: Limits) -> None:
        self._web = web
        self._limits = limits
        self._places: defaultdict[Path, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._unpacking = asyncio.Lock()  # as it may take much memory

    async def bring(self, want: Want, tell: Tell) -> Brought:
        """SourceError when there is nothing from the source, nor from before."""
        async with self._places[want.path]:
            copy = await asyncio.to_thread(_copy, want)
            try:
                return Brought(await self._again(want, copy, tell))
            except SourceError as error:
                reason = f"{kept.shown(want.uri)}: {error}"
                if copy.exists:
                    return Brought(error.origin, reason)
                raise SourceError(reason, error.step) from None

    async def _again(self, want: Want, copy: "_Copy", tell: Tell) -> str:
        limits = self._limits
        end = asyncio.get_running_loop().time() + limits.total
        for pause in limits.pauses_with_copy if copy.exists else limits.pauses:
            try:
                return await self._try(want, copy, tell, end)
            except Passing:
                await asyncio.sleep(pause)
        return await self._try(want, copy, tell, end)

    async def _try(self, want: Want, copy: "_Copy", tell: Tell, end: float) -> str:
        try:
            with ExitStack() as held:
                part = held.enter_context(Part(want.path))
                tag = await self._read(want, copy.tag, part, tell, end)
                if tag is None:
                    return CACHED
                async with self._unpacking:
                    return await asyncio.to_thread(
                        _put, want, copy, tag, part, self._limits, held
                    )
        except OSError as error:
            raise SourceError(
                f"{want.path}: {error.strerror}: its directory has to have room, and "
                "the user of skerry has to be allowed to write there"
            ) from None

    async def _read(
        self, want: Want, seen: Tag, part: Part, tell: Tell, end: float
    ) -> Tag | None:
        limits = self._limits
        most = limits.program if want.is_program else limits.file
        if want.uri.startswith("file:"):
            return await asyncio.to_thread(local.copy, want.uri, seen, part, most)
        try:
            async with asyncio.timeout_at(end):
                return await self._web.get(want.uri, seen, part, most, tell)
        except TimeoutError:
            raise Away(
                f"it takes longer than {limits.total:g} s: make it smaller, or put it "
                "nearer"
            ) from None


@dataclass(frozen=True, slots=True)
class _Copy:
    """What is there from before: whether a file (exists) that may be of this source;
    what is (known) of it, if it is as it was fetched and is what is wanted."""

    exists: bool
    known: Kept | None

    @property
    def tag(self) -> Tag:
        known = self.known
        return Tag(known.etag, known.last_modified) if known else Tag()


def _copy(want: Want) -> _Copy:
    sweep(want.path)
    exists = want.path.is_file() and not kept.is_of_another(want.path, want.uri)
    known = kept.read(want.path, want.uri) if exists else None
    if known and not (kept.is_intact(want.path, known) and _fits(want, known.file)):
        known = None
    return _Copy(exists, known)


def _fits(want: Want, digest: str) -> bool:
    return want.sha256 is None or want.sha256.lower() == digest


def _put(
    want: Want, copy: _Copy, tag: Tag, part: Part, limits: Limits, held: ExitStack
) -> str:
    """Brings what is in (part) to its place. What is kept of it comes last, so that it
    is true whenever this is interrupted, or seen not to be."""
    is_news = copy.known is None or copy.known.fetched != part.sha256
    note = copy.known
    if is_news or note is None:
        note = _put_files(want, part, limits, held)
    note = msgspec.structs.replace(note, etag=tag.etag, last_modified=tag.last_modified)
    about = held.enter_context(Part(kept.source_path(want.path)))
    about.write(msgspec.json.format(msgspec.json.encode(note)) + b"\n")
    about.put(_PRIVATE)
    return FETCHED if is_news else CACHED


def _put_files(want: Want, part: Part, limits: Limits, held: ExitStack) -> Kept:
    file, storage = unpack(part, limits, held) if want.is_program else (part, None)
    if not _fits(want, file.sha256):
        raise SourceError(
            f"expected the SHA-256 {want.sha256}, found {file.sha256}: download it "
            "again or correct the key",
            "sha256",
        )
    if storage:
        storage.put(_READABLE)
    file.put(_READABLE)
    return Kept(
        kept.shown(want.uri),
        fetched=part.sha256,
        file=file.sha256,
        storage=storage.sha256 if storage else "",
    )
