"""The line of the log that tells of a request that has failed."""

from skerry.native import Failure
from skerry.symbols import Symbols

_MOST = 100  # characters of the path


def describe(failure: Failure, symbols: Symbols) -> str:
    """What happened and where, to which request, and how long that took."""
    at = failure.caller if symbols.is_glue(failure.rip) else failure.rip
    parts = [f"request failed: {symbols.explain(failure.reason, at)}"]
    if failure.error_reason:
        again = symbols.explain(failure.error_reason, failure.error_rip)
        parts.append(f"on_error failed: {again}")
    request = failure.request
    parts += [
        f"{request.method.decode('latin-1')} {_short(request.target)}",
        f"{failure.seconds * 1000:.1f} ms",
    ]
    if request.id:
        parts.append(f"id {request.id}")
    return "; ".join(parts)


def _short(target: bytes) -> str:
    """(target) as it may stand in a log: printable, and not long."""
    text = target[: _MOST + 1].decode("ascii", "backslashreplace")
    shown = "".join(c if " " < c < "\x7f" else f"\\x{ord(c):02x}" for c in text)
    return shown if len(shown) <= _MOST else shown[:_MOST] + "..."
