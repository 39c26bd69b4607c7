"""The programs of docs/languages.md are built as the page says, and do what it says."""

import subprocess

import pytest
from support.documents import ROOT, blocks
from support.languages import build, need
from support.server import SKERRY, Server

from skerry.project import LANGUAGES

PROGRAMS = {
    each.kind: each.text
    for each in blocks(ROOT / "docs/languages.md")
    if each.kind in LANGUAGES
}
GREETED = [(b"Hello you", str(count)) for count in (1, 2)]
COUNTED = [(b"Hello!\n", str(count)) for count in (1, 2)]
PLAIN = [(b"This is /first\n", None)] * 2
ANSWERS = {"go": GREETED, "nim": PLAIN, "rust": COUNTED, "zig": PLAIN}


def test_every_program_of_the_page_is_tried():
    assert PROGRAMS.keys() == ANSWERS.keys()


@pytest.mark.parametrize("language", ANSWERS)
def test_a_program_of_the_page_answers(language, tmp_path):
    need(language)
    subprocess.run([SKERRY, "new", language, "first"], cwd=tmp_path, check=True)
    project = tmp_path / "first"
    source = "src/main.rs" if language == "rust" else f"main.{language}"
    (project / source).write_text(PROGRAMS[language])
    build(LANGUAGES[language].build, project, tmp_path)
    config = project / "programs.json"
    keys = config.read_text().replace('"filename"', '"storage": true, "filename"')
    config.write_text(keys)
    with Server(config) as server:
        answers = [server.get("/first?name=you") for _ in ANSWERS[language]]
    told = [(each.body, each.headers.get("X-Counter")) for each in answers]
    assert told == ANSWERS[language]
