"""Kinds of values: what a configuration key may hold, in words and as a check.

A kind's (expected) completes the sentence "expected ..."; its read() takes a value
of the tree and returns it as Python sees it, or raises ValueError with a message; its
schema() says the same to editors and other programs (JSON Schema 2020-12)."""

import re
from dataclasses import dataclass
from typing import Any, Protocol

from skerry.jsonc import Member, Value, show
from skerry.problems import quote

Schema = dict[str, Any]


class Kind(Protocol):
    """Anything with the three members that every kind has."""

    @property
    def expected(self) -> str: ...

    def read(self, value: Value) -> object: ...

    def schema(self) -> Schema: ...


def wrong(expected: str, value: Value, where: str = "") -> ValueError:
    return ValueError(f"expected {expected}, found {show(value)}{where}")


@dataclass(frozen=True, slots=True)
class Integer:
    """Whole numbers from (low) to (high), multiples of (step), counted in (unit)."""

    low: int
    high: int
    unit: str = ""
    step: int = 1

    @property
    def noun(self) -> str:
        return "an integer" if self.step == 1 else f"a multiple of {self.step}"

    @property
    def suffix(self) -> str:
        return f" ({self.unit})" if self.unit else ""

    @property
    def expected(self) -> str:
        return f"{self.noun} from {self.low} to {self.high}{self.suffix}"

    def read(self, value: Value) -> int:
        data = value.data
        # type(), because a bool is an int to isinstance.
        if type(data) is not int or not self.low <= data <= self.high:
            raise wrong(self.expected, value)
        if data % self.step:
            raise wrong(f"{self.noun}{self.suffix}", value)
        return data

    def schema(self) -> Schema:
        limits = {"type": "integer", "minimum": self.low, "maximum": self.high}
        return limits if self.step == 1 else limits | {"multipleOf": self.step}


@dataclass(frozen=True, slots=True)
class Number:
    """Numbers, whole or not, from (low) to (high), counted in (unit)."""

    low: float
    high: float
    unit: str

    @property
    def expected(self) -> str:
        return f"a number from {self.low:g} to {self.high:g} ({self.unit})"

    def read(self, value: Value) -> float:
        data = value.data
        if isinstance(data, bool) or not isinstance(data, int | float):
            raise wrong(self.expected, value)
        if not self.low <= data <= self.high:
            raise wrong(self.expected, value)
        return float(data)

    def schema(self) -> Schema:
        return {"type": "number", "minimum": self.low, "maximum": self.high}


@dataclass(frozen=True, slots=True)
class Flag:
    """true or false."""

    expected: str = "true or false"

    def read(self, value: Value) -> bool:
        if not isinstance(value.data, bool):
            raise wrong(self.expected, value)
        return value.data

    def schema(self) -> Schema:
        return {"type": "boolean"}


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the strings (words)."""

    words: tuple[str, ...]

    @property
    def expected(self) -> str:
        return " or ".join(map(quote, self.words))

    def read(self, value: Value) -> str:
        if not isinstance(value.data, str) or value.data not in self.words:
            raise wrong(self.expected, value)
        return value.data

    def schema(self) -> Schema:
        return {"enum": list(self.words)}


@dataclass(frozen=True, slots=True)
class Text:
    """A string; no NUL, because it ends up in C."""

    expected: str = "a string"

    def read(self, value: Value, where: str = "") -> str:
        if not isinstance(value.data, str):
            raise wrong(self.expected, value, where)
        if "\0" in value.data:
            raise wrong(f"{self.expected} without NUL", value, where)
        return value.data

    def schema(self) -> Schema:
        return {"type": "string"}


@dataclass(frozen=True, slots=True)
class Pattern:
    """A string that (pattern), a regular expression, matches from end to end."""

    pattern: str
    expected: str

    def read(self, value: Value) -> str:
        text = Text(self.expected).read(value)
        if not re.fullmatch(self.pattern, text):
            raise wrong(self.expected, value)
        return text

    def schema(self) -> Schema:
        return {"type": "string", "pattern": f"^(?:{self.pattern})$"}


@dataclass(frozen=True, slots=True)
class Texts:
    """A list of strings."""

    expected: str = "a list of strings"

    def read(self, value: Value) -> tuple[str, ...]:
        if not isinstance(value.data, list):
            raise wrong(self.expected, value)
        text = Text(self.expected)
        items = enumerate(value.data, 1)
        return tuple(text.read(item, f" as item {n}") for n, item in items)

    def schema(self) -> Schema:
        return {"type": "array", "items": {"type": "string"}}


@dataclass(frozen=True, slots=True)
class Pairs:
    """Environment variables: "KEY=VALUE" strings, or an object of strings."""

    expected: str = 'a list of "KEY=VALUE" strings'

    def read(self, value: Value) -> tuple[str, ...]:
        if isinstance(value.data, tuple):
            return self.read_object(value.data)
        pairs = Texts(self.expected).read(value)
        for n, pair in enumerate(pairs, 1):
            if pair.find("=") < 1:
                raise ValueError(
                    f"expected {self.expected}, found {quote(pair)} as item {n}"
                )
        return pairs

    def read_object(self, members: tuple[Member, ...]) -> tuple[str, ...]:
        pairs: dict[str, str] = {}
        for member in members:
            name = member.name
            if name in pairs:
                raise ValueError(f"duplicate name {quote(name)}")
            if not name or "=" in name or "\0" in name:
                raise ValueError(f"expected a variable's name, found {quote(name)}")
            pairs[name] = Text().read(member.value, f" for {quote(name)}")
        return tuple(f"{name}={text}" for name, text in pairs.items())

    def schema(self) -> Schema:
        pair = {"type": "string", "pattern": "^[^=]+="}
        names = {"pattern": "^[^=]+$"}
        return {
            "anyOf": [
                {"type": "array", "items": pair},
                {
                    "type": "object",
                    "propertyNames": names,
                    "additionalProperties": {"type": "string"},
                },
            ]
        }
