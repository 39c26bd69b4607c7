"""The judge of the crash test, on random histories: right ones, and ones gone wrong."""

import random
from dataclasses import dataclass, field

import pytest

from crash.ledger import ACCOUNTS, BALANCE, IDS, Books, Change, Ledger, Order, Reading
from crash.verify import violations

CLIENTS, STEPS = 5, 40
QUIET = 1e6  # a time when all is over
SEEDS = range(25)


@dataclass
class Bank:
    """The state that a right host keeps."""

    balances: list[int] = field(default_factory=lambda: [BALANCE] * ACCOUNTS)
    applied: bytearray = field(default_factory=lambda: bytearray(IDS))
    count: int = 0

    def apply(self, order: Order) -> int:
        self.balances[order.source] -= order.amount
        self.balances[order.target] += order.amount
        self.applied[order.id] += 1
        self.count += 1
        return self.count

    def audit(self) -> tuple[int, ...]:
        return sum(self.balances), self.count, 0


def history(seed: int, forgets: int = -1, deaths: float = 0.2) -> Ledger:
    """What clients of a right host saw, with refusals, and with (deaths) for so many
    of the changes. A host that is not right (forgets) the n-th one acknowledged."""
    chance, bank, ledger = random.Random(seed), Bank(), Ledger("bank")
    moments = [
        (sent, sent + chance.random(), sent + 1 + chance.random())
        for _ in range(CLIENTS)
        for sent in (2.5 * step + chance.random() for step in range(STEPS))
    ]
    done = 0
    for number, (sent, _, answered) in enumerate(sorted(moments, key=by_effect)):
        if chance.random() < 0.2:
            audit = bank.audit()
            ledger.readings.append(Reading(sent, answered, audit[1], audit))
            continue
        order = Order(number, *chance.sample(range(ACCOUNTS), 2), 1 + number % 9)
        change = ledger.change(sent, order)
        dies = chance.random() < deaths
        if chance.random() < 0.1:
            change.refused(answered)
        elif not dies:
            change.done(answered, bank.apply(order))
            done += 1
        elif chance.random() < 0.5:
            bank.apply(order)
        if done == forgets:
            forget(bank, change)
            done += 1
    audit = bank.audit()
    ledger.readings.append(Reading(QUIET, QUIET + 1, audit[1], audit))
    ledger.books = Books(tuple(bank.balances), bytes(bank.applied))
    return ledger


def by_effect(moment: tuple[float, float, float]) -> float:
    return moment[1]


def forget(bank: Bank, change: Change) -> None:
    """Undoes (change), as a host does that loses an acknowledged call."""
    assert change.order is not None
    bank.count -= 1
    bank.applied[change.order.id] -= 1
    bank.balances[change.order.source] += change.order.amount
    bank.balances[change.order.target] -= change.order.amount


@pytest.mark.parametrize("seed", SEEDS)
def test_a_right_history_draws_no_complaint(seed):
    assert violations(history(seed)) == []


@pytest.mark.parametrize("seed", SEEDS)
def test_one_lost_change_is_found_wherever_it_is(seed):
    found = "\n".join(violations(history(seed, forgets=1 + 3 * seed)))
    assert "(done) was applied 0 times" in found


@pytest.mark.parametrize("seed", SEEDS)
def test_one_lost_change_is_found_from_the_numbers_alone(seed):
    """As of a counter. No deaths: a change that is unknown could stand in for it."""
    ledger = history(seed, forgets=1 + 3 * seed, deaths=0)
    ledger.books = None
    assert violations(ledger) != []
