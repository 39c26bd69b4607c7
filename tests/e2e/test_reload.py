"""SIGHUP: the configuration is loaded again while everything is served on."""

import json
import os
import shutil
import signal

import pytest
from support.client import Raw, connection, wait_until
from support.guests import PRELUDE, compile_guest
from support.programs import COUNT, COUNTER, GATE, HELLO, SLEEPY, enter
from support.server import Server, write_config

AGAIN = r"(?m)^configuration loaded again: (.*)$"
BROKEN = {"source": "START { *(volatile int *)0; } HANDLE {}"}


def says(text):
    return {"source": f'START {{}} HANDLE {{ reply("{text}"); }}'}


@pytest.fixture
def begin(tmp_path):
    """begin(name={...}, ...): a server of these programs with two workers."""
    servers = []

    def start(**programs):
        servers.append(Server(write_config(tmp_path, programs), workers=2))
        return servers[-1]

    yield start
    for server in servers:
        assert server.stop() == 0
        assert "Traceback" not in server.log


@pytest.fixture
def reload(tmp_path):
    """reload(server, name={...}, ...): serves these instead; what the log says then."""

    def again(server, **programs):
        write_config(tmp_path, programs)
        server.process.send_signal(signal.SIGHUP)
        return server.wait_for(AGAIN)[1]

    return again


def ask_all(server, path):
    """The answers to (path) on several connections, so that all workers give some."""
    return {server.get(path).body for _ in range(12)}


def test_new_programs_come_old_ones_leave_and_changed_ones_change(begin, reload):
    server = begin(stays=says("same"), changes=says("before"), leaves=HELLO)
    assert ask_all(server, "/changes") == {b"before"}
    said = reload(server, stays=says("same"), changes=says("after"), comes=HELLO)
    assert said == "new: comes; changed: changes; removed: leaves; as before: 1"
    assert ask_all(server, "/changes") == {b"after"}
    assert ask_all(server, "/comes") == {b"Hello World!"}
    assert ask_all(server, "/stays") == {b"same"}
    assert server.get("/leaves").status == 404


def test_a_program_that_is_as_before_keeps_its_memory(begin, reload):
    server = begin(count=COUNT)
    assert [server.get("/count").body for _ in range(3)] == [b"0", b"1", b"2"]
    assert reload(server, count=COUNT, hello=HELLO) == "new: hello; as before: 1"
    assert server.get("/count").body == b"3"


def test_a_program_that_gets_another_limit_keeps_its_memory(begin, reload):
    server = begin(count=COUNT)
    assert server.get("/count").body == b"0"
    assert reload(server, count=COUNT | {"concurrency": 2}).startswith("changed: count")
    assert server.get("/count").body == b"1"


def test_a_program_whose_file_changes_is_started_anew(begin, tmp_path):
    file = tmp_path / "program"
    shutil.copy(compile_guest(PRELUDE + says("before")["source"]), file)
    server = begin(one={"filename": str(file)})
    assert ask_all(server, "/one") == {b"before"}
    os.replace(
        shutil.copy(compile_guest(PRELUDE + says("after")["source"]), tmp_path / "new"),
        file,
    )
    server.process.send_signal(signal.SIGHUP)
    server.wait_for(AGAIN)
    assert ask_all(server, "/one") == {b"after"}


def test_what_is_in_flight_is_answered_by_the_program_that_began_it(begin, reload):
    server = begin(gate=GATE)
    with Raw(server.port) as slow, connection(server.port) as idle:
        enter(slow, server)
        reload(server, gate=GATE | {"concurrency": 3})
        assert slow.is_silent()
        idle.request("GET", "/gate/open")
        assert idle.getresponse().read() == b"done"
        assert slow.answer().body == b"through"


def test_connections_outlive_a_reload(begin, reload):
    server = begin(one=says("before"))
    with Raw(server.port) as client:
        client.get("/one")
        assert client.answer().body == b"before"
        reload(server, one=says("after"))
        client.get("/one")
        assert client.answer().body == b"after"


def test_a_bad_configuration_changes_nothing_and_all_its_problems_are_logged(
    begin, tmp_path
):
    server = begin(hello=HELLO)
    bad = {"bad": {"filename": "missing", "max_memry": 5}}
    (tmp_path / "programs.json").write_text(json.dumps(bad, indent=1))
    server.process.send_signal(signal.SIGHUP)
    server.wait_for("error: nothing is changed: what was served is served on")
    assert f"error: {tmp_path / 'programs.json'}:3: bad.filename: " in server.log
    assert f"error: {tmp_path / 'programs.json'}:4: bad.max_memry: " in server.log
    assert ask_all(server, "/hello") == {b"Hello World!"}


def test_a_changed_program_that_does_not_start_leaves_its_place_to_the_old_one(
    begin, reload
):
    server = begin(one=says("old"))
    assert reload(server, one=BROKEN, two=BROKEN) == "new: two; as before: 1"
    assert ask_all(server, "/one") == {b"old"}
    assert server.get("/two").status == 503
    assert "error: program 'one': start-up: page fault reading 0x0" in server.log
    assert "error: program 'one': the one from before serves on" in server.log
    one, two = server.status()["programs"]
    assert (one["state"], two["state"]) == ("ready", "failed")
    assert "page fault" in one["reason"]


def test_a_worker_that_dies_after_a_reload_has_a_successor_that_knows_it(begin, reload):
    server = begin(one=says("before"))
    reload(server, one=says("after"))
    for each in server.workers:
        os.kill(each, signal.SIGKILL)
    assert ask_all(server, "/one") == {b"after"}


def test_a_boot_process_that_dies_during_a_reload_is_replaced(begin, tmp_path):
    server = begin(hello=HELLO)
    write_config(tmp_path, {"hello": HELLO, "sleepy": SLEEPY})
    server.process.send_signal(signal.SIGHUP)
    server.kill("skerry.booter")
    assert server.get("/hello").status == 200
    assert server.wait_for(AGAIN)[1] == "new: sleepy; as before: 1"
    assert server.get("/sleepy").body == b"awake"
    assert "the boot process died: killed by SIGKILL; starting another" in server.log


def test_programs_that_left_leave_nothing_behind(begin, reload):
    server = begin(hello=HELLO, count=COUNT)
    before = files(server)
    for number in range(64, 67):
        reload(server, hello=HELLO, count=COUNT | {"max_memory": number})
        server.forget()
    wait_until(lambda: files(server) == before)


def files(server):
    """How many descriptors each process has."""
    pids = (server.process.pid, *server.workers)
    return [len(os.listdir(f"/proc/{pid}/fd")) for pid in pids]


KEPT = {"storage": True, "source": COUNTER}


def test_another_durability_is_taken_up_and_the_state_stays(begin, reload, tmp_path):
    kept = KEPT | {"storage_file": str(tmp_path / "kept")}
    server = begin(kept=kept)
    assert [server.get("/kept").body for _ in range(3)] == [b"1", b"2", b"3"]
    said = reload(server, kept=kept | {"durability": "fsync"})
    assert said == "changed: kept; as before: 0"
    assert [server.get("/kept").body for _ in range(3)] == [b"4", b"5", b"6"]


def test_a_program_that_no_longer_fits_its_storage_file_is_not_exchanged(
    begin, reload, tmp_path
):
    kept = KEPT | {"storage_file": str(tmp_path / "kept")}
    server = begin(kept=kept)
    assert server.get("/kept").body == b"1"
    reload(server, kept=kept | {"environment": ["A=b"]})
    assert "program 'kept': live update: its storage would be lost" in server.log
    assert "program 'kept': the one from before serves on" in server.log
    assert server.get("/kept").body == b"2"
