"""docs/syscalls.md and the table of system calls: one is printed from the other."""

import json
import re

from support.documents import ROOT

from skerry.cli import main
from skerry.native.syscalls import Status, syscalls

PAGE = ROOT / "docs" / "syscalls.md"


def test_the_page_of_system_calls_is_what_the_table_says(capsys):
    main(["syscalls", "--markdown"])
    update = "make it anew: .venv/bin/skerry syscalls --markdown > docs/syscalls.md"
    assert capsys.readouterr().out == PAGE.read_text(), update


def test_every_handler_has_a_status_and_every_served_call_a_handler():
    unsaid = [
        f"{each.name}: a row of native/src/syscall_notes.c is missing"
        for each in syscalls().values()
        if each.answered and each.status is Status.UNKNOWN
    ]
    assert unsaid == []
    for each in syscalls().values():
        if each.status in (Status.FULL, Status.PARTIAL):
            assert each.answered, f"{each.name}: said to be served, without a handler"


def test_what_is_not_served_in_full_has_a_reason():
    for each in syscalls().values():
        if each.status in (Status.PARTIAL, Status.REFUSED):
            assert each.note, each.name
        if each.status is Status.REFUSED and each.answered:
            assert re.match(r"E[A-Z]+: ", each.note), f"{each.name}: which error?"


def test_the_table_as_json_has_every_call_by_number(capsys):
    main(["syscalls", "--json"])
    rows = json.loads(capsys.readouterr().out)
    assert [row["number"] for row in rows] == sorted(row["number"] for row in rows)
    by_name = {row["name"]: row for row in rows}
    assert by_name["read"]["status"] == "full"
    assert by_name["fork"]["status"] == "refused"
    assert len(rows) > 350


def test_the_table_as_text_is_a_line_for_each_call(capsys):
    main(["syscalls"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(syscalls())
    assert lines[1].split()[:3] == ["1", "write", "partial"]
