"""The floor's guest leaves as often as it is told, on this machine's KVM."""

import json
import subprocess
import sys
import time
from http.client import HTTPConnection
from pathlib import Path

import pytest
from support.leaks import descriptors

from bench import floor, floor_server, micro, server


@pytest.fixture
def guest():
    with floor.Floor() as made:
        yield made


def test_each_exit_is_one_round_trip(guest):
    guest.exit(1)
    guest.exit(1000)


def test_closing_twice_is_fine_and_leaks_no_descriptor():
    before = descriptors()
    for _ in range(20):
        made = floor.Floor()
        made.close()
        made.close()
    assert descriptors() == before


@pytest.mark.parametrize("size", [0, 150, 400])
def test_the_answer_is_padded_to_the_size_asked_for(size):
    least = len(floor_server.answer(0))
    assert len(floor_server.answer(size)) == max(size, least)


def test_the_floor_server_answers_on_the_port_that_it_prints():
    with server.running((*server.FLOOR, "--exits", "3", "--bytes", "300")) as port:
        connection = HTTPConnection("127.0.0.1", port, timeout=10)
        for _ in range(3):
            connection.request("GET", "/")
            assert connection.getresponse().read() == b"Hello World!"
        connection.close()


def children(pid):
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def ask(port):
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/")
    body = connection.getresponse().read()
    connection.close()
    return body


def test_processes_of_a_floor_server_share_a_port_and_end_together():
    command = (*server.FLOOR, "--processes", "2")
    floor_server = server.Server(command, server.all_cpus())
    try:
        port = floor_server.wait_until_ready()
        assert len(children(floor_server.process.pid)) == 1
        assert {ask(port) for _ in range(40)} == {b"Hello World!"}
    finally:
        floor_server.stop()
    with pytest.raises(ConnectionRefusedError):
        ask(port)


def test_a_server_that_does_not_start_shows_what_it_printed():
    broken = server.running((sys.executable, "-c", "print('no such thing')"))
    with pytest.raises(server.ServerError, match="no such thing"), broken:
        pass


def test_a_server_that_dies_while_it_is_measured_is_an_error():
    dying = (
        "print('listening on 127.0.0.1:1', flush=True); import sys; sys.exit('ouch')"
    )
    died = server.running((sys.executable, "-c", dying))
    with pytest.raises(server.ServerError, match="ouch"), died:
        time.sleep(1)


def test_micro_gives_one_json_object_whatever_is_missing():
    script = Path(micro.__file__)
    done = subprocess.run(
        [sys.executable, script, "--quick", "--json", "-"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert set(json.loads(done.stdout)) == {f.__name__ for f in micro.FIGURES}


class Bare:
    """A machine whose every call is two bare exits."""

    def __init__(self, guest):
        self.guest, self.done = guest, 0

    def call(self, headers=0):
        self.guest.exit(2)
        self.done += 2

    def calls(self, times, headers=0):
        for _ in range(times):
            self.call()

    def exits(self):
        return self.done

    def close(self):
        pass


def test_a_call_of_two_exits_counts_as_two(guest):
    assert micro.exits_per_call(Bare(guest), 0) == 2


def test_a_call_of_two_exits_costs_more_than_a_floor(guest, monkeypatch):
    monkeypatch.setattr(micro.subject, "open_hello", lambda: Bare(guest))
    measured = micro.Micro(guest, quick=True).call_reset_over_floor()
    assert 1.2 < measured < 5, "a floor of its own exits, whatever else runs here"
