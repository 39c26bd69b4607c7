"""The sockets that workers listen on; the supervisor binds them and holds them."""

import errno
import socket
from collections.abc import Iterator

from skerry.machine import CannotServe

Sockets = list[socket.socket]


def place(host: str, port: int) -> str:
    """HOST:PORT; an IPv6 address stands in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def bind(host: str, port: int, count: int) -> list[Sockets]:
    """Sockets at (host):(port) for (count) workers: for each, one of every address that
    (host) has. Port 0 is any free one, the same for all. They do not listen yet.

    The kernel shares connections out among those that listen. A worker's successor gets
    the same sockets, and with them the connections that wait there."""
    try:
        first = list(_bind_all(host, port, None))
        port = first[0].getsockname()[1]
        return [first, *(list(_bind_all(host, port, first)) for _ in range(count - 1))]
    except (OSError, UnicodeError) as error:
        raise CannotServe(
            f"cannot listen on {place(host, port)}: {advice(error)}"
        ) from None


def _bind_all(host: str, port: int, first: Sockets | None) -> Iterator[socket.socket]:
    kind, flags = socket.SOCK_STREAM, socket.AI_PASSIVE
    found = socket.getaddrinfo(host, port, type=kind, flags=flags)
    for family, address in dict.fromkeys((each[0], each[4]) for each in found):
        if first is None:
            _check_free(family, (address[0], port, *address[2:]))
        made = _bind(family, (address[0], port, *address[2:]), shared=True)
        port = made.getsockname()[1]
        yield made


def _check_free(family: int, address: tuple[object, ...]) -> None:
    """Sharing the port would let us in beside a server that shares it too: OSError."""
    with _bind(family, address, shared=False):
        pass


def _bind(family: int, address: tuple[object, ...], shared: bool) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind(address)
    except BaseException:
        made.close()
        raise
    return made


_ANOTHER = "choose another with --listen HOST:PORT"
_ADVICE = {
    errno.EADDRINUSE: "Address already in use: end the server that listens there "
    f"(ss -ltnp shows it), or {_ANOTHER}",
    errno.EACCES: "Permission denied: ports below 1024 need the capability "
    "CAP_NET_BIND_SERVICE (AmbientCapabilities= in the unit), or "
    f"{_ANOTHER}",
    errno.EADDRNOTAVAIL: f"this machine does not have that address; {_ANOTHER}",
}


def advice(error: OSError | UnicodeError) -> str:
    # UnicodeError: the host cannot be a name in the DNS.
    if isinstance(error, UnicodeError):
        return f"not a host name; {_ANOTHER}"
    found = _ADVICE.get(error.errno or 0)
    return found or f"{error.strerror or error}; {_ANOTHER}"
