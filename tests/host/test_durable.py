"""Group commit: nobody goes on before the disk has what he has written."""

import asyncio
import os
import threading

import pytest

from skerry.durable import GroupCommit

LONG = 60.0


class Disk:
    """A file that is written in memory first. sync() brings what was written when it
    began to the disk; it ends when the test lets it, and fails when the test says so.
    """

    def __init__(self):
        self.written = self.on_disk = self.syncs = 0
        self.fails = False
        self.begun = threading.Semaphore(0)
        self.may_end = threading.Semaphore(0)

    def sync(self):
        seen = self.written
        self.syncs += 1
        self.begun.release()
        assert self.may_end.acquire(timeout=LONG)
        if self.fails:
            raise OSError("no space")
        self.on_disk = max(self.on_disk, seen)

    async def has_begun(self):
        assert await asyncio.to_thread(self.begun.acquire, timeout=LONG)


def told(story, disk):
    async def tell():
        async with asyncio.timeout(LONG):
            await story(GroupCommit(disk.sync))

    asyncio.run(tell())


async def write(disk, commit):
    """One answer: returns when it may go out, with what it tells of on the disk."""
    disk.written += 1
    mine = disk.written
    await commit.wait()
    assert disk.on_disk >= mine


async def settle():
    """Lets everything happen that needs no thread."""
    for _ in range(10):
        await asyncio.sleep(0)


def test_all_that_wait_when_a_sync_begins_share_it():
    async def story(commit):
        disk.may_end.release()
        await asyncio.gather(*(write(disk, commit) for _ in range(50)))
        assert disk.syncs == 1
        assert commit.is_idle
        commit.close()

    disk = Disk()
    told(story, disk)


def test_who_comes_while_a_sync_runs_waits_for_the_next_one():
    async def story(commit):
        early = asyncio.create_task(write(disk, commit))
        await disk.has_begun()
        late = [asyncio.create_task(write(disk, commit)) for _ in range(3)]
        await settle()
        assert not early.done() and disk.syncs == 1
        disk.may_end.release()
        await early
        await disk.has_begun()
        assert not any(each.done() for each in late) and not commit.is_idle
        disk.may_end.release()
        await asyncio.gather(*late)
        assert disk.syncs == 2 and commit.is_idle
        commit.close()

    disk = Disk()
    told(story, disk)


def test_when_a_sync_fails_all_that_wait_for_it_are_told_and_the_next_goes_on():
    async def story(commit):
        disk.fails = True
        failing = [asyncio.ensure_future(commit.wait()) for _ in range(2)]
        await disk.has_begun()
        late = asyncio.create_task(write(disk, commit))
        disk.may_end.release()
        for each in failing:
            with pytest.raises(OSError, match="no space"):
                await each
        disk.fails = False
        disk.may_end.release()
        await late
        commit.close()

    disk = Disk()
    told(story, disk)


def test_one_that_is_given_up_does_not_take_the_sync_from_the_others():
    async def story(commit):
        one, other = (asyncio.create_task(write(disk, commit)) for _ in range(2))
        await disk.has_begun()
        one.cancel()
        await settle()
        assert one.cancelled()
        disk.may_end.release()
        await other
        commit.close()

    disk = Disk()
    told(story, disk)


def test_it_works_with_a_real_file(tmp_path):
    async def story(commit):
        for _ in range(3):
            os.write(file, b"x")
            await asyncio.gather(*(commit.wait() for _ in range(4)))
        commit.close()

    file = os.open(tmp_path / "file", os.O_CREAT | os.O_WRONLY)

    async def tell():
        await story(GroupCommit(lambda: os.fdatasync(file)))

    asyncio.run(tell())
    os.close(file)


def test_who_asks_waits_from_then_on_awaited_or_not():
    """A program is closed when nobody waits: an answer on its way must count."""
    disk = Disk()

    async def story(commit):
        assert commit.is_idle
        waiting = commit.wait()
        assert not commit.is_idle
        disk.may_end.release()
        await waiting
        assert commit.is_idle

    told(story, disk)
