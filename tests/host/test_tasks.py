"""When tasks of storage are looked for, and run, in one process."""

import asyncio
import threading
import time

import pytest

from skerry import tasks
from skerry.native import NativeError
from skerry.tasks import Tasks

LONG = 60.0


class Storage:
    """Has tasks that are due at some times, and takes a while for each if it is told
    to. While it is (away) none can be run."""

    def __init__(self, *due):
        self.due = sorted(time.monotonic() + each for each in due)
        self.ran = []
        self.threads = set()
        self.stopped = self.away = False
        self.asked = 0
        self.begun, self.may_end = threading.Semaphore(0), threading.Semaphore(0)
        self.slow = False

    def next_task(self):
        return self.due[0] - time.monotonic() if self.due else 1e9

    def run_task(self):
        self.asked += 1
        if self.away or self.stopped or self.next_task() > 0:
            return False
        self.threads.add(threading.current_thread())
        self.begun.release()
        if self.slow:
            assert self.may_end.acquire(timeout=LONG)
        self.ran.append(self.due.pop(0))
        return True

    def stop_tasks(self):
        self.stopped = True


def play(storage, story, sync=None, told=lambda: None):
    """Runs story(tasks) on an event loop, and closes them."""

    async def tell():
        made = Tasks(storage, sync, told)
        async with asyncio.timeout(LONG):
            await story(made)
        made.close()

    asyncio.run(tell())


async def until(check):
    while not check():
        await asyncio.sleep(0.001)


def test_tasks_run_in_time_on_a_thread_that_is_not_the_loops():
    storage = Storage(-1, 0, 0.01, 0.05)
    due = storage.due[:]

    async def story(made):
        made.look()
        await until(lambda: len(storage.ran) == 4)

    play(storage, story)
    assert storage.ran == due
    assert threading.current_thread() not in storage.threads


def test_who_hears_of_an_earlier_task_does_not_wait_for_the_later_one(monkeypatch):
    monkeypatch.setattr(tasks, "LOOK", 1e6)
    storage = Storage(1e5)

    async def story(made):
        made.look()
        storage.due.insert(0, time.monotonic())
        made.look()
        await until(lambda: storage.ran)

    play(storage, story)
    assert len(storage.ran) == 1


def test_a_task_that_nobody_has_told_of_is_found(monkeypatch):
    monkeypatch.setattr(tasks, "LOOK", 0.01)
    storage = Storage()

    async def story(made):
        made.look()
        storage.due.append(time.monotonic())  # by another process
        await until(lambda: storage.ran)

    play(storage, story)
    assert tasks.LOOK < 1  # and else a second


def test_what_cannot_be_run_now_is_tried_again_after_a_while():
    storage = Storage(0)
    storage.away = True

    async def story(made):
        made.look()
        begin = time.monotonic()
        await until(lambda: storage.asked >= 3)
        assert time.monotonic() - begin >= 0.2
        storage.away = False
        await until(lambda: storage.ran)

    play(storage, story)


def test_what_tasks_have_done_is_brought_to_the_disk_and_a_failure_ends_nothing():
    storage = Storage(0, 0, 0.02)
    synced = []

    def sync():
        synced.append(len(storage.ran))
        raise NativeError("storage file", "Input/output error", 5)

    async def story(made):
        made.look()
        await until(lambda: len(storage.ran) == 3 and made.is_idle)

    play(storage, story, sync)
    assert synced[-1] == 3


def test_after_tasks_somebody_looks_for_lines():
    storage = Storage(0)
    seen = []

    async def story(made):
        made.look()
        await until(lambda: seen)

    play(storage, story, told=lambda: seen.append(len(storage.ran)))
    assert seen == [1]


def test_who_has_ended_begins_nothing_and_is_idle_when_the_last_one_has_ended():
    storage = Storage(0, 0, 0)
    storage.slow = True

    async def story(made):
        made.look()
        assert await asyncio.to_thread(storage.begun.acquire, timeout=LONG)
        assert not made.is_idle
        made.end()
        made.look()
        storage.may_end.release()
        await until(lambda: made.is_idle)

    play(storage, story, told=lambda: pytest.fail("it is not there any more"))
    assert len(storage.ran) == 1


def test_no_more_tasks_are_run_in_a_row_than_asked_for():
    storage = Storage(*[-1] * 9)
    assert Tasks(storage, None, print).run(4) == 4
    assert len(storage.due) == 5
