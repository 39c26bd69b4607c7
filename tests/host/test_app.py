"""All programs of a process: each reached by its name, exchanged while others serve."""

import asyncio
import io
from pathlib import Path

import pytest

from skerry import app as app_module
from skerry.app import App
from skerry.config import defaults
from skerry.counts import Counts
from skerry.log import Log
from skerry.message import Request, Response
from skerry.native import NativeError


class FakeProgram:
    """What App asks of a Program; a parcel is its name."""

    def __init__(self, parcel, log, fetching):
        if parcel == "large":
            raise NativeError("mmap", "Cannot allocate memory", -12)
        self.config = defaults(parcel, Path("/bin/true"))
        self.has = Counts()
        self.closed = self.has_tasks = False
        self.is_held = False
        self.waiting = []

    def hold(self, held):
        self.is_held = held

    def take_waiting(self):
        waiting, self.waiting = self.waiting, []
        return waiting

    @property
    def is_busy(self):
        return self.has.clones_busy > 0

    def begin_tasks(self):
        self.has_tasks = True

    def end_tasks(self):
        self.has_tasks = False

    def counts(self):
        return self.has

    @property
    def is_idle(self):
        return not self.has.clones_busy

    def answer(self, request):
        return Response.text(200, self.config.name)

    def close(self):
        self.closed = True


@pytest.fixture
def programs(monkeypatch):
    """programs(*names): an app that serves them, numbered from 1, and what it logs."""
    monkeypatch.setattr(app_module, "unpack", lambda parcel: parcel)
    monkeypatch.setattr(app_module, "Program", FakeProgram)

    def make(*names):
        out = io.StringIO()
        app = App(Log(out))
        for number, name in enumerate(names, 1):
            app.add(number, name)
        app.use([(name, number) for number, name in enumerate(names, 1)])
        return app, out

    return make


def ask(app, target, host=b"localhost"):
    response = app(Request(b"GET", target, host))
    return response.status, response.body


def test_a_request_reaches_the_program_that_it_names(programs):
    app, _ = programs("one", "two")
    assert ask(app, b"/one/x?y") == (200, b"one")
    assert ask(app, b"/two") == (200, b"two")
    assert ask(app, b"/one", b"two:80") == (200, b"two")


def test_a_request_that_names_no_program_is_a_404(programs):
    app, _ = programs("one")
    status, body = ask(app, b"/none")
    assert (status, body[:4]) == (404, b"404 ")


def test_a_program_that_did_not_start_is_a_503(programs):
    app, _ = programs("one")
    app.use([("bad", None), ("one", 1)])
    status, body = ask(app, b"/bad/x")
    assert (status, body[:4]) == (503, b"503 ")
    assert ask(app, b"/", b"bad")[0] == 503
    assert ask(app, b"/one")[0] == 200


def test_a_program_that_there_is_no_room_for_is_a_503_and_is_logged(programs):
    app, out = programs("large", "one")
    assert ask(app, b"/large")[0] == 503
    assert ask(app, b"/one")[0] == 200
    assert "cannot be served here: mmap: Cannot allocate memory\n" in out.getvalue()


def test_an_app_that_has_no_programs_knows_nobody():
    assert ask(App(Log(io.StringIO())), b"/one")[0] == 404


async def until_closed(program):
    async with asyncio.timeout(60):
        while not program.closed:
            await asyncio.sleep(0.01)


def test_a_program_that_leaves_is_closed_when_it_is_idle(programs, monkeypatch):
    monkeypatch.setattr(app_module, "_LOOK", 0.001)
    app, _ = programs("one", "two")
    old = app._programs[1]

    async def story():
        old.has = Counts(requests=5, clones_busy=1)
        app.add(3, "one")
        app.use([("one", 3), ("two", 2)])
        await asyncio.sleep(0.01)
        assert not old.closed
        assert (old.has_tasks, app._programs[3].has_tasks) == (False, True)
        old.has = Counts(requests=6)
        await until_closed(old)

    asyncio.run(story())
    assert ask(app, b"/one") == (200, b"one")


def test_what_a_program_has_counted_stays_when_it_leaves(programs):
    app, _ = programs("one")
    old = app._programs[1]
    old.has = Counts(requests=6, errors=1, clones_free=3)

    async def story():
        app.add(2, "one")
        app.use([("one", 2)])
        await until_closed(old)

    asyncio.run(story())
    app._programs[2].has = Counts(requests=2, clones_free=1)
    assert app.counts() == {"one": Counts(requests=8, errors=1, clones_free=1)}


def test_closing_ends_all_programs(programs):
    app, _ = programs("one", "two")
    served = list(app._programs.values())
    app.close()
    assert [each.closed for each in served] == [True, True]


class Caller:
    """The client of a request: keeps what it gets."""

    def __init__(self):
        self.got = []

    def on_response(self, response):
        self.got.append(response.body)


def test_what_waits_for_a_program_that_is_held_is_answered_by_its_successor(programs):
    async def story():
        app, _ = programs("one")
        app.use([("one", 1)], held=[1])
        old = app._programs[1]
        assert old.is_held
        request = Request(b"GET", b"/one", b"")
        request.client = Caller()
        old.waiting = [request]
        app.add(2, "new")
        app.use([("one", 2)])
        return request.client.got, app._programs[2].is_held

    assert asyncio.run(story()) == ([b"new"], False)


def test_a_program_that_is_held_has_settled_when_nothing_is_in_flight(programs):
    async def story():
        app, _ = programs("one", "two")
        app.use([("one", 1), ("two", 2)], held=[1])
        app._programs[1].has = Counts(clones_busy=1)
        app._programs[2].has = Counts(clones_busy=1)
        settling = asyncio.create_task(app.settle([1], 3600))
        await asyncio.sleep(0.01)
        was_busy = not settling.done()
        app._programs[1].has = Counts()
        await settling
        await app.settle([2], 0.01)  # it is busy on, but its time is over
        return was_busy

    assert asyncio.run(story())
