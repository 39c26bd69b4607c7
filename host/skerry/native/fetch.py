"""What a program fetches while its request waits, between C and Python."""

from typing import Any

from skerry.native.raw import ffi, lib
from skerry.wanted import MOST, Fetched, Wanted


def wanted_of(vm: Any) -> Wanted:
    """What the request of (vm) fetches, which waits."""
    raw = lib.skerry_wanted(vm)
    room, flags = int(raw.content_room) or MOST, int(raw.flags)
    body = ffi.buffer(raw.body, raw.body_len)[:]
    return Wanted(
        ffi.buffer(raw.url, raw.url_len)[:],
        ffi.buffer(raw.fields, raw.fields_len)[:],
        body if flags & lib.SKERRY_FETCH_POST else None,
        min(room, MOST),
        bool(flags & lib.SKERRY_FETCH_FOLLOW),
        bool(flags & lib.SKERRY_FETCH_DUMMY),
    )


def give_fetched(vm: Any, got: Fetched) -> None:
    """Gives it to the program."""
    raw = ffi.new("struct skerry_fetched *")
    raw.result, raw.status = got.result, got.status
    held = [ffi.from_buffer(each) for each in (got.type, got.headers, got.content)]
    raw.type, raw.headers, raw.content = held
    raw.type_len, raw.headers_len = len(got.type), len(got.headers)
    raw.content_len = len(got.content)
    lib.skerry_fetched(vm, raw)
