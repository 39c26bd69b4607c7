"""Kinds of values that are made of others: objects, lists, and one or the other."""

from dataclasses import dataclass, field

from skerry.jsonc import Member, Value
from skerry.problems import nearest, quote
from skerry.values import Kind, Schema, wrong


@dataclass(frozen=True, slots=True)
class Part:
    """One member of a Record: what it may hold, and what it is when absent; a member
    that is (needed) has no default."""

    kind: Kind
    default: object = None
    needed: bool = False


@dataclass(frozen=True, slots=True)
class Record:
    """An object with the members (parts), read as a dict of all of them."""

    expected: str
    parts: dict[str, Part] = field(default_factory=dict)

    def read(self, value: Value) -> dict[str, object]:
        if not isinstance(value.data, tuple):
            raise wrong(self.expected, value)
        found: dict[str, object] = {}
        for member in value.data:
            if member.name in found:
                raise ValueError(f"duplicate name {quote(member.name)}")
            found[member.name] = self.read_part(member)
        for name, part in self.parts.items():
            if part.needed and name not in found:
                raise ValueError(f"{quote(name)} is missing in {self.expected}")
            found.setdefault(name, part.default)
        return found

    def read_part(self, member: Member) -> object:
        if member.name not in self.parts:
            hint = nearest(member.name, self.parts)
            raise ValueError(f"unknown name {quote(member.name)}; {hint}")
        try:
            return self.parts[member.name].kind.read(member.value)
        except ValueError as error:
            raise ValueError(f"{quote(member.name)}: {error}") from None

    def schema(self) -> Schema:
        return {
            "type": "object",
            "properties": {
                name: part.kind.schema() for name, part in self.parts.items()
            },
            "required": [name for name, part in self.parts.items() if part.needed],
            "additionalProperties": False,
        }


@dataclass(frozen=True, slots=True)
class Either:
    """A string, which (text) reads, or an object, which (record) reads."""

    expected: str
    text: Kind
    record: Record

    def read(self, value: Value) -> object:
        if isinstance(value.data, str):
            return self.text.read(value)
        if isinstance(value.data, tuple):
            return self.record.read(value)
        raise wrong(self.expected, value)

    def schema(self) -> Schema:
        return {"anyOf": [self.text.schema(), self.record.schema()]}


@dataclass(frozen=True, slots=True)
class Several:
    """A list of at most (most) items that (item) reads, or one of them alone."""

    expected: str
    item: Kind
    most: int

    def read(self, value: Value) -> tuple[object, ...]:
        if not isinstance(value.data, list):
            return (self.item.read(value),)
        if len(value.data) > self.most:
            raise ValueError(
                f"expected at most {self.most} items, found {len(value.data)}"
            )
        return tuple(self.read_item(n, each) for n, each in enumerate(value.data, 1))

    def read_item(self, number: int, item: Value) -> object:
        try:
            return self.item.read(item)
        except ValueError as error:
            raise ValueError(f"item {number}: {error}") from None

    def schema(self) -> Schema:
        item = self.item.schema()
        return {
            "anyOf": [item, {"type": "array", "items": item, "maxItems": self.most}]
        }
