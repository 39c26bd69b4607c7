"""Holds a ledger against what was promised: what is returned should be empty.

- What was acknowledged happened exactly once, what was refused never, and what nobody
  knows of at most once.
- Numbers are given out once, and an answer to a request that was sent after another
  answer had come never shows less than that one.
- Every look at a bank finds whole transfers only.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from itertools import accumulate, islice

from crash.ledger import (
    ACCOUNTS,
    BALANCE,
    IDS,
    Change,
    Ledger,
    Reading,
    Result,
)

SOME = 3  # complaints of a kind


def violations(ledger: Ledger) -> list[str]:
    """What is wrong in (ledger), in words: some of each kind."""
    found = [_numbers, _bounds, _order, _audits, _fatal, _ids, _balances]
    return [f"{ledger.name}: {each}" for look in found for each in _some(look(ledger))]


def _some(wrong: Iterator[str]) -> Iterator[str]:
    yield from islice(wrong, SOME)
    if more := sum(1 for _ in wrong):
        yield f"... and {more} more like these"


def _done(ledger: Ledger) -> list[Change]:
    return [each for each in ledger.changes if each.result is Result.DONE]


def _numbers(ledger: Ledger) -> Iterator[str]:
    """Two changes never have one number."""
    seen: set[int] = set()
    for change in _done(ledger):
        if change.number in seen:
            yield f"number {change.number} was given out twice: a change is lost"
        seen.add(change.number)


def _bounds(ledger: Ledger) -> Iterator[str]:
    """A number counts all that had been acknowledged before it was asked for, and
    nothing that had not been asked for when it came, or was refused."""
    acknowledged = sorted(each.answered for each in _done(ledger))
    asked = sorted(
        each.sent for each in ledger.changes if each.result is not Result.REFUSED
    )
    for each in [*_done(ledger), *ledger.readings]:
        own = isinstance(each, Change)
        least = bisect_left(acknowledged, each.sent) + own
        most = bisect_right(asked, each.answered)
        if each.number < least:
            yield f"{_what(each)}, though {least} were acknowledged: lost"
        if each.number > most:
            yield f"{_what(each)}, though only {most} were asked for: doubled"


def _order(ledger: Ledger) -> Iterator[str]:
    """What is asked for after an answer came never shows less than that answer."""
    everything: list[Change | Reading] = [*_done(ledger), *ledger.readings]
    everything.sort(key=lambda each: each.answered)
    answered = [each.answered for each in everything]
    highest = [0, *accumulate((each.number for each in everything), max)]
    for each in everything:
        before = highest[bisect_left(answered, each.sent)]
        if each.number < before + isinstance(each, Change):
            yield f"{_what(each)}, after an answer that told of {before}: went back"


def _what(each: Change | Reading) -> str:
    kind = "an acknowledgement" if isinstance(each, Change) else "a reading"
    return f"{kind} at {each.answered:.3f} s tells of {each.number} changes"


def _audits(ledger: Ledger) -> Iterator[str]:
    """Every look at a bank finds it whole."""
    for each in ledger.readings:
        if each.audit and each.audit != (ACCOUNTS * BALANCE, each.number, 0):
            total, ids, torn = each.audit
            yield f"{_what(each)}, sum {total}, {ids} ids, torn {torn}: not whole"


def _fatal(ledger: Ledger) -> Iterator[str]:
    """A function that failed is not acknowledged."""
    for each in _done(ledger):
        if each.order and each.order.is_fatal:
            yield f"{each.order} was acknowledged, though it failed"


def _ids(ledger: Ledger) -> Iterator[str]:
    """Each id was applied as often as its client was told, and no other ever."""
    if (books := ledger.books) is None:
        return
    orders = {each.order.id: each for each in ledger.changes if each.order}
    for number in range(IDS):
        times, change = books.applied[number], orders.get(number)
        allowed = _allowed(change)
        if times not in allowed:
            told = change.result.name.lower() if change else "never sent"
            yield f"id {number} ({told}) was applied {times} times"


def _allowed(change: Change | None) -> tuple[int, ...]:
    if change is None or change.result is Result.REFUSED:
        return (0,)
    if change.result is Result.DONE:
        return (1,)
    return (0,) if change.order and change.order.is_fatal else (0, 1)


def _balances(ledger: Ledger) -> Iterator[str]:
    """Accounts hold what the applied transfers, and nothing else, put there."""
    if (books := ledger.books) is None:
        return
    expected = [BALANCE] * ACCOUNTS
    for each in ledger.changes:
        if each.order:
            moved = each.order.amount * books.applied[each.order.id]
            expected[each.order.source] -= moved
            expected[each.order.target] += moved
    for number, (found, right) in enumerate(zip(books.balances, expected, strict=True)):
        if found != right:
            yield f"account {number} holds {found}, its transfers make {right}"
