"""What a program fetches, and what comes of it: as processes tell each other."""

import errno
import re

import msgspec

MOST = 16 << 20  # bytes of a body, there and back
REDIRECTS = 5  # that are followed
SECONDS = 8.0  # that a fetch may take in all

# What frames a message or rules the connection is the host's, and so is whom it is for.
_OURS = frozenset(
    b"connection content-length expect host keep-alive proxy-authorization "
    b"proxy-connection te trailer transfer-encoding upgrade".split()
)
_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+): ([\t -~\x80-\xff]*)")


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

    @property
    def most(self) -> int:
        """Bytes that its answer's body may have, whoever asks."""
        return max(0, min(self.room, MOST))


class Fetched(msgspec.Struct, frozen=True):
    """The answer, whatever its status, or (result): an errno, negative."""

    result: int = 0
    status: int = 0
    type: bytes = b""
    headers: bytes = b""
    content: bytes = b""


class Failed(Exception):
    """A fetch did not work: (number) of errno says why."""

    def __init__(self, number: int) -> None:
        super().__init__(errno.errorcode[number])
        self.fetched = Fetched(-number)


def failed(number: int) -> Fetched:
    """What a program gets when a fetch fails."""
    return Failed(number).fetched


def fit(wanted: Wanted, size: int) -> None:
    """Failed when the answer has no room for a body of (size) bytes, or nobody has."""
    if size > wanted.most:
        raise Failed(errno.EMSGSIZE if wanted.room < MOST else errno.EFBIG)


def names_and_values(fields: bytes) -> list[tuple[bytes, bytes]]:
    """The pairs that (fields), lines, are. Failed if one is not for programs to set."""
    pairs = []
    for line in fields.split(b"\r\n")[:-1]:
        found = _LINE.fullmatch(line)
        if found is None or found[1].lower() in _OURS:
            raise Failed(errno.EINVAL)
        pairs.append((found[1], found[2]))
    return pairs


def moved(wanted: Wanted, status: int) -> Wanted:
    """What a redirect of this (status) asks for: a POST becomes a GET unless it says
    otherwise (RFC 9110, 15.4)."""
    if status in (307, 308) or wanted.body is None:
        return wanted
    left = without(wanted, frozenset((b"content-type",)))
    return msgspec.structs.replace(left, body=None)


def without(wanted: Wanted, names: frozenset[bytes]) -> Wanted:
    """The same without the fields (names), which are in lower case."""
    pairs = names_and_values(wanted.fields)
    kept = (b"%b: %b\r\n" % each for each in pairs if each[0].lower() not in names)
    return msgspec.structs.replace(wanted, fields=b"".join(kept))
