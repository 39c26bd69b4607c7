"""durability "fsync": no answer tells of what a power cut could still undo."""

import asyncio
import dataclasses
import io
import threading

import pytest
from support.guests import PRELUDE, compile_guest

from skerry import native
from skerry.config import defaults
from skerry.log import Log
from skerry.message import Request
from skerry.program import Program
from skerry.start import start

LONG = 60.0

# /look reads the count; everything else adds to it.
COUNTER = r"""
#include <string.h>
static int count;
static void add(size_t n, struct virtbuffer buf[], size_t res)
{
    count += *(const char *)buf[0].data == '+';
    storage_return(&count, sizeof count);
}
START {}
HANDLE {
    int now = -1;
    storage_call(add, strstr(url, "look") ? "=" : "+", 1, &now, sizeof now);
    reply("%d", now);
}
"""


class Client:
    """One GET, sent as a connection of the server does."""

    is_gone = False

    def __init__(self, program, target):
        self.answer = asyncio.get_running_loop().create_future()
        request = Request(b"GET", target, b"", b"Host: a\r\n")
        request.client = self
        assert program.answer(request) is None

    def on_response(self, response):
        self.task = asyncio.ensure_future(self._wait(response))

    async def _wait(self, response):
        if hasattr(response, "__await__"):
            response = await response
        self.answer.set_result((response.status, response.body))


class Disk:
    """Stands between storage and the real fdatasync: a sync begins when it is let."""

    def __init__(self, monkeypatch):
        self.open, self.asked = threading.Event(), threading.Semaphore(0)
        self.fails = False
        self._sync = native.Storage.sync
        monkeypatch.setattr(native.Storage, "sync", lambda storage: self.sync(storage))

    def sync(self, storage):
        self.asked.release()
        assert self.open.wait(LONG)
        if self.fails:
            raise native.NativeError("storage file", "Input/output error", -5)
        self._sync(storage)

    async def is_asked(self):
        assert await asyncio.to_thread(self.asked.acquire, timeout=LONG)


@pytest.fixture
def disk(monkeypatch):
    return Disk(monkeypatch)


def tell(story, tmp_path, durability="fsync"):
    """Runs (story) with a program that counts in a storage file; returns its log."""
    log = io.StringIO()
    config = dataclasses.replace(
        defaults("test", compile_guest(PRELUDE + COUNTER)),
        storage=True,
        storage_file=tmp_path / "kept",
        durability=durability,
    )
    program = Program(start(config, Log(log)), Log(log))

    async def all_of_it():
        async with asyncio.timeout(LONG):
            await story(program)
            while not program.is_idle:
                await asyncio.sleep(0.001)

    asyncio.run(all_of_it())
    program.close()
    return log.getvalue()


def test_an_answer_waits_until_the_disk_has_what_it_tells_of(tmp_path, disk):
    async def story(program):
        writes, reads = Client(program, b"/"), Client(program, b"/look")
        await disk.is_asked()
        await asyncio.sleep(0.05)
        assert not writes.answer.done()
        assert not reads.answer.done(), "who reads tells of it too"
        assert not program.is_idle
        disk.open.set()
        assert await writes.answer == await reads.answer == (200, b"1")

    tell(story, tmp_path)


def test_an_answer_about_what_the_disk_has_does_not_wait(tmp_path, disk):
    async def story(program):
        disk.open.set()
        first = Client(program, b"/")
        assert await first.answer == (200, b"1")
        await disk.is_asked()
        disk.open.clear()
        assert await Client(program, b"/look").answer == (200, b"1")

    tell(story, tmp_path)


def test_with_durability_process_nobody_waits_for_the_disk(tmp_path, disk):
    async def story(program):
        assert await Client(program, b"/").answer == (200, b"1")

    tell(story, tmp_path, "process")


def test_when_the_disk_fails_the_answer_is_a_500_and_the_log_says_why(tmp_path, disk):
    async def story(program):
        disk.fails = True
        disk.open.set()
        status, body = await Client(program, b"/").answer
        assert (status, body) == (500, b"500 storage could not be written\n")

    assert "storage could not be written" in tell(story, tmp_path)


def test_what_was_answered_is_there_at_the_next_start(tmp_path, disk):
    async def three(program):
        disk.open.set()
        for _ in range(3):
            assert (await Client(program, b"/").answer)[0] == 200

    async def look(program):
        assert await Client(program, b"/look").answer == (200, b"3")

    tell(three, tmp_path)
    tell(look, tmp_path)
