"""The configuration as a JSON Schema (2020-12), made from the table of its keys.

It says what one key may hold. What keys need of each other, and of the files that they
name, only load() knows."""

from skerry.entries import NAME
from skerry.keys import KEYS, Key
from skerry.values import Schema


def schema() -> Schema:
    """That of a whole file, for editors that complete and check while one types."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "skerry configuration",
        "description": "named programs, and groups: entries that have none of group, "
        "uri and filename",
        "type": "object",
        "propertyNames": {"pattern": f"^(?:{NAME.pattern})$"},
        "additionalProperties": {"$ref": "#/$defs/entry"},
        "minProperties": 1,
        "$defs": {
            "entry": {
                "type": "object",
                "properties": {name: _property(key) for name, key in KEYS.items()},
                "additionalProperties": False,
            }
        },
    }


def _property(key: Key) -> Schema:
    told = key.kind.schema() | {"description": key.meaning}
    return told if key.default in (None, ()) else told | {"default": key.default}
