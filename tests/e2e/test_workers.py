"""Processes that serve together, and what happens when one of them dies."""

import os
import signal
from contextlib import ExitStack
from pathlib import Path

import pytest
from support.client import Raw, crowd, wait_until
from support.programs import COUNT, GATE, HELLO, SLEEPY, enter
from support.server import EXAMPLES, Server

ENDLESS = {"source": "START { for (;;); } HANDLE {}", "max_boot_time": 3600}


def clients(held, server, count):
    """(count) connections that have all been answered once."""
    made = [held.enter_context(Raw(server.port)) for _ in range(count)]
    for client in made:
        client.get("/hello")
    assert {client.answer().status for client in made} == {200}
    return made


def is_served(client):
    """Whether (client) gets one more answer; else its connection has ended."""
    try:
        client.get("/hello")
        return client.answer().status == 200
    except (OSError, IndexError):
        return False


def test_connections_are_shared_out_among_the_workers(serve_by_two):
    server = serve_by_two(hello=HELLO)
    with ExitStack() as held:
        clients(held, server, 60)
        shares = [each["connections"] for each in server.status()["workers"]]
    assert sum(shares) == 60
    assert min(shares) > 0


def test_shared_memory_is_one_for_all_workers(serve_by_two):
    server = serve_by_two(count=COUNT)
    answers = crowd(server.port, ["/count"] * 12, 20)
    assert sorted(int(each.body) for each in answers) == list(range(240))


def test_storage_is_one_for_all_workers():
    with Server(EXAMPLES, workers=2) as server:
        answers = crowd(server.port, ["/counter"] * 12, 20)
    counts = sorted(int(each.headers["X-Counter"]) for each in answers)
    assert counts == list(range(1, 241))


def test_when_a_worker_dies_the_others_go_on_and_another_takes_its_place(serve_by_two):
    server = serve_by_two(hello=HELLO, count=COUNT)
    assert server.get("/count").body == b"0"
    with ExitStack() as held:
        made = clients(held, server, 60)
        victim = server.status()["workers"][0]
        os.kill(victim["pid"], signal.SIGKILL)
        server.wait_for(
            rf"worker 1 \(pid {victim['pid']}\) died: killed by SIGKILL; "
            "starting another"
        )
        wait_until(lambda: len(server.workers) == 2)
        served = [client for client in made if is_served(client)]
    assert len(served) == 60 - victim["connections"]
    assert server.get("/count").body == b"1"
    assert [each["restarts"] for each in server.status()["workers"]] == [1, 0]


def test_who_waits_at_a_worker_that_dies_is_served_by_its_successor(serve):
    server = serve(hello=HELLO)
    with ExitStack() as held:
        with server.paused():
            made = [held.enter_context(Raw(server.port)) for _ in range(20)]
            for client in made:
                client.get("/hello")
            os.kill(server.pid, signal.SIGKILL)
        assert {client.answer().body for client in made} == {b"Hello World!"}


def test_a_worker_that_dies_again_and_again_is_started_again_and_again(serve):
    server = serve(hello=HELLO)
    for died in range(1, 5):
        server.kill("skerry.worker")
        assert server.get("/hello").status == 200
        assert server.status()["workers"][0]["restarts"] == died


def test_a_worker_that_is_told_to_end_finishes_what_it_has_begun(serve):
    server = serve(gate=GATE)
    with Raw(server.port) as slow, Raw(server.port) as half:
        half.send(b"POST /gate HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n")
        enter(slow, server)
        told = server.pid
        os.kill(told, signal.SIGTERM)
        half.send(b"!")
        assert half.answer().body == b"opened"
        assert slow.answer().body == b"through"
    server.wait_for(rf"worker 1 \(pid {told}\) died: exit status 0; starting another")
    assert server.get("/gate/count").body == b"1"


def test_no_worker_outlives_its_supervisor(serve_by_two):
    server = serve_by_two(hello=HELLO)
    pids = server.workers
    for pid in pids:  # so that they do not see by themselves that it is gone
        os.kill(pid, signal.SIGSTOP)
    server.process.kill()
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))
    assert server.wait() == -signal.SIGKILL
    with pytest.raises(ConnectionRefusedError):
        Raw(server.port)


def test_the_supervisor_holds_no_kvm(serve):
    server = serve(hello=HELLO)
    assert server.get("/hello").status == 200
    assert "/dev/kvm" in opened(server.pid)
    assert "/dev/kvm" not in opened(server.process.pid)


def opened(pid):
    """What process (pid) has open."""
    return {os.readlink(each) for each in Path(f"/proc/{pid}/fd").iterdir()}


def test_another_boot_process_starts_what_one_that_died_did_not(config):
    file = config(sleepy=SLEEPY)
    with Server(file, wait=False) as server:
        server.kill("skerry.booter")
        server.listen()
        assert server.get("/sleepy").body == b"awake"
    assert "the boot process died: killed by SIGKILL; starting another" in server.log


def test_a_program_that_costs_three_boot_processes_is_given_up(config):
    with Server(config(hello=HELLO, endless=ENDLESS), wait=False) as server:
        server.wait_for("Program 'hello' is loaded")
        for _ in range(3):
            server.kill("skerry.booter")
        server.listen()
        assert server.get("/hello").status == 200
        assert server.get("/endless").status == 503
    assert "error: program 'endless': start-up: the boot process died" in server.log


def test_sigterm_during_start_up_ends_it(config):
    with Server(config(endless=ENDLESS), wait=False) as server:
        wait_until(lambda: server.all_of("skerry.booter"))
        pids = [*server.all_of("skerry.booter"), *server.workers]
        assert server.stop() == 0
        assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


def test_what_outlives_the_drain_time_is_ended(config):
    file = config(gate=GATE | {"max_request_time": 3600})
    with Server(file, options=("--drain", "0.1")) as server, Raw(server.port) as slow:
        enter(slow, server)
        assert server.stop() == 0
        assert slow.is_ended()
