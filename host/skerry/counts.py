"""What a program has done and is doing, in numbers."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Counts:
    """Of one program, in one process.

    requests      answered by the program, errors among them
    errors        requests that failed, whatever on_error has answered
    refused       answered 413 or 503 by the host, without the program
    clones_busy   serving now
    clones_free   made and idle
    waiting       requests that have not begun
    """

    requests: int
    errors: int
    refused: int
    clones_busy: int
    clones_free: int
    waiting: int
