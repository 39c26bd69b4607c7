"""durability "fsync": no answer tells of what a power cut could still undo."""

import asyncio
import dataclasses
import io
import threading

import pytest
from support.asking import LONG, Client
from support.guests import PRELUDE, compile_guest

from skerry import native
from skerry.config import defaults
from skerry.log import Log
from skerry.message import Cut
from skerry.program import Program
from skerry.start import start

# /look reads the count, and each of two pieces of /stream adds to it; everything else
# does too.
COUNTER = r"""
#include <string.h>
static int count;
static void add(size_t n, struct virtbuffer buf[], size_t res)
{
    count += *(const char *)buf[0].data == '+';
    storage_return(&count, sizeof count);
}
static struct streaming_content piece(void *arg, size_t max, size_t written,
                                      size_t total)
{
    static char text[2];
    int now = -1;
    storage_call(add, "+", 1, &now, sizeof now);
    text[0] = '0' + now;
    return (struct streaming_content){text, 1};
}
START {}
HANDLE {
    int now = -1;
    if (strstr(url, "stream"))
        begin_streaming_response(200, "text/plain", 10, 2, piece, NULL);
    storage_call(add, strstr(url, "look") ? "=" : "+", 1, &now, sizeof now);
    reply("%d", now);
}
"""


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
        writes, reads = Client(program, "/"), Client(program, "/look")
        await disk.is_asked()
        await asyncio.sleep(0.05)
        assert not writes.response.done()
        assert not reads.response.done(), "who reads tells of it too"
        assert not program.is_idle
        disk.open.set()
        assert await writes.answer() == await reads.answer() == (200, b"1")

    tell(story, tmp_path)


def test_an_answer_about_what_the_disk_has_does_not_wait(tmp_path, disk):
    async def story(program):
        disk.open.set()
        first = Client(program, "/")
        assert await first.answer() == (200, b"1")
        await disk.is_asked()
        disk.open.clear()
        assert await Client(program, "/look").answer() == (200, b"1")

    tell(story, tmp_path)


def test_with_durability_process_nobody_waits_for_the_disk(tmp_path, disk):
    async def story(program):
        assert await Client(program, "/").answer() == (200, b"1")

    tell(story, tmp_path, "process")


def test_when_the_disk_fails_the_answer_is_a_500_and_the_log_says_why(tmp_path, disk):
    async def story(program):
        disk.fails = True
        disk.open.set()
        status, body = await Client(program, "/").answer()
        assert (status, body) == (500, b"500 storage could not be written\n")

    assert "storage could not be written" in tell(story, tmp_path)


def test_a_piece_of_a_body_waits_for_the_disk_too(tmp_path, disk):
    async def story(program):
        client = Client(program, "/stream")
        assert (await client.answer())[0] == 200
        source = (await client.response).source
        first = asyncio.ensure_future(source.next())
        await disk.is_asked()
        await asyncio.sleep(0.05)
        assert not first.done()
        disk.open.set()
        assert [await first, await source.next(), await source.next()] == [
            b"1",
            b"2",
            b"",
        ]

    tell(story, tmp_path)


def test_when_the_disk_fails_a_body_is_cut(tmp_path, disk):
    async def story(program):
        disk.fails = True
        disk.open.set()
        client = Client(program, "/stream")
        await client.answer()
        with pytest.raises(Cut):
            await (await client.response).source.next()

    assert "storage could not be written" in tell(story, tmp_path)


def test_what_was_answered_is_there_at_the_next_start(tmp_path, disk):
    async def three(program):
        disk.open.set()
        for _ in range(3):
            assert (await Client(program, "/").answer())[0] == 200

    async def look(program):
        assert await Client(program, "/look").answer() == (200, b"3")

    tell(three, tmp_path)
    tell(look, tmp_path)
