"""skerry new, in this process: what it makes, and what it refuses."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.guests import ROOT

from skerry.cli import main
from skerry.config import load
from skerry.errors import ConfigError
from skerry.project import LANGUAGES, SDK, TAKEN, files


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty directory, in which the command runs."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_project_is_complete_and_says_what_to_do_next(here, capsys, language):
    assert main(["new", language, "first"]) == 0
    told = capsys.readouterr().out.splitlines()
    made = [each for each in (here / "first").rglob("*") if each.is_file()]
    assert len(told) == 3
    assert not [each for each in made if "{{" in each.read_text()]
    assert (here / "first" / ".gitignore").is_file()
    with pytest.raises(ConfigError) as missing:
        load(here / "first" / "programs.json")
    (problem,) = missing.value.problems  # and no other
    assert (problem.program, problem.key) == ("first", "filename")
    assert "No such file" in problem.message


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("rsut", "first"), 'no language "rsut"; did you mean rust'),
        (("cobol", "first"), r"known: c, c\+\+, go, nim, rust, zig"),
        (("c", ""), 'a name of 1 to 64 letters, digits, .* found ""'),
        (("c", "../first"), 'found "../first"'),
        (("c", "1st"), "begins with a letter"),
        (("c", "-"), "begins with a letter"),
        (("c", "n" * 65), "found"),
        (("c", "first\n"), "found"),
        (("rust", "skerry"), 'expected another name: "skerry" is taken'),
    ],
)
def test_what_cannot_be_made_is_refused_with_a_hint(here, capsys, arguments, told):
    assert main(["new", *arguments[:1], "--", *arguments[1:]]) == 1
    assert re.search(told, capsys.readouterr().err)
    assert list(here.iterdir()) == []


def test_names_that_the_tools_take_for_themselves_are_refused(here):
    assert {main(["new", "rust", name]) for name in TAKEN} == {1}


@pytest.mark.parametrize(
    ("word", "made"),
    [
        ("C++", "main.cpp"),
        ("cpp", "main.cpp"),
        ("CXX", "main.cpp"),
        ("Golang", "main.go"),
    ],
)
def test_a_language_has_the_names_that_people_use(here, word, made):
    assert main(["new", word, "first"]) == 0
    assert (here / "first" / made).is_file()


def test_what_exists_is_left_alone(here, capsys):
    (here / "first").mkdir()
    (here / "second").write_text("mine")
    assert main(["new", "c", "first"]) == main(["new", "c", "second"]) == 1
    assert "exists already" in capsys.readouterr().err
    assert list((here / "first").iterdir()) == []
    assert (here / "second").read_text() == "mine"


def test_a_directory_that_cannot_be_written_is_a_message(here, capsys, monkeypatch):
    (here / "gone").mkdir()
    monkeypatch.chdir(here / "gone")
    os.rmdir(here / "gone")
    assert main(["new", "c", "first"]) == 1
    assert capsys.readouterr().err == "first: No such file or directory\n"


def test_a_package_has_all_that_projects_are_made_of(tmp_path):
    subprocess.run(
        [sys.executable, "setup.py", "-q", "build_py", "-d", tmp_path / "lib"],
        cwd=ROOT,
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    needed = {path for each in LANGUAGES.values() for _, path in files(each)}
    packed = tmp_path / "lib" / "skerry" / "sdk"
    missing = [
        path for path in needed if not (packed / path.relative_to(SDK)).is_file()
    ]
    assert needed and missing == []
    assert not [path for path in Path(packed).rglob("*") if "target" in path.parts]


def test_the_page_about_languages_has_each_with_its_command():
    page = (ROOT / "docs" / "languages.md").read_text()
    rows = re.findall(r"^\| `(\S+)` \|[^|]*\|[^|]*\| `([^`]*)` \|", page, re.M)
    assert rows == [(name, each.build) for name, each in LANGUAGES.items()]
