"""Which program a request is for."""

from collections.abc import Mapping
from typing import Generic, TypeVar

T = TypeVar("T")

_KNOWN_HOSTS = 1024


class Router(Generic[T]):
    """A Host header that equals a program's name wins: the whole site is its own. Else
    the first segment of the path names it. Host names do not know case; where two
    programs differ only in that, the first has it. (nobody) is who answers the rest.
    """

    def __init__(self, programs: Mapping[str, T], nobody: T) -> None:
        self._nobody = nobody
        self._by_path = {name.encode(): each for name, each in programs.items()}
        self._by_name: dict[bytes, T] = {}
        for name, each in programs.items():
            self._by_name.setdefault(name.lower().encode(), each)
        self._by_host: dict[bytes, T | None] = {}  # Host headers seen, as sent

    def match(self, host: bytes, target: bytes) -> T:
        """The program for (target), path and query as sent."""
        try:
            found = self._by_host[host]
        except KeyError:
            found = self._look_up(host)
        if found is not None:
            return found
        name = target[1:]
        if name in self._by_path:
            return self._by_path[name]
        name = name.partition(b"?")[0].partition(b"/")[0]
        return self._by_path.get(name, self._nobody)

    def _look_up(self, host: bytes) -> T | None:
        if len(self._by_host) >= _KNOWN_HOSTS:
            self._by_host.clear()
        found = self._by_name.get(host.partition(b":")[0].lower())
        self._by_host[host] = found
        return found
