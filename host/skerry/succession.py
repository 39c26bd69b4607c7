"""A program that is started in the place of itself: what of the one before lives on."""

import hashlib

import msgspec

from skerry.config import Program as Config
from skerry.errors import ProgramError
from skerry.keys import FRESH
from skerry.options import arguments, environment
from skerry.parcel import Contents, Parcel, attach_old, copies, door_of
from skerry.started import Started

_LOST = (
    "its storage would be lost, as {}: register both, or set "
    '"live_update": "fresh" to begin anew'
)


def digest_state(config: Config, elf: bytes, second: bytes) -> str:
    """All that the memory of storage depends on, as a digest: storage is booted from
    (second), and requests from (elf)."""
    depends = (
        _versions(config, elf, second),
        config.storage,
        arguments(config, "storage"),
        environment(config, "storage"),
        config.max_memory,
        config.shared_memory,
    )
    return hashlib.sha256(msgspec.json.encode(depends)).hexdigest()


def _versions(config: Config, elf: bytes, second: bytes) -> str | list[str]:
    """The programs that the memory of storage depends on: that of storage; and where it
    shares memory with requests, theirs too."""
    found = [hashlib.sha256(second).hexdigest()]
    if second != elf and config.shared_memory:
        found.append(hashlib.sha256(elf).hexdigest())
    return found if len(found) > 1 else found[0]


def is_same(started: Started, old: Contents) -> bool:
    """Whether the storage of (old) is that of (started) as well."""
    return old.state == started.state and is_succession(started, old)


def is_succession(started: Started, old: Contents) -> bool:
    """Whether (started) has to take over what (old) knows. With another storage_file,
    it has what that has."""
    return bool(
        old.storage is not None
        and started.config.storage
        and old.config.storage_file == started.config.storage_file
    )


def succeed(started: Started, parcel: Parcel, old: Contents) -> None:
    """What becomes of the storage of (old), which is not that of (started).
    ProgramError when it would be lost."""
    config, storage = started.config, started.storage
    assert storage
    limit = old.config.max_storage_time
    door = door_of(parcel)
    opener = parcel.fds[door] if door else -1
    _, before = attach_old(started, old, copies(parcel, old), opener, limit)
    assert before
    if before.leaves and storage.restores:
        started.origin, started.old = "handed", before
    elif config.live_update == FRESH:
        started.origin = "fresh"
    else:
        who = "this build has no on_live_restore"
        if not before.leaves:
            who = "the build that serves has no on_live_update"
        raise ProgramError(config.name, "live update", _LOST.format(who))
