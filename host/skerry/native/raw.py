"""The C library, and how its objects and errors become those of Python."""

from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

from skerry._native import ffi, lib
from skerry.errors import SkerryError

__all__ = [
    "NS",
    "NativeError",
    "Owner",
    "adopt",
    "check",
    "ffi",
    "lib",
    "new_error",
    "strings",
]

NS = 1_000_000_000  # of C's times in a second


class NativeError(SkerryError):
    """A step of the native core failed: (step) says which, (reason) why."""

    def __init__(self, step: str, reason: str, code: int) -> None:
        super().__init__(f"{step}: {reason}")
        self.step = step
        self.reason = reason
        self.code = code


def check(code: int, error: Any) -> None:
    """Raises what (error) says if (code) is negative."""
    if code < 0:
        step, text = ffi.string(error.step), ffi.string(error.text)
        raise NativeError(step.decode(), text.decode("utf-8", "replace"), error.code)


class Owner:
    """Owns the C object (raw); (_close) is its closing function."""

    _close: Any

    def __init__(self, raw: Any) -> None:
        self.raw = ffi.gc(raw, self._close)

    def close(self) -> None:
        """Gives the object up; what others still use lives on."""
        ffi.release(self.raw)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


T = TypeVar("T", bound=Owner)


def adopt(kind: type[T], raw: Any) -> T:
    """An owner of (raw), which came ready made."""
    owner = kind.__new__(kind)
    Owner.__init__(owner, raw)
    return owner


def new_error() -> Any:
    return ffi.new("struct skerry_error *")


def strings(values: Sequence[str]) -> tuple[Any, list[Any]]:
    """A C array of (values), and what keeps them alive."""
    held = [ffi.new("char[]", value.encode()) for value in values]
    return ffi.new("char *[]", held), held
