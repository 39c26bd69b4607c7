"""The pool of clones: nobody waits without need, no clone is lost or shared."""

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

from skerry.native import NativeError
from skerry.pool import Pool

LONG = 60.0


class FakeVm:
    """As much of a clone as a pool can see."""

    def __init__(self):
        self.closed = False

    def close(self):
        self.closed = True


class Takers(RuleBasedStateMachine):
    """Requests take clones, wait, leave, give back and drop in any order; sometimes
    there are no means to make a clone."""

    @initialize(limit=st.integers(1, 4))
    def start(self, limit):
        self.loop = asyncio.new_event_loop()
        self.limit, self.broke = limit, False
        self.made, self.held, self.waiting = [], [], []
        self.pool = Pool(self.make, limit)

    def make(self):
        if self.broke:
            raise NativeError("KVM_CREATE_VM", "out of memory", 12)
        self.made.append(FakeVm())
        return self.made[-1]

    def step(self):
        """Lets everything happen that can happen now."""
        for _ in range(5):
            self.loop.call_soon(self.loop.stop)
            self.loop.run_forever()

    def open(self):
        return [vm for vm in self.made if not vm.closed]

    @rule()
    def a_request_comes(self):
        must_fail = self.broke and not self.open()
        task = self.loop.create_task(self.pool.take(LONG))
        self.step()
        if not task.done():
            self.waiting.append(task)
        elif must_fail:
            assert isinstance(task.exception(), NativeError)
        else:
            self.held.append(task.result())

    @rule()
    def a_request_comes_that_does_not_wait(self):
        if not self.broke:
            full = len(self.open()) == self.limit and not self.pool.free
            vm = self.loop.run_until_complete(self.pool.take(0))
            assert (vm is None) == full
            self.held += [vm] if vm else []

    def first_in_line_gets_one(self, vms):
        """Whoever was served was first in line."""
        self.step()
        served = [task for task in self.waiting if task.done()]
        assert served == self.waiting[: len(served)]
        assert len(served) <= vms
        self.waiting = self.waiting[len(served) :]
        self.held += [task.result() for task in served]
        return len(served)

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def a_request_is_done(self, data):
        vm = data.draw(st.sampled_from(self.held))
        self.held.remove(vm)
        line = len(self.waiting)
        self.pool.give(vm)
        assert self.first_in_line_gets_one(1) == min(1, line)

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def a_request_breaks_its_clone(self, data):
        vm = data.draw(st.sampled_from(self.held))
        self.held.remove(vm)
        line = len(self.waiting)
        self.pool.drop(vm)
        assert vm.closed
        assert self.first_in_line_gets_one(1) == (not self.broke and min(1, line))

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def a_request_that_waits_is_given_up(self, data):
        task = data.draw(st.sampled_from(self.waiting))
        self.waiting.remove(task)
        task.cancel()
        self.step()
        assert task.cancelled()

    @rule(broke=st.booleans())
    def there_are_means_or_not(self, broke):
        self.broke = broke

    @invariant()
    def no_clone_is_lost_shared_or_too_many(self):
        owners = [*self.held, *self.pool.free]
        assert len(set(owners)) == len(owners)
        assert set(owners) == set(self.open())
        assert len(owners) <= self.limit

    @invariant()
    def nobody_waits_beside_a_free_clone(self):
        assert not (self.waiting and self.pool.free)

    def teardown(self):
        for task in self.waiting:
            task.cancel()
        self.step()
        self.pool.close()
        assert set(self.open()) == set(self.held)
        self.loop.close()


TestTakers = Takers.TestCase
TestTakers.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_clones_are_made_when_they_are_first_needed():
    async def story():
        first = await pool.take(LONG)
        assert len(made) == 1
        second = await pool.take(LONG)
        assert len(made) == 2
        pool.give(first)
        pool.give(second)
        assert await pool.take(LONG) is second
        assert len(made) == 2

    made = []

    def make():
        made.append(FakeVm())
        return made[-1]

    pool = Pool(make, 3)
    asyncio.run(story())


def test_work_runs_on_a_thread_and_the_loop_goes_on():
    async def story():
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
    pool = Pool(FakeVm, 1)
    asyncio.run(story())
    pool.close()


def test_as_many_pieces_of_work_run_at_the_same_time_as_there_are_clones():
    async def story():
        await asyncio.gather(*(pool.run(meet) for _ in range(4)))

    def meet():
        together.wait(LONG)

    together = threading.Barrier(4)
    pool = Pool(FakeVm, 4)
    asyncio.run(story())
    pool.close()


def test_what_work_raises_is_raised_where_it_is_awaited():
    async def story():
        with pytest.raises(ZeroDivisionError):
            await pool.run(lambda: 1 / 0)

    pool = Pool(FakeVm, 1)
    asyncio.run(story())
    pool.close()
