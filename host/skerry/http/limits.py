"""How much, and how long, one client may take."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes are bytes, times are seconds; a time is kept to within one tick."""

    target: int = 8 << 10  # longer: 414
    head: int = 64 << 10  # request line and headers, or trailers; longer: 431
    body: int = 16 << 20  # longer: 413
    upload: int = 1 << 30  # the same, of one that its program takes piece by piece
    connections: int = 16384  # one more: 503; an idle one takes about 4 KiB
    refused: int = 64  # connections with such a 503 at a time; one more: dropped
    idle_time: float = 60.0  # between requests, then closed without a word
    head_time: float = 15.0  # from a head's first byte to its last, then 408
    body_time: float = 30.0  # without one more byte of body, then 408
    write_time: float = 30.0  # without the client taking a byte, then dropped
    linger_time: float = 2.0  # from the last answer to the client's own close
    tick: float = 0.25  # how often deadlines are looked at
