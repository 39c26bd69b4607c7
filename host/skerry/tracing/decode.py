"""A call as people read it: the names of its numbers, and what its pointers mean."""

import os
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from skerry.tracing import structs
from skerry.tracing.names import NAMES, RESTARTS, error_name
from skerry.tracing.signatures import Signature

CUT = 32  # bytes of a buffer that are shown
_PATH = 4096
_FD_CWD = -100
_MANY = 8  # buffers, or descriptors, of one call that are shown
_TIMED = {0, 9}  # FUTEX_WAIT, FUTEX_WAIT_BITSET: their fourth argument is a time

# Up to (size) bytes of a program's memory at (address); fewer, or none, where there is
# no more.
Read = Callable[[int, int], bytes]


@dataclass(slots=True)
class Call:
    """One that was made. (result) None: it did not come back."""

    name: str
    arguments: list[str]
    result: int | None
    gives_address: bool = False
    who: str = ""  # "" for the thread that began
    number: int = -1  # of a system call; -1: a host call

    @property
    def error(self) -> str | None:
        if self.result is None or self.number < 0:
            return None
        return error_name(self.result)

    def line(self) -> str:
        """NAME(ARGUMENTS) = RESULT, as strace would say it."""
        who = f"[{self.who}] " if self.who else ""
        return f"{who}{self.name}({', '.join(self.arguments)}) = {self._result()}"

    def _result(self) -> str:
        if self.result is None:
            return "?"
        name = self.error
        if name in RESTARTS.values():
            return f"? {name} (a signal)"
        if name:
            return f"-1 {name} ({os.strerror(-self.result)})"
        if self.gives_address:
            return hex(self.result & (1 << 64) - 1)
        return str(self.result)

    def as_json(self) -> dict[str, object]:
        return {
            "name": self.name,
            "arguments": self.arguments,
            "result": self.result,
            "error": self.error,
            "who": self.who,
        }


@dataclass(slots=True)
class Decoder:
    """One call: begun when it is made, ended when it has been answered."""

    signature: Signature
    values: Sequence[int]
    cut: int = CUT
    _texts: list[str | None] = field(default_factory=list)

    def begin(self, read: Read) -> None:
        self._texts = [
            self._before(word, value, read)
            for word, value in zip(self.signature.words, self.values, strict=False)
        ]

    def end(self, read: Read, result: int | None) -> list[str]:
        """The arguments as text."""
        worked = result is not None and not -4096 < result < 0
        return [
            self._after(word, value, read, result if worked else None)
            if text is None
            else text
            for text, word, value in zip(
                self._texts, self.signature.words, self.values, strict=False
            )
            if text != ""
        ]

    def _before(self, word: str, value: int, read: Read) -> str | None:
        """None: it is known later; "": it is not there."""
        kind, _, which = word.partition(":")
        if kind in structs.AFTER or kind in ("out", "polls"):
            return None
        if kind in NAMES:
            return NAMES[kind].text(_int(value))
        if kind in structs.BEFORE:
            return self._struct(structs.BEFORE, kind, value, read)
        if kind in _PLAIN:
            return _PLAIN[kind](value)
        other = self.values[int(which)] if which else 0
        if kind == "path":
            return self._path(value, read)
        if kind == "in":
            return self._buffer(value, other, read)
        if kind == "iov":
            return self._vector(value, other, read)
        return _depending(kind, value, other, read)

    def _after(self, word: str, value: int, read: Read, result: int | None) -> str:
        kind, _, which = word.partition(":")
        if result is None:
            return _address(value)
        if kind == "out":
            return self._buffer(value, result, read)
        if kind == "polls":
            return _polls(value, self.values[int(which)], read)
        return self._struct(structs.AFTER, kind, value, read)

    def _struct(
        self,
        table: structs.Table,
        kind: str,
        address: int,
        read: Read,
    ) -> str:
        size, show = table[kind]
        data = read(address, size) if address else b""
        return show(data) if len(data) == size else _address(address)

    def _path(self, address: int, read: Read) -> str:
        data = read(address, _PATH) if address else b""
        if not data:
            return _address(address)
        return structs.quote(data.split(b"\0")[0], _PATH)

    def _buffer(self, address: int, size: int, read: Read) -> str:
        if not address or not 0 <= size < 1 << 63:
            return _address(address)
        data = read(address, min(size, self.cut))
        if len(data) < min(size, self.cut):
            return _address(address)
        return structs.quote(data, self.cut) + ("..." if size > len(data) else "")

    def _vector(self, address: int, count: int, read: Read) -> str:
        if not 0 < count <= 1024:
            return _address(address)
        raw = read(address, 16 * min(count, _MANY))
        parts = [
            f"{{{self._buffer(base, size, read)}, {size}}}"
            for base, size in struct.iter_unpack("<QQ", raw[: len(raw) // 16 * 16])
        ]
        more = ", ..." if count > len(parts) else ""
        return f"[{', '.join(parts)}{more}]" if parts else _address(address)


def _int(value: int) -> int:
    """Numbers with names are ints."""
    return (value & 0xFFFFFFFF ^ 1 << 31) - (1 << 31)


def _address(value: int) -> str:
    return hex(value) if value else "NULL"


def _long(value: int) -> str:
    return str(struct.unpack("<q", struct.pack("<Q", value))[0])


def _directory(value: int) -> str:
    return "AT_FDCWD" if _int(value) == _FD_CWD else str(_int(value))


_CALLBACKS = [
    "get",
    "post",
    "request",
    "stream_post",
    "error",
    "live_update",
    "live_restore",
]


def _callback(value: int) -> str:
    is_known = 1 <= value <= len(_CALLBACKS)
    return f"on_{_CALLBACKS[value - 1]}" if is_known else str(value)


_PLAIN: dict[str, Callable[[int], str]] = {
    "fd": lambda value: str(_int(value)),
    "int": lambda value: str(_int(value)),
    "at": _directory,
    "size": str,
    "off": _long,
    "addr": _address,
    "oldtime": _address,
    "hex": hex,
    "mode": lambda value: f"0{value & 0xFFFFFFFF:o}",
    "callback": _callback,
    "side": lambda value: {0: "request", 1: "response"}.get(value, str(value)),
}


def _depending(kind: str, value: int, other: int, read: Read) -> str:
    """What argument (other) says how to take."""
    if kind == "creating":
        is_wanted = other & (os.O_CREAT | os.O_TMPFILE & ~os.O_DIRECTORY)
        return _PLAIN["mode"](value) if is_wanted else ""
    if kind == "fcntlarg":
        command = NAMES["fcntl"].text(_int(other))
        if command == "F_SETFL":
            return NAMES["open"].text(_int(value))
        return "" if command in ("F_GETFD", "F_GETFL") else _long(value)
    if kind == "futextime" and other & 0x7F in _TIMED and value:
        data = read(value, 16)
        return structs.pair(data) if len(data) == 16 else _address(value)
    return _address(value)


def _polls(address: int, count: int, read: Read) -> str:
    """struct pollfd, with what has come."""
    raw = read(address, 8 * min(count, _MANY)) if address else b""
    if not raw:
        return _address(address)
    names = NAMES["poll"]
    parts = [
        f"{{{fd}, {names.text(events)}, {names.text(found)}}}"
        for fd, events, found in struct.iter_unpack("<ihh", raw[: len(raw) // 8 * 8])
    ]
    return f"[{', '.join(parts)}{', ...' if count > len(parts) else ''}]"
