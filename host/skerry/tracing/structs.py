"""What lies in a program's memory for a call, as text."""

import stat
import struct
from collections.abc import Callable

from skerry.tracing.names import NAMES

_ESCAPES = {7: "\\a", 9: "\\t", 10: "\\n", 13: "\\r", 34: '\\"', 92: "\\\\"}


def quote(data: bytes, cut: int) -> str:
    """(data) as a string of C, cut behind (cut) bytes."""
    shown = "".join(_character(each) for each in data[:cut])
    return f'"{shown}"' + ("..." if len(data) > cut else "")


def _character(byte: int) -> str:
    if byte in _ESCAPES:
        return _ESCAPES[byte]
    return chr(byte) if 32 <= byte < 127 else f"\\x{byte:02x}"


def pair(data: bytes) -> str:
    """struct timespec, struct timeval, struct rlimit."""
    first, second = struct.unpack("<QQ", data)
    return f"{{{_amount(first)}, {_amount(second)}}}"


def _amount(value: int) -> str:
    return "-1" if value == (1 << 64) - 1 else str(value)


def status(data: bytes) -> str:
    """struct stat: what a program looks at."""
    links, mode, uid, gid = struct.unpack_from("<QIII", data, 16)
    (size,) = struct.unpack_from("<q", data, 48)
    return _file(mode, links, uid, gid, size)


def extended_status(data: bytes) -> str:
    """struct statx."""
    links, uid, gid, mode = struct.unpack_from("<IIIH", data, 16)
    (size,) = struct.unpack_from("<Q", data, 40)
    return _file(mode, links, uid, gid, size)


def _file(mode: int, links: int, uid: int, gid: int, size: int) -> str:
    kind = stat.filemode(mode)
    return f"{{{kind}, links={links}, uid={uid}, gid={gid}, size={size}}}"


def system(data: bytes) -> str:
    """struct utsname. By now it may be anything: threads share their memory."""
    fields = [data[at : at + 65].split(b"\0")[0] for at in range(0, 325, 65)]
    return "{" + ", ".join(quote(each, 65)[1:-1] for each in fields) + "}"


def machine(data: bytes) -> str:
    """struct sysinfo."""
    total, free = struct.unpack_from("<QQ", data, 32)
    return f"{{memory={total}, free={free}}}"


def action(data: bytes) -> str:
    """struct sigaction, as the kernel has it."""
    handler, flags, _, mask = struct.unpack("<QQQQ", data)
    name = {0: "SIG_DFL", 1: "SIG_IGN"}.get(handler, hex(handler))
    return f"{{{name}, {NAMES['sa'].text(flags)}, {signals(struct.pack('<Q', mask))}}}"


def signals(data: bytes) -> str:
    """A set of signals."""
    (bits,) = struct.unpack("<Q", data)
    if bits == (1 << 64) - 1:
        return "[all]"
    listed = [NAMES["signal"].text(n + 1) for n in range(64) if bits >> n & 1]
    return "[" + " ".join(listed) + "]"


def alternate(data: bytes) -> str:
    """stack_t."""
    address, flags, _, size = struct.unpack("<QIIQ", data)
    named = {0: "0", 1: "SS_ONSTACK", 2: "SS_DISABLE"}.get(flags, hex(flags))
    return f"{{{address:#x}, {named}, {size}}}"


def two_files(data: bytes) -> str:
    """The descriptors of a pipe."""
    return str(list(struct.unpack("<ii", data)))


def number(data: bytes) -> str:
    return str(struct.unpack("<i", data)[0])


def event(data: bytes) -> str:
    """struct epoll_event."""
    bits, value = struct.unpack("<IQ", data)
    return f"{{{NAMES['epoll'].text(bits)}, {value:#x}}}"


# word of a signature: (bytes, how they are shown)
Table = dict[str, tuple[int, Callable[[bytes], str]]]
BEFORE: Table = {
    "timespec": (16, pair),
    "timeval": (16, pair),
    "inlimit": (16, pair),
    "sigaction": (32, action),
    "sigset": (8, signals),
    "stack": (24, alternate),
    "epollevent": (12, event),
}
AFTER: Table = {
    "stat": (144, status),
    "statx": (256, extended_status),
    "utsname": (390, system),
    "sysinfo": (112, machine),
    "outspec": (16, pair),
    "outtime": (16, pair),
    "rlimit": (16, pair),
    "oldaction": (32, action),
    "oldset": (8, signals),
    "oldstack": (24, alternate),
    "pipefds": (8, two_files),
    "wstatus": (4, number),
}
