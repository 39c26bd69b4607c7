"""Entries: the named objects of a configuration, each key checked by itself."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from skerry.jsonc import Member, Value, show
from skerry.keys import KEYS, PROGRAM_ONLY
from skerry.problems import Problems, nearest, quote

# Names become URL path segments, Host headers, environment values and log prefixes.
NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,63}")
NAMES = "a name of 1 to 64 letters, digits, '_', '-' and '.', not beginning with '.'"


@dataclass(frozen=True, slots=True)
class Field:
    """What an entry says about one key; (value) is None when it was wrong."""

    value: object
    line: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One named object of the file: a program or a group."""

    name: str
    line: int
    fields: dict[str, Field] = field(default_factory=dict)

    @property
    def is_group(self) -> bool:
        return PROGRAM_ONLY.isdisjoint(self.fields)


def read_entries(tree: Value, problems: Problems) -> list[Entry]:
    """The entries of (tree), in its order; what is wrong goes to (problems)."""
    if not isinstance(tree.data, tuple):
        message = f"expected an object of programs, found {show(tree)}"
        problems.add(tree.line, message)
        return []
    for member, first in repeated(tree.data):
        problems.add(member.line, f"duplicate name; first on line {first}", member.name)
    return [read_entry(member, problems) for member in tree.data]


def read_entry(member: Member, problems: Problems) -> Entry:
    name, line = member.name, member.line
    if not NAME.fullmatch(name):
        problems.add(line, f"expected {NAMES}, found {quote(name)}", name)
    if isinstance(member.value.data, tuple):
        return Entry(name, line, read_fields(name, member.value.data, problems))
    message = f"expected an object of keys, found {show(member.value)}"
    problems.add(line, message, name)
    return Entry(name, line)


def read_fields(
    name: str, members: tuple[Member, ...], problems: Problems
) -> dict[str, Field]:
    for member, first in repeated(members):
        message = f"duplicate key; first on line {first}"
        problems.add(member.line, message, name, member.name)
    return {
        member.name: Field(read_value(name, member, problems), member.line)
        for member in members
    }


def read_value(name: str, member: Member, problems: Problems) -> object:
    key = KEYS.get(member.name)
    try:
        if key is None:
            raise ValueError(f"unknown key; {nearest(member.name, KEYS)}")
        return key.kind.read(member.value)
    except ValueError as error:
        problems.add(member.line, str(error), name, member.name)
        return None


def repeated(members: tuple[Member, ...]) -> Iterator[tuple[Member, int]]:
    """The members whose name came before, with the line where it came first."""
    first: dict[str, int] = {}
    for member in members:
        if member.name in first:
            yield member, first[member.name]
        first.setdefault(member.name, member.line)
