"""What the calls of a program mean for it in a guest."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from skerry.native.syscalls import Status, syscalls

_ORDER = (Status.UNKNOWN, Status.REFUSED, Status.PARTIAL)


@dataclass(frozen=True, slots=True)
class Lack:
    """A call that a guest cannot make, or not in full: (times) made."""

    name: str
    status: Status
    note: str
    times: int

    def line(self) -> str:
        note = self.note or "not there: ENOSYS"
        return f"{self.status.value:8} {self.name:18} {self.times:6}x  {note}"

    def as_json(self) -> dict[str, object]:
        return {
            "name": self.name,
            "status": self.status.value,
            "note": self.note,
            "times": self.times,
        }


def lacks(made: Counter[int]) -> list[Lack]:
    """Of the calls (made), by number, those that are not served in full; the worst
    first."""
    table = syscalls()
    found = []
    for number, times in made.items():
        call = table.get(number)
        if call is None:
            found.append(Lack(f"syscall_{number}", Status.UNKNOWN, "", times))
        elif call.status is not Status.FULL:
            found.append(Lack(call.name, call.status, call.note, times))
    return sorted(found, key=lambda each: (_ORDER.index(each.status), each.name))


def tell(made: Counter[int]) -> Iterator[str]:
    """Lines for people."""
    found = lacks(made)
    kinds, total = len(made), made.total()
    yield f"{total} calls of {kinds} kinds; skerry serves {kinds - len(found)} in full"
    yield from (each.line() for each in found)
