"""What clients asked of one program, and what they were told, with times.

A ledger is of one life of the program's state: where the state dies with the host, a
new life has a new ledger. Times are seconds of one clock, taken by one thread, so an
answer that came before a request was sent is known to have come before it.
"""

import math
from dataclasses import dataclass, field
from enum import Enum, auto

ACCOUNTS, BALANCE, IDS = 64, 1000, 1 << 16  # as in programs/bank.c
FATAL = "twlnehc"  # faults


class Result(Enum):
    """What a client knows of a change."""

    UNKNOWN = auto()  # the connection died, or a 5xx: it happened once, or not at all
    DONE = auto()  # "ok N": it happened, once
    REFUSED = auto()  # "refused": it did not, and never will


@dataclass(frozen=True, slots=True)
class Order:
    """A transfer between two accounts of a bank."""

    id: int
    source: int
    target: int
    amount: int
    fault: str = ""

    @property
    def is_fatal(self) -> bool:
        """Whether the transfer cannot survive its fault."""
        return self.fault != "" and self.fault in FATAL


@dataclass(slots=True)
class Change:
    """A request to change the state by one; (number) is the N of its "ok N"."""

    sent: float
    order: Order | None = None
    answered: float = math.inf
    result: Result = Result.UNKNOWN
    number: int = 0

    def done(self, at: float, number: int) -> None:
        """ "ok (number)" came."""
        self.answered, self.result, self.number = at, Result.DONE, number

    def refused(self, at: float) -> None:
        """ "refused" came."""
        self.answered, self.result = at, Result.REFUSED


@dataclass(frozen=True, slots=True)
class Reading:
    """ "at N ..." came: the number of changes; for a bank (audit) is sum, ids, torn."""

    sent: float
    answered: float
    number: int
    audit: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Books:
    """All of a bank, read when nothing moved any more."""

    balances: tuple[int, ...]
    applied: bytes  # how many times, by id


@dataclass(slots=True)
class Ledger:
    """Requests to the program (name) in one life of its state."""

    name: str
    changes: list[Change] = field(default_factory=list)
    readings: list[Reading] = field(default_factory=list)
    books: Books | None = None

    def change(self, sent: float, order: Order | None = None) -> Change:
        """A change that is being asked for; unknown until it is answered."""
        made = Change(sent, order)
        self.changes.append(made)
        return made

    def count(self, result: Result) -> int:
        """How many changes ended so."""
        return sum(change.result is result for change in self.changes)
