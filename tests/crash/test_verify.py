"""The judge of the crash test finds what it is there to find."""

from collections.abc import Callable

import pytest

from crash.ledger import ACCOUNTS, BALANCE, IDS, Books, Ledger, Order, Reading
from crash.verify import violations

SUM = ACCOUNTS * BALANCE


def counter() -> Ledger:
    """Three acknowledged, one refused, one that nobody knows of, which happened."""
    ledger = Ledger("test")
    for number in (1, 2, 3):
        ledger.change(number).done(number + 0.5, number)
    ledger.change(4).refused(4.5)
    ledger.change(5)
    ledger.readings += [Reading(2.6, 2.7, 2), Reading(6, 6.5, 4)]
    return ledger


def bank() -> Ledger:
    """Orders 0 and 1 acknowledged, 2 refused, 3 unknown and applied, 4 unknown and
    not, 5 unknown with a fatal fault."""
    ledger = Ledger("test")
    faults = ["", "H", "t", "x", "", "l"]
    changes = [
        ledger.change(at, Order(at, at, at + 1, 10, fault))
        for at, fault in enumerate(faults)
    ]
    changes[0].done(0.5, 1)
    changes[1].done(1.5, 2)
    changes[2].refused(2.5)
    ledger.readings.append(Reading(7, 7.5, 3, (SUM, 3, 0)))
    balances = [990, 1000, 1010, 990, 1010, *[BALANCE] * (ACCOUNTS - 5)]
    applied = bytes([1, 1, 0, 1]) + bytes(IDS - 4)
    ledger.books = Books(tuple(balances), applied)
    return ledger


def with_books(times: dict[int, int], balances: dict[int, int] | None = None) -> Ledger:
    """bank(), with other entries in its books."""
    ledger = bank()
    assert ledger.books is not None
    applied, held = bytearray(ledger.books.applied), list(ledger.books.balances)
    for number, count in times.items():
        applied[number] = count
    for number, balance in (balances or {}).items():
        held[number] = balance
    ledger.books = Books(tuple(held), bytes(applied))
    return ledger


def with_reading(make: Callable[[], Ledger], *what: object) -> Ledger:
    """What (make) makes, with one more reading."""
    ledger = make()
    ledger.readings.append(Reading(*what))  # type: ignore[arg-type]
    return ledger


def test_what_keeps_the_promises_is_right():
    assert violations(counter()) == []
    assert violations(bank()) == []


def test_the_unknown_may_have_happened_or_not():
    assert violations(with_reading(counter, 7, 8, 4)) == []
    missing = counter()
    missing.readings[-1] = Reading(6, 6.5, 3)
    assert violations(missing) == []


def test_answers_on_the_way_at_the_same_time_come_in_any_order():
    ledger = Ledger("test")
    ledger.change(1).done(3, 2)
    ledger.change(2).done(4, 1)
    ledger.readings.append(Reading(1, 5, 0))
    assert violations(ledger) == []


@pytest.mark.parametrize(
    ("broken", "complaint"),
    [
        (with_reading(counter, 7, 8, 2), "3 were acknowledged: lost"),
        (with_reading(counter, 7, 8, 5), "only 4 were asked for: doubled"),
        (with_reading(counter, 7, 8, 3), "went back"),
        (with_reading(counter, 0.1, 0.2, 1), "only 0 were asked for: doubled"),
        (with_reading(bank, 8, 9, 3, (SUM - 10, 3, 0)), "not whole"),
        (with_reading(bank, 8, 9, 3, (SUM, 2, 0)), "not whole"),
        (with_reading(bank, 8, 9, 3, (SUM, 3, 1)), "not whole"),
        (with_books({1: 0}), "id 1 (done) was applied 0 times"),
        (with_books({1: 2}), "id 1 (done) was applied 2 times"),
        (with_books({2: 1}), "id 2 (refused) was applied 1 times"),
        (with_books({3: 2}), "id 3 (unknown) was applied 2 times"),
        (with_books({5: 1}), "id 5 (unknown) was applied 1 times"),
        (with_books({9: 1}), "id 9 (never sent) was applied 1 times"),
        (with_books({}, {0: 1000}), "account 0 holds 1000, its transfers make 990"),
    ],
)
def test_what_breaks_a_promise_is_found(broken, complaint):
    assert any(complaint in each for each in violations(broken))


def test_an_acknowledgement_of_a_lost_change_is_found_by_the_next_one():
    ledger = counter()
    ledger.change(7).done(8, 3)
    found = "\n".join(violations(ledger))
    assert "number 3 was given out twice" in found
    assert "went back" in found


def test_a_failed_function_that_is_acknowledged_is_found():
    ledger = bank()
    ledger.change(8, Order(6, 1, 1, 10, "t")).done(9, 4)
    assert any("though it failed" in each for each in violations(ledger))
