"""What bench/beyond.py has guests and this host do."""

from contextlib import closing

import pytest

from bench import beyond, floor, subject


@pytest.mark.parametrize(
    ("seconds", "rounds"), [(1e-6, 200), (0.1, 20), (1.0, 5), (60.0, 5)]
)
def test_a_figure_takes_its_time_and_no_more(seconds, rounds):
    assert beyond.rounds_for(seconds) == rounds


@pytest.mark.parametrize(("threads", "turns"), [(1, 0), (2, 7), (32, 100)])
def test_threads_take_their_turns_and_end_in_a_guest_and_here(threads, turns):
    floor.load().lib.ring_run(threads, turns)
    with closing(subject.open_ring(threads, turns)) as machine:
        machine.call()  # RuntimeError if it were not answered with 200
        machine.call()


def test_pages_are_written_in_a_guest_and_here():
    assert floor.load().lib.loop_touch(100) == 0
    with closing(subject.open_touch(100)) as machine:
        before = machine.exits()
        machine.call()
        assert machine.exits() - before == 1
