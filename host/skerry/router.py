"""Which program a request is for."""

from collections.abc import Mapping
from typing import Generic, TypeVar

T = TypeVar("T")


class Router(Generic[T]):
    """A Host header that equals a program's name wins: the whole site is its own. Else
    the first segment of the path names it. Host names do not know case; where two
    programs differ only in that, the first has it."""

    def __init__(self, programs: Mapping[str, T]) -> None:
        self._by_path = {name.encode(): each for name, each in programs.items()}
        self._by_host: dict[bytes, T] = {}
        for name, each in programs.items():
            self._by_host.setdefault(name.lower().encode(), each)

    def match(self, host: bytes, target: bytes) -> T | None:
        """The program for (target), path and query as sent; None if there is none."""
        found = self._by_host.get(host.partition(b":")[0].lower())
        if found is not None:
            return found
        name = target[1:].partition(b"?")[0].partition(b"/")[0]
        return self._by_path.get(name)
