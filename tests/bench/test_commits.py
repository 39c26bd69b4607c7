"""What bench/commits.py compares: calls that commit their pages, and one that commits
nothing."""

from contextlib import closing

import pytest

from bench import commits, subject


@pytest.mark.parametrize("pages", [0, 1, 4, 256])
def test_a_call_commits_if_it_writes_pages(tmp_path, pages):
    file = tmp_path / "file"
    with closing(subject.open_pages(pages, file)) as machine:
        machine.call()
        before = file.read_bytes()
        machine.call()
        assert (file.read_bytes() != before) == (pages > 0)


def test_the_first_turn_is_not_measured():
    class Machine:
        done = 0

        def calls(self, times):
            self.done += times

    machine = Machine()
    take = commits.turns(machine, 5)
    assert machine.done == 5
    assert take() >= 0
    assert machine.done == 10
