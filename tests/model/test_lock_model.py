"""The model of the storage lock holds, and finds each mistake that is put into it."""

import subprocess
from pathlib import Path

import pytest

RUN = Path(__file__).with_name("run.sh")


def spin(workers: int, calls: int, deaths: int, *names: str) -> tuple[int, str]:
    """run.sh's answer: 0 and a count of states, or 1 and what is violated."""
    what = [str(workers), str(calls), str(deaths), *names]
    done = subprocess.run([RUN, *what], capture_output=True, text=True, timeout=300)
    assert done.returncode in (0, 1), done.stderr
    return done.returncode, done.stdout


def test_no_wake_up_is_lost_and_two_never_hold_the_lock() -> None:
    found, said = spin(2, 2, 0)
    assert found == 0, said


def test_calls_are_whole_and_answered_ones_stay_wherever_processes_die() -> None:
    found, said = spin(2, 1, 2)
    assert found == 0, said


@pytest.mark.parametrize(
    "mistake", ["BREAK_ENLIST", "BREAK_FORGET", "BREAK_WAKE_NOBODY"]
)
def test_the_model_finds_a_wake_up_that_is_lost(mistake: str) -> None:
    found, said = spin(2, 2, 0, mistake)
    assert found == 1 and "invalid end state" in said


def test_the_model_finds_one_who_lets_another_go_first_that_sleeps() -> None:
    found, said = spin(3, 1, 0, "LOCK_ALONE", "BREAK_DECLINE")
    assert found == 1 and "invalid end state" in said


@pytest.mark.parametrize(
    ("mistake", "violated"),
    [
        ("BREAK_COUNT", "inside==0"),
        ("BREAK_DEATH", "live[0]==live[1]"),
        ("BREAK_COMMIT", "live[0]==committed[0]"),
        ("BREAK_ANSWER", "answered<=live[0]"),
    ],
)
def test_the_model_finds_what_a_death_would_break(mistake: str, violated: str) -> None:
    found, said = spin(2, 1, 2, mistake)
    assert found == 1 and violated in said
