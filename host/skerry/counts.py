"""What a program has done, and does: in one process, or in all together."""

import msgspec


class Counts(msgspec.Struct, frozen=True):
    """Of one program. Totals first, then how it is now.

    requests      answered by the program, errors among them
    errors        requests that failed, whatever on_error has answered
    refused       answered 413 or 503 by the host, without the program
    clones_busy   serving now
    clones_free   made and idle
    waiting       requests that have not begun

    Processes share storage, and count it together:

    storage_calls    that have begun
    storage_undone   of these, taken back: they failed, or their process died
    """

    requests: int = 0
    errors: int = 0
    refused: int = 0
    clones_busy: int = 0
    clones_free: int = 0
    waiting: int = 0
    storage_calls: int = 0
    storage_undone: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.requests + other.requests,
            self.errors + other.errors,
            self.refused + other.refused,
            self.clones_busy + other.clones_busy,
            self.clones_free + other.clones_free,
            self.waiting + other.waiting,
            max(self.storage_calls, other.storage_calls),
            max(self.storage_undone, other.storage_undone),
        )

    @property
    def totals(self) -> "Counts":
        """What remains of it when the program or the process is gone."""
        return Counts(
            self.requests,
            self.errors,
            self.refused,
            storage_calls=self.storage_calls,
            storage_undone=self.storage_undone,
        )

    @property
    def is_idle(self) -> bool:
        """Nothing is in flight."""
        return not self.clones_busy and not self.waiting
