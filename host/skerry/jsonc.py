"""JSONC: text -> a tree that remembers the line of everything.

JSON (RFC 8259) and four liberties: // and /* */ comments, a comma after the last
member or element, a name that appears twice (the tree keeps both, so that the reader
can complain), and no outer braces when the text begins with a string. NaN, infinities
and halves of surrogate pairs, which Python's json reads, are errors here."""

import json
import math
import re
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, TypeVar

from skerry.errors import ConfigError
from skerry.problems import Problem, bare, quote

# Nobody nests a configuration deeper, and it keeps us away from the recursion limit.
DEEPEST = 64

SPACE = re.compile(r"[ \t\r\n]+|//[^\r\n]*|/\*.*?\*/", re.DOTALL)
WORD = re.compile(r'[^\s,:{}\[\]"/]+')
NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
LITERALS = {"true": True, "false": False, "null": None}
STRINGS = json.JSONDecoder()

Item = TypeVar("Item")
Data = str | int | float | bool | None | list["Value"] | tuple["Member", ...]


@dataclass(frozen=True, slots=True)
class Value:
    """A value and the line that it begins on; an object's (data) is a tuple of
    Members, an array's a list of Values."""

    data: Data
    line: int


@dataclass(frozen=True, slots=True)
class Member:
    """A named value of an object; (line) is where the name stands."""

    name: str
    line: int
    value: Value


def parse(text: str, file: Path) -> Value:
    """The tree of (text), or ConfigError with the one problem of (file) that hides
    all others: nothing else, whatever (text) holds."""
    return Parser(text, file).document()


def show(value: Value) -> str:
    """(value) in a few words, for "expected this, found that"."""
    if isinstance(value.data, tuple):
        return "an object"
    if isinstance(value.data, list):
        return "a list"
    if isinstance(value.data, str):
        return quote(value.data)
    return bare(json.dumps(value.data))


class Parser:
    """Recursive descent over (text); (at) is the offset of what comes next."""

    def __init__(self, text: str, file: Path) -> None:
        self.text = text
        self.file = file
        self.at = 0
        self.depth = 0
        self.newlines = [match.start() for match in re.finditer("\n", text)]

    def document(self) -> Value:
        first = self.peek()
        if not first:
            self.fail("expected an object, found nothing but spaces and comments")
        if first == '"':
            line = self.line(self.at)
            return Value(tuple(self.series("", self.member)), line)
        value = self.value()
        self.need("", "end of file")
        return value

    def value(self) -> Value:
        readers: dict[str, Callable[[], Data]]
        readers = {"{": self.object, "[": self.array, '"': self.string}
        first = self.peek()
        line = self.line(self.at)
        return Value(readers.get(first, self.scalar)(), line)

    def object(self) -> tuple[Member, ...]:
        self.at += 1
        return tuple(self.series("}", self.member))

    def array(self) -> list[Value]:
        self.at += 1
        return self.series("]", self.value)

    def series(self, close: str, item: Callable[[], Item]) -> list[Item]:
        """Comma-separated items up to (close), which is "" for the end of file."""
        self.depth += 1
        if self.depth > DEEPEST:
            self.fail(f"nested more than {DEEPEST} deep")
        items: list[Item] = []
        while not self.take(close):
            items.append(item())
            if not self.take(","):
                self.need(close, f"a comma or {close or 'end of file'}")
                break
        self.depth -= 1
        return items

    def member(self) -> Member:
        if self.peek() != '"':
            self.fail(f"expected a name in double quotes, found {self.found()}")
        line = self.line(self.at)
        name = self.string()
        self.need(":", f"a colon after {quote(name)}")
        return Member(name, line, self.value())

    def string(self) -> str:
        try:
            text, end = STRINGS.raw_decode(self.text, self.at)
            text.encode()
        except json.JSONDecodeError as error:
            self.fail(string_advice(error.msg), error.pos)
        except UnicodeEncodeError:
            self.fail("a string with half of a surrogate pair (\\ud800 to \\udfff)")
        self.at = end
        return str(text)

    def scalar(self) -> int | float | bool | None:
        match = WORD.match(self.text, self.at)
        word = match[0] if match else ""
        number = NUMBER.fullmatch(word)
        if number is None and word not in LITERALS:
            self.fail(f"expected a value, found {self.found()}")
        data = self.number(number) if number else LITERALS[word]
        self.at += len(word)
        return data

    def number(self, match: re.Match[str]) -> int | float:
        try:
            number = float(match[0]) if match[1] or match[2] else int(match[0])
        except ValueError:  # Python refuses integers of thousands of digits
            number = math.inf
        if number == math.inf or number == -math.inf:
            self.fail(f"number too large: {bare(match[0])}")
        return number

    def take(self, token: str) -> bool:
        """Steps over (token) if it comes next; "" is the end of the text."""
        if self.peek() != token:
            return False
        self.at += len(token)
        return True

    def need(self, token: str, expected: str) -> None:
        if not self.take(token):
            self.fail(f"expected {expected}, found {self.found()}")

    def peek(self) -> str:
        """The next character after spaces and comments, or "" at the end."""
        while space := SPACE.match(self.text, self.at):
            self.at = space.end()
        if self.text.startswith("/*", self.at):
            self.fail("a comment that is not closed: expected */")
        return self.text[self.at : self.at + 1]

    def found(self) -> str:
        if self.at >= len(self.text):
            return "end of file"
        if self.text[self.at] == '"':
            return "a string"
        word = WORD.match(self.text, self.at)
        return bare(word[0] if word else self.text[self.at])

    def line(self, at: int) -> int:
        return bisect_left(self.newlines, at) + 1

    def fail(self, message: str, at: int | None = None) -> NoReturn:
        at = self.at if at is None else at
        column = at - self.text.rfind("\n", 0, at)
        problem = Problem(self.file, "", "", self.line(at), message, column)
        # None: the exceptions of Python's json that lead here say nothing more.
        raise ConfigError([problem]) from None


def string_advice(reason: str) -> str:
    """What to do about a string that Python's json could not read for (reason)."""
    if "Unterminated" in reason:
        return "a string that is not closed: expected a double quote"
    if "control" in reason:
        return "a line break or control character in a string: expected a double quote"
    return "unknown escape in a string: write \\\\ for a backslash"
