"""Fetching as the supervisor sees it: what it starts, shows, and believes."""

import asyncio
import io
from dataclasses import replace

from support.sources import ELF, Site

from skerry.config import defaults
from skerry.log import Log
from skerry.supervise import fetch
from skerry.supervise.fetch import Fetcher


class Terminal(io.StringIO):
    def isatty(self):
        return True


def config(tmp_path, uri):
    return replace(defaults("hello", tmp_path / "hello"), uri=uri, key="k" * 16)


def run(out, *programs):
    fetcher = Fetcher(Log(out))
    return asyncio.run(fetcher.fetch(programs)), fetcher.origins


def test_somebody_at_a_terminal_sees_how_far_a_download_is(tmp_path):
    out = Terminal()
    with Site() as site:
        uri = site.put("/hello", ELF + bytes(1 << 20))
        assert run(out, config(tmp_path, uri)) == ({}, {"hello": "fetched"})
    lines = out.getvalue().split("\r")
    assert lines[0].startswith("fetching hello: [")
    assert lines[0].rstrip().endswith(" of 1.0 MB")
    assert lines[-2:] == [" " * 79, ""], "the bar is gone when all is there"


def test_nobody_else_sees_it(tmp_path):
    out = io.StringIO()
    with Site() as site:
        run(out, config(tmp_path, site.put("/hello", ELF)))
    assert out.getvalue() == ""


def test_no_process_is_started_for_programs_that_are_there(tmp_path, monkeypatch):
    monkeypatch.setattr(fetch, "Child", None)
    assert run(io.StringIO(), defaults("hello", tmp_path / "hello")) == ({}, {})


def test_a_process_that_cannot_be_started_is_said(tmp_path, monkeypatch):
    def refuse(*arguments):
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(fetch, "Child", refuse)
    failed, _ = run(io.StringIO(), config(tmp_path, "http://localhost/x"))
    assert failed["hello"].failure == (
        "fetch: the process that fetches cannot be started: Resource temporarily "
        "unavailable"
    )


def test_a_source_cannot_steer_a_terminal(tmp_path):
    out = io.StringIO()
    with Site() as site:
        uri = site.put("/hello", b"\x1b[2Jnothing")
        failed, _ = run(out, config(tmp_path, uri))
    assert "\x1b" not in failed["hello"].failure
    assert failed["hello"].failure.startswith(f"fetch: {uri}: expected a program")


def test_what_takes_too_long_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(fetch, "_LONGEST", 0.0)
    failed, _ = run(io.StringIO(), config(tmp_path, "http://localhost/x"))
    assert "it takes longer than 0 s with all others" in failed["hello"].failure
