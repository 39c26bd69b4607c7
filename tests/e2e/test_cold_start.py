"""Cold-start files: the second start takes the frozen machine from the file."""

import os
import re
import signal
import time
from contextlib import suppress

import pytest
from support.client import wait_until
from support.server import Server, write_config

# Takes its time to start; says in which start the machine was made.
SLOW = r"""
#include <time.h>
#include <unistd.h>
static char made[64];
static int *shared;
static int count = 40;
static void add(size_t n, struct virtbuffer buf[n], size_t res)
{
    count++;
    storage_return(&count, sizeof count);
}
START {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    snprintf(made, sizeof made, "%ld.%09ld", now.tv_sec, now.tv_nsec);
    puts("main has run");
    fflush(stdout);
    shared = SHM_ALLOC_TYPE(*shared);
    if (shared && !IS_STORAGE())
        *shared = 70;
    MORE
}
HANDLE {
    int stored = -1;
    if (strstr(url, "storage"))
        storage_call(add, 0, 0, &stored, sizeof stored);
    reply("%s %d %d", made, stored, shared ? ++*shared : -1);
}
"""


def program(more: str = "", **keys):
    return {
        "source": SLOW.replace("MORE", more),
        "storage": True,
        "shared_memory": 2,
        "cold_start_file": "cold",
    } | keys


@pytest.fixture
def start(tmp_path):
    """start(keys) -> the log and some answers of one whole run of skerry."""

    def run(keys, workers: int = 2, path: str = "/slow/storage"):
        file = write_config(tmp_path, {"slow": keys})
        with Server(file, workers=workers) as server:
            answers = [server.get(path).body.decode() for _ in range(4)]
        return server.log, answers

    return run


def made(answers):
    (when,) = {each.split()[0] for each in answers}
    return when


def test_the_second_start_does_not_run_main_and_begins_like_the_first(start):
    first, answers = start(program())
    assert "not taken from" in first and "it is not there yet" in first
    assert first.count("main has run") == 2
    assert [each.split()[1:] for each in answers] == [
        ["41", "71"],
        ["42", "72"],
        ["43", "73"],
        ["44", "74"],
    ]
    for _ in range(2):
        again, same = start(program())
        assert re.search(r"is loaded \(cold start, storage, .*ready=", again)
        assert "main has run" not in again
        assert same == answers


def test_a_program_without_storage_is_kept_as_well(start):
    keys = program(storage=False, shared_memory=0)
    _, answers = start(keys, path="/slow")
    again, same = start(keys, path="/slow")
    assert "cold start" in again and same == answers


def test_a_program_from_the_file_has_the_clock_of_this_machine(start):
    source = r"""
        #include <time.h>
        START {}
        HANDLE {
            struct timespec t;
            clock_gettime(CLOCK_MONOTONIC, &t);
            reply("%ld", t.tv_sec * 1000000000 + t.tv_nsec);
        }
    """
    keys = {"source": source, "cold_start_file": "cold"}
    for kind in ("not taken from", "cold start"):
        before = time.monotonic_ns()
        log, answers = start(keys, path="/slow")
        assert kind in log
        assert all(before <= int(told) <= time.monotonic_ns() for told in answers)


@pytest.mark.parametrize(
    "change",
    [
        {"environment": ["A=b"]},
        {"max_memory": 128},
        {"more": "puts(made);"},
        {"storage": False},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_has_changed_is_started_and_kept_anew(start, change):
    _, answers = start(program())
    log, others = start(program(**change))
    assert "it is of another program, configuration, version or machine" in log
    assert made(others) != made(answers)
    log, same = start(program(**change))
    assert "cold start" in log and same == others


def test_a_damaged_file_is_not_used(start, tmp_path):
    _, answers = start(program())
    file = tmp_path / "cold"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    log, others = start(program())
    assert "it is damaged" in log
    assert made(others) != made(answers)


def test_a_file_that_cannot_be_written_is_told_and_the_program_serves(start, tmp_path):
    (tmp_path / "no").mkdir()
    keys = program(cold_start_file="no/cold")
    (tmp_path / "no").chmod(0o755)
    (tmp_path / "no" / "cold").write_bytes(b"x")
    (tmp_path / "no" / "cold").chmod(0o666)
    log, answers = start(keys)
    assert "others own it or may write to it" in log
    assert len(answers) == 4


def test_what_waits_to_be_run_is_not_kept(start, tmp_path):
    more = "if (IS_STORAGE()) schedule_storage_task((storage_func)add, 0, 0, 600, 600);"
    log, _ = start(program(more=more))
    assert "no cold-start file: it has files open or tasks waiting" in log
    assert not (tmp_path / "cold").exists()


def test_a_kept_program_works_on_when_its_workers_are_killed(tmp_path):
    file = write_config(tmp_path, {"slow": program()})
    with Server(file, workers=2) as server:
        assert server.get("/slow/storage").status == 200
    with Server(file, workers=2) as server:
        assert server.get("/slow/storage").body.split()[1] == b"41"
        for pid in server.workers:
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: answers(server) == b"42")


def answers(server):
    """What storage has counted, or None while nobody answers."""
    with suppress(OSError):
        return server.get("/slow/storage").body.split()[1]
