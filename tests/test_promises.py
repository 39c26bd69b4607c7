"""Every promise in PROMISES.md names what holds it, and that exists."""

import re

import pytest
from support.documents import ROOT

PROMISE = re.compile(r"^\| (?!promise|---)(.+?) \| (.+?) \|$", re.MULTILINE)
HOLDER = re.compile(r"`([\w/]+\.(?:py|c))::(\w+)`")
ROWS = PROMISE.findall((ROOT / "PROMISES.md").read_text())


def defines(path, name):
    """Whether file (path) has a test, or a figure, of that name."""
    is_c = path.suffix == ".c"
    definition = rf"TEST\({name}\)" if is_c else rf"^ *(async )?def {name}\("
    return re.search(definition, path.read_text(), re.MULTILINE) is not None


def test_there_are_promises():
    assert len(ROWS) > 50


@pytest.mark.parametrize(("promise", "holders"), ROWS, ids=[row[0] for row in ROWS])
def test_every_promise_is_held_by_what_exists(promise, holders):
    named = HOLDER.findall(holders)
    assert named and len(named) == holders.count("::"), holders
    for path, name in named:
        assert defines(ROOT / path, name), f"{path}::{name}"
