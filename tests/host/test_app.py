"""All programs together: started at the same time, each reached by its name."""

import asyncio
import io
import threading
from pathlib import Path

import pytest

from skerry import app as app_module
from skerry.app import App
from skerry.config import Config, defaults
from skerry.errors import ProgramError
from skerry.log import Log
from skerry.message import Request, Response

LONG = 60.0


class FakeProgram:
    """Starts as its name says: "bad..." fails, "pair..." waits for another pair."""

    pair = threading.Barrier(2)

    def __init__(self, config, log):
        self.config = config
        self.ready_ms = 1.5
        self.closed = False
        if config.name.startswith("bad"):
            raise ProgramError(config.name, "load", "not an ELF file")
        if config.name.startswith("pair"):
            self.pair.wait(LONG)

    def answer(self, request):
        return Response.text(200, self.config.name)

    def close(self):
        self.closed = True


@pytest.fixture
def started(monkeypatch):
    """started(*names): an app with programs of these names, and what it logged."""
    monkeypatch.setattr(app_module, "Program", FakeProgram)

    def start(*configs):
        out = io.StringIO()
        app = App(Log(out))
        asyncio.run(app.start(Config(Path("programs.json"), configs)))
        return app, out.getvalue()

    return start


def config(name, **keys):
    made = defaults(name, Path("/bin/true"))
    values = {each: getattr(made, each) for each in made.__slots__}
    return type(made)(**values | keys)


def ask(app, target, host=b"localhost"):
    response = app(Request(b"GET", target, host))
    return response.status, response.body


def test_a_request_reaches_the_program_that_it_names(started):
    app, _ = started(config("one"), config("two"))
    assert ask(app, b"/one/x?y") == (200, b"one")
    assert ask(app, b"/two") == (200, b"two")
    assert ask(app, b"/one", b"two:80") == (200, b"two")


def test_a_request_that_names_no_program_is_a_404(started):
    app, _ = started(config("one"))
    status, body = ask(app, b"/none")
    assert (status, body[:4]) == (404, b"404 ")


def test_a_program_that_did_not_start_is_a_503_and_is_logged(started):
    app, said = started(config("bad"), config("one"))
    status, body = ask(app, b"/bad/x")
    assert (status, body[:4]) == (503, b"503 ")
    assert ask(app, b"/", b"bad")[0] == 503
    assert ask(app, b"/one")[0] == 200
    assert "error: program 'bad': load: not an ELF file\n" in said


def test_programs_start_at_the_same_time(started):
    app, _ = started(config("pair1"), config("pair2"))
    assert len(app.programs) == 2


def test_the_log_says_what_is_ready_and_what_it_has(started):
    _, said = started(
        config("plain"),
        config("stores", storage=True),
        config("shares", shared_memory=4),
    )
    assert set(said.splitlines()) == {
        "Program 'plain' is loaded (ready=1.50ms)",
        "Program 'stores' is loaded (storage, ready=1.50ms)",
        "Program 'shares' is loaded (shared memory 4 MB, ready=1.50ms)",
    }


def test_an_app_that_has_not_started_knows_nobody():
    assert ask(App(Log(io.StringIO())), b"/one")[0] == 404


def test_closing_ends_all_programs_that_started(started):
    app, _ = started(config("one"), config("bad"), config("two"))
    programs = app.programs
    app.close()
    assert [each.closed for each in programs] == [True, True]
