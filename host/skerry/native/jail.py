"""What a process gives up before it runs guests."""

from collections.abc import Sequence
from dataclasses import dataclass

from skerry.native.raw import check, ffi, lib, new_error, strings


@dataclass(frozen=True, slots=True)
class JailFacts:
    """What holds in the jail: (landlock) is the kernel's version of it, 0 for none;
    (outside) counts threads from before that it does not hold."""

    landlock: int
    outside: int


def prepare_jail() -> None:
    """From here on no io_uring can be made, as its work passes the jail's filter
    unseen: for before the event loop is."""
    error = new_error()
    check(lib.skerry_jail_prepare(error), error)


def enter_jail(
    uid: int = 0,
    gid: int = 0,
    max_files: int = 0,
    readable: Sequence[str] = (),
    kill: bool = False,
) -> JailFacts:
    """Gives up all that serving does not need, for good. See skerry.h. After a
    NativeError the process is half in and half out: end it."""
    paths, held = strings(readable)
    raw = ffi.new("struct skerry_jail *")
    raw.uid, raw.gid, raw.max_files, raw.kill = uid, gid, max_files, kill
    raw.readable, raw.readable_count = paths, len(held)
    facts, error = ffi.new("struct skerry_jail_facts *"), new_error()
    check(lib.skerry_jail_enter(raw, facts, error), error)
    return JailFacts(landlock=facts.landlock, outside=facts.outside)
