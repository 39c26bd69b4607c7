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
    tasks_run        tasks of storage that have ended, well or not
    tasks_failed     of these, that have failed, and those that were given up
    tasks_pending    that wait until they are due
    """

    requests: int = 0
    errors: int = 0
    refused: int = 0
    clones_busy: int = 0
    clones_free: int = 0
    waiting: int = 0
    storage_calls: int = 0
    storage_undone: int = 0
    tasks_run: int = 0
    tasks_failed: int = 0
    tasks_pending: int = 0

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
            max(self.tasks_run, other.tasks_run),
            max(self.tasks_failed, other.tasks_failed),
            max(self.tasks_pending, other.tasks_pending),
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
            tasks_run=self.tasks_run,
            tasks_failed=self.tasks_failed,
        )

    @property
    def is_idle(self) -> bool:
        """Nothing is in flight."""
        return not self.clones_busy and not self.waiting
