"""The pool of clones: none is made without need, lost, shared, or kept for nothing."""

import asyncio
import threading

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from skerry import pool as pools
from skerry.native import NativeError
from skerry.pool import Pool

LONG, SOON = 60.0, 0.02


class FakeVm:
    """As much of a clone as a pool can see."""

    def __init__(self):
        self.closed = False

    def close(self):
        assert not self.closed
        self.closed = True


class Maker:
    """Makes clones, unless there are no means to; a pool's log."""

    def __init__(self):
        self.made, self.told, self.tries, self.broke = [], [], 0, False
        self.may_go = threading.Event()
        self.may_go.set()

    def make(self):
        self.tries += 1
        assert self.may_go.wait(LONG)
        if self.broke:
            raise NativeError("KVM_CREATE_VM", "Too many open files", 24)
        self.made.append(FakeVm())
        return self.made[-1]

    def open(self):
        return [vm for vm in self.made if not vm.closed]


class Takers(RuleBasedStateMachine):
    """Requests take clones, give them back and break them in any order; now and then
    the pool closes what is idle; sometimes there are no means to make a clone."""

    @initialize(limit=st.integers(1, 4))
    def start(self, limit):
        self.loop = asyncio.new_event_loop()
        self.maker, self.limit, self.held, self.changes = Maker(), limit, [], 0
        self.pool = Pool(
            self.maker.make, limit, self.changed, self.maker.told.append, LONG
        )

    def changed(self):
        self.changes += 1

    def on_loop(self, function, *arguments):
        """What it returns, and how many changes were told until all had settled."""

        async def call():
            result = function(*arguments)
            while self.pool.is_changing:
                await asyncio.sleep(0)
            return result

        before = self.changes
        return self.loop.run_until_complete(call()), self.changes - before

    @rule()
    def one_is_taken(self):
        free = [vm for vm in self.maker.open() if vm not in self.held]
        may_make = len(self.maker.open()) < self.limit
        self.pool._retry_at = 0.0
        vm, changes = self.on_loop(self.pool.take)
        assert (vm in free) if free else (vm is None)
        assert changes == (may_make and not free)
        self.held += [vm] if vm else []

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def one_is_given_back(self, data):
        vm = data.draw(st.sampled_from(self.held))
        self.held.remove(vm)
        self.pool.give(vm)

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def one_is_broken(self, data):
        vm = data.draw(st.sampled_from(self.held))
        self.held.remove(vm)
        assert self.on_loop(self.pool.drop, vm) == (None, 1)
        assert vm.closed

    @rule(broke=st.booleans())
    def there_are_means_or_not(self, broke):
        self.maker.broke = broke

    @precondition(lambda self: self.pool._timer)
    @rule()
    def time_passes(self):
        self.pool._timer.cancel()
        self.on_loop(self.pool._sweep)
        assert self.pool._timer or not self.pool._threads

    @invariant()
    def no_clone_is_lost_shared_or_too_many(self):
        open_ = self.maker.open()
        assert len(open_) == self.pool.made <= self.limit
        assert self.pool.busy == len(self.held) == len(set(self.held))
        assert self.pool.available == len(open_) - len(self.held)
        assert all(vm in open_ for vm in self.held)

    @invariant()
    def clones_do_not_outlive_their_need(self):
        assert self.pool._timer or not self.maker.open()

    def teardown(self):
        self.pool.close()
        assert set(self.maker.open()) == set(self.held)
        self.loop.close()


TestTakers = Takers.TestCase
TestTakers.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


async def take(pool):
    """A clone, free or new."""
    while (vm := pool.take()) is None:
        await asyncio.sleep(0)
    return vm


async def take_in_vain(pool):
    """Tries, and waits for what comes of it."""
    assert pool.take() is None
    while pool.is_changing:
        await asyncio.sleep(0)
    assert not pool.free


def told(story, limit, rest=LONG):
    """What (story), an async function of a pool and its maker, returns."""

    async def tell():
        maker = Maker()
        pool = Pool(maker.make, limit, lambda: None, maker.told.append, rest)
        async with asyncio.timeout(LONG):
            result = await story(pool, maker)
        pool.close()
        return result

    return asyncio.run(tell())


def test_clones_are_made_when_they_are_first_needed():
    async def story(pool, maker):
        assert maker.tries == 0
        first = await take(pool)
        assert maker.tries == 1
        second = await take(pool)
        assert maker.tries == 2
        pool.give(first)
        pool.give(second)
        assert pool.take() is second
        assert maker.tries == 2

    told(story, 3)


def test_clones_are_made_and_closed_while_the_loop_goes_on():
    async def story(pool, maker):
        maker.may_go = closing = threading.Event()
        assert pool.take() is None
        assert pool.take() is None
        while not maker.tries:
            await asyncio.sleep(0)
        assert pool.is_changing and not pool.made
        maker.may_go.set()
        vm = await take(pool)
        assert maker.tries == 1

        closing.clear()
        vm.close = closing.wait
        pool.drop(vm)
        await asyncio.sleep(0)
        assert pool.is_changing and pool.made == 1 and pool.take() is None
        closing.set()
        while pool.is_changing:
            await asyncio.sleep(0)
        assert pool.made == 0

    told(story, 1)


def test_a_clone_that_is_ready_when_its_pool_has_been_closed_is_closed_too():
    async def story(pool, maker):
        assert pool.take() is None
        pool.close()
        while pool.is_changing:
            await asyncio.sleep(0)
        assert len(maker.made) == 1 and not maker.open() and not pool._timer

    told(story, 1)


def test_clones_that_nobody_needs_are_closed_and_then_nothing_runs():
    async def story(pool, maker):
        for vm in [await take(pool) for _ in range(5)]:
            pool.give(vm)
        assert await pool.run(threading.active_count) > before
        while maker.open() or threading.active_count() > before:
            await asyncio.sleep(SOON)
        assert pool.made == 0 and pool._timer is None

    before = threading.active_count()
    told(story, 5, SOON)


def test_a_clone_that_serves_now_and_then_stays_and_the_rest_goes():
    async def story(pool, maker):
        for vm in [await take(pool) for _ in range(4)]:
            pool.give(vm)
        stays = pool.take()
        while pool.made > 1:
            pool.give(stays)
            await asyncio.sleep(0)
            assert pool.take() is stays
        assert maker.open() == [stays]

    told(story, 4, SOON)


def test_a_clone_that_is_busy_is_never_closed():
    async def story(pool, maker):
        busy, free = await take(pool), await take(pool)
        pool.give(free)
        while not free.closed:
            await asyncio.sleep(SOON)
        assert not busy.closed

    told(story, 2, SOON)


def test_means_that_lack_are_told_once_and_not_asked_for_all_the_time(monkeypatch):
    async def story(pool, maker):
        monkeypatch.setattr(pools, "RETRY", LONG)
        served = await take(pool)
        maker.broke = True
        for _ in range(100):
            await take_in_vain(pool)
        assert maker.tries == 2
        assert [str(each) for each in maker.told] == [
            "KVM_CREATE_VM: Too many open files"
        ]
        pool.drop(served)  # leaves means: worth another try
        while pool.is_changing:
            await asyncio.sleep(0)
        await take_in_vain(pool)
        assert maker.tries == 3 and len(maker.told) == 1

    told(story, 3)


def test_means_that_are_back_are_found_and_when_they_lack_again_that_is_told():
    async def story(pool, maker):
        maker.broke = True
        await take_in_vain(pool)
        maker.broke = False
        await take(pool)
        maker.broke = True
        await take_in_vain(pool)
        assert len(maker.told) == 2

    told(story, 3)


def test_work_runs_on_a_thread_and_the_loop_goes_on():
    async def story(pool, maker):
        running = asyncio.create_task(pool.run(work))
        await asyncio.to_thread(begun.wait, LONG)
        assert not running.done()
        may_end.set()
        assert await running != threading.current_thread()

    def work():
        begun.set()
        assert may_end.wait(LONG)
        return threading.current_thread()

    begun, may_end = threading.Event(), threading.Event()
    told(story, 1)


def test_as_many_pieces_of_work_run_at_the_same_time_as_there_are_clones():
    async def story(pool, maker):
        await asyncio.gather(*(pool.run(meet) for _ in range(4)))

    def meet():
        together.wait(LONG)

    together = threading.Barrier(4)
    told(story, 4)


def test_what_work_raises_is_raised_where_it_is_awaited():
    async def story(pool, maker):
        with pytest.raises(ZeroDivisionError):
            await pool.run(lambda: 1 / 0)

    told(story, 1)
