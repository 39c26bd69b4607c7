"""What a program fetches, and what comes of it: as processes tell each other."""

import errno

import msgspec

MOST = 16 << 20  # bytes of a body, there and back


class Wanted(msgspec.Struct, frozen=True):
    """A request of a program: a POST of (body), or a GET when that is None. (fields) is
    lines "Name: value\\r\\n". The answer's body may have (room) bytes. With (follow)
    redirects are followed; a (dummy) is checked and not sent."""

    url: bytes
    fields: bytes = b""
    body: bytes | None = None
    room: int = MOST
    follow: bool = False
    dummy: bool = False


class Fetched(msgspec.Struct, frozen=True):
    """The answer, whatever its status, or (result): an errno, negative."""

    result: int = 0
    status: int = 0
    type: bytes = b""
    headers: bytes = b""
    content: bytes = b""


def failed(number: int) -> Fetched:
    """It did not work: (number) of errno says why."""
    return Fetched(-number)


def too_large(wanted: Wanted) -> Fetched:
    """The body is larger than the program's memory for it, or than anybody gets."""
    return failed(errno.EMSGSIZE if wanted.room < MOST else errno.EFBIG)
