"""The documents agree with the code: tables with tables, names with names."""

import re

import pytest
from support.documents import ROOT

from skerry.commands import serve
from skerry.http import Limits
from skerry.keys import KEYS, default
from skerry.sources.limits import Limits as SourceLimits
from skerry.supervise.report import ProgramReport, Report, WorkerReport

DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
KIB, MIB = 1 << 10, 1 << 20


def text_of(name):
    return (ROOT / name).read_text()


def rows(text, columns):
    """The cells of every table row of (text) that has so many columns."""
    found = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("|")
    ]
    return [row for row in found if len(row) == columns]


def test_the_configuration_page_has_the_keys_of_the_code():
    table = [
        [f"`{name}`", key.kind.expected, code(default(key)), key.meaning]
        for name, key in KEYS.items()
    ]
    assert rows(text_of("docs/configuration.md"), 4)[2:] == table


def test_the_moving_page_has_every_key():
    said = {row[0]: row[1] for row in rows(text_of("docs/moving-from-varnish.md"), 3)}
    keys = [f"`{name}`" for name in KEYS]
    assert [name for name in said if name in keys] == keys
    assert {said[key] for key in keys} == {"same", "differs", "added"}


def code(text):
    """What default() shows in brackets, as the page shows it."""
    return text.strip(" []") and f"`{text.strip(' []')}`"


def test_the_configuration_page_has_the_limits_of_the_code():
    limits = Limits()
    table = rows(text_of("docs/configuration.md"), 3)
    assert [row[1] for row in table[2:]] == [
        f"{limits.target // KIB} KiB",
        f"{limits.head // KIB} KiB",
        f"{limits.body // MIB} MiB",
        f"{limits.upload >> 30} GiB",
        f"{limits.connections}",
        f"{limits.idle_time:g} s",
        f"{limits.head_time:g} s",
        f"{limits.body_time:g} s",
        f"{limits.write_time:g} s",
    ]
    assert f"in flight {serve.DRAIN:g} s" in text_of("docs/configuration.md")


def test_the_configuration_page_has_the_limits_of_sources():
    limits = SourceLimits()
    table = {row[0]: row[1] for row in rows(text_of("docs/configuration.md"), 2)}
    assert table["a program, or its archive"] == f"{limits.program // MIB} MB"
    assert table["what an archive unpacks to"] == f"{limits.unpacked // MIB} MB"
    assert table["members of an archive"] == f"{limits.members}"
    assert table["a file of `download`"] == f"{limits.file // MIB} MB"
    assert table["a try"] == (
        f"{limits.connect:g} s to connect, {limits.silent:g} s without a byte"
    )
    assert table["all tries"] == f"{limits.total:g} s"
    tries, pauses = len(limits.pauses) + 1, "{:g}, {:g} and {:g} seconds"
    copy = len(limits.pauses_with_copy) + 1
    said = f"{tries}, after {pauses.format(*limits.pauses)}; {copy} with a copy."
    assert table["tries"].startswith(said)
    assert limits.redirects == 5, "the page says five"


def test_every_host_call_of_the_header_is_there():
    header = text_of("guest/include/kvm_api.h").partition("/* --- Callbacks")[0]
    named = set(re.findall(r"#define KVM_API_(\w+) 0x", header))
    there = set(re.findall(r"\{KVM_API_(\w+),", text_of("native/src/hostcall.c")))
    assert named and named <= there


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_leads_somewhere(document):
    for target in re.findall(r"\]\(([^)#]+)\)", document.read_text()):
        assert (document.parent / target).exists(), target


def anchors(document):
    """What a link may name behind "#" in (document): its headings."""
    text = re.sub(r"^```.*?^```", "", document.read_text(), flags=re.DOTALL | re.M)
    return {
        re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")
        for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    }


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_into_a_page_leads_to_a_heading(document):
    links = re.findall(r"\]\(([^)#:]*)#([^)]+)\)", document.read_text())
    for target, anchor in links:
        page = document.parent / target if target else document
        assert anchor in anchors(page), f"{target}#{anchor}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_make_target_exists(document):
    targets = set(re.findall(r"^([a-z-]+):", text_of("Makefile"), re.MULTILINE))
    for target in re.findall(r"`make ([a-z-]+)", document.read_text()):
        assert target in targets, target


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_drawings_fit_into_90_columns(document):
    fenced = re.findall(r"^```.*?^```", document.read_text(), re.DOTALL | re.MULTILINE)
    for line in "\n".join(fenced).splitlines():
        assert len(line) <= 90, line


def test_the_operating_page_says_how_many_connections_there_may_be():
    assert f"connections ({Limits().connections})" in text_of("docs/operating.md")


def test_the_operating_page_lists_the_keys_of_status():
    names = [key.strip("`") for key, _ in rows(text_of("docs/operating.md"), 2)]
    lists = {"programs.": ProgramReport, "workers.": WorkerReport}
    expected = list(Report.__struct_fields__)
    for prefix, kind in lists.items():
        at = expected.index(prefix[:-1]) + 1
        expected[at:at] = [prefix + each for each in kind.__struct_fields__]
    start = names.index("listening")
    assert names[start : start + len(expected)] == expected
