"""skerry schema says what skerry check says, for one key at a time."""

import json
import re
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from skerry import jsonc
from skerry.cli import main
from skerry.keys import KEYS
from skerry.schema import schema

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def printed(capsys):
    assert main(["schema"]) == 0
    return json.loads(capsys.readouterr().out)


# What the pages show to be refused.
WRONG = ("wrong.json", "old.json")


def plain(value):
    """A tree of jsonc as Python's json would have it."""
    if isinstance(value.data, tuple):
        return {member.name: plain(member.value) for member in value.data}
    if isinstance(value.data, list):
        return [plain(each) for each in value.data]
    return value.data


def configurations():
    """What the examples and the pages show, but for what is wrong on purpose."""
    example = ROOT / "guest/examples/examples.json"
    yield "examples.json", example.read_text()
    for page in sorted((ROOT / "docs").glob("*.md")):
        for block in re.finditer(r"^```json (\S+)\n(.*?)^```", page.read_text(), 24):
            if block[1] not in WRONG:
                yield f"{page.name}: {block[1]}", block[2]


CONFIGURATIONS = dict(configurations())


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_what_is_shown_is_valid(printed, name):
    Draft202012Validator.check_schema(printed)
    Draft202012Validator(printed).validate(
        plain(jsonc.parse(CONFIGURATIONS[name], Path(name)))
    )


def test_every_key_has_its_meaning_and_its_default():
    properties = schema()["$defs"]["entry"]["properties"]
    assert properties.keys() == KEYS.keys()
    for name, key in KEYS.items():
        assert properties[name]["description"] == key.meaning
        if key.default not in (None, ()):
            assert properties[name]["default"] == key.default


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("filename", 1),
        ("filname", "x"),
        ("uri", "ftp://x"),
        ("storage", "yes"),
        ("shared_memory", 3),
        ("max_memory", 8),
        ("max_request_time", "2s"),
        ("durability", "disk"),
        ("main_arguments", "x"),
        ("environment", ["A"]),
        ("environment", {"A=": "x"}),
        ("sha256", "ab"),
        ("arg", {"heder": "X"}),
        ("arg", {}),
        ("warmup", {"num_requests": 0}),
        ("warmup", {"headers": ["A b"]}),
        ("download", {"uri": "http://x"}),
        ("allowed_paths", [{"virtual": "/x"}]),
        ("allowed_hosts", [""]),
        ("key", "short"),
    ],
)
def test_both_find_the_same_mistakes(printed, key, value):
    if key in KEYS:
        # A file that begins with a string has no outer braces.
        (found,) = jsonc.parse(json.dumps([value]), Path("x")).data
        with pytest.raises(ValueError):
            KEYS[key].kind.read(found)
    document = {"hello": {"filename": "hello"} | {key: value}}
    assert not Draft202012Validator(printed).is_valid(document)


def test_names_are_checked(printed):
    assert not Draft202012Validator(printed).is_valid({"a/b": {"filename": "x"}})
    assert not Draft202012Validator(printed).is_valid({})
