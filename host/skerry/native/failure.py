"""Why a request has failed, for the log."""

from dataclasses import dataclass
from typing import Any

from skerry.message import Request
from skerry.native.raw import ffi


@dataclass(frozen=True, slots=True)
class Failure:
    """What ended (request): (reason), when the program was at (rip), 0 if it had not
    begun; (caller) is where it goes on if that is a function's first instructions.
    Where on_error has failed too, (error_reason) and (error_rip) say how. All of
    it took (seconds)."""

    request: Request
    reason: str
    rip: int
    caller: int
    error_reason: str
    error_rip: int
    seconds: float


def text_of(raw: Any) -> str:
    """C's string, or "" for none."""
    text: bytes = ffi.string(raw) if raw else b""
    return text.decode("utf-8", "replace")
