"""What all workers together have counted, those that have died included."""

from skerry.counts import Counts


class Tally:
    """The counts of programs by name. What a worker did between the last time it told
    and its death is lost."""

    def __init__(self) -> None:
        self._dead: dict[str, Counts] = {}
        self._last: dict[int, dict[str, Counts]] = {}

    def note(self, worker: int, programs: dict[str, Counts]) -> None:
        """(worker) says what it has done since it was started."""
        self._last[worker] = programs

    def bury(self, worker: int) -> None:
        """(worker) has died; its successor counts from zero."""
        for name, counts in self._last.pop(worker, {}).items():
            self._dead[name] = self._dead.get(name, Counts()) + counts.totals

    def of(self, name: str) -> Counts:
        """What program (name) has done, and does."""
        found = self._dead.get(name, Counts())
        for programs in self._last.values():
            found += programs.get(name, Counts())
        return found
