"""What bench/languages.py compares, and what it says without a tool."""

import json

import pytest

from bench import languages, tools

FIGURES = {"boot_ms": 4.0, "first_us": 30.0, "hello_over_floor": 1.5}


def test_times_are_over_those_of_c():
    found = languages.over_c({"c": {"boot_ms": 2.0, "first_us": 60.0}, "zig": FIGURES})
    assert (found["zig"]["boot_over_c"], found["zig"]["first_over_c"]) == (2.0, 0.5)
    assert found["c"]["boot_over_c"] == 1.0
    assert found["zig"]["hello_over_floor"] == 1.5


def test_without_c_nothing_is_over_it():
    found = languages.over_c({"zig": FIGURES})
    assert found == {"zig": FIGURES}
    lines = []
    languages.table(found, lines.append)
    titles, zig = lines
    assert len(titles) == len(zig)
    assert zig.split() == ["zig", "-", "-", "1.50", "-", "-", "-"]


def test_the_document_is_json_of_some_kilobytes():
    text = languages.document()
    assert 1500 < len(text) < 4000
    assert len(json.loads(text)["people"]) == languages.PEOPLE


@pytest.mark.parametrize(
    ("language", "tool"),
    [("c", "make"), ("rust", "cargo"), ("go", "go"), ("zig", "zig")],
)
def test_a_tool_that_is_not_there_is_named(monkeypatch, language, tool):
    monkeypatch.setattr(tools.shutil, "which", lambda _: None)
    monkeypatch.setattr(tools.importlib.util, "find_spec", lambda _: None)
    assert tools.missing(language) == tool
    monkeypatch.setattr(tools.shutil, "which", lambda word: f"/usr/bin/{word}")
    assert tools.missing(language) is None


def test_every_language_has_both_programs():
    for tool in tools.TOOLS.values():
        assert (tools.GUEST / tool.directory).is_dir()
    sources = {
        "c": "examples/{}.c",
        "rust": "rust/examples/{}.rs",
        "go": "go/examples/{}",
        "zig": "zig/examples/{}.zig",
    }
    for language in tools.TOOLS:
        for name in ("hello", "flatten"):
            assert (tools.GUEST / sources[language].format(name)).exists()
