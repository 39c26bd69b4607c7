"""skerry status: what is asked from outside about a server that runs."""

import os
import signal
import socket

import pytest
from support.client import Raw, crowd, wait_until
from support.programs import COUNT, HELLO, TROUBLE
from support.server import Server, skerry, write_config

BROKEN = {"source": "START { *(volatile int *)0; } HANDLE {}"}
PROGRAMS = {"hello": HELLO, "count": COUNT, "broken": BROKEN}


@pytest.fixture
def runtime(tmp_path):
    """A directory for sockets, and the environment that names it."""
    return tmp_path / "run", os.environ | {"RUNTIME_DIRECTORY": str(tmp_path / "run")}


def test_status_tells_of_programs(server):
    found = {each["name"]: each for each in server.status()["programs"]}
    assert list(found) == ["hello", "count", "broken"]
    assert {name: each["state"] for name, each in found.items()} == {
        "hello": "ready",
        "count": "ready",
        "broken": "failed",
    }
    assert "page fault" in found["broken"]["reason"]
    assert found["count"]["shared_memory_mb"] == 2
    assert found["hello"]["ready_ms"] > 0
    assert len(found["hello"]["version"]) == 12


def test_status_tells_of_processes(server):
    with Raw(server.port) as client:
        client.get("/hello")
        assert client.answer().status == 200
        found = server.status()
    assert found["listening"] == f"127.0.0.1:{server.port}"
    assert (found["supervisor"], found["boot"]) == (server.process.pid, None)
    (worker,) = found["workers"]
    assert (worker["number"], worker["pid"]) == (1, server.pid)
    assert (worker["restarts"], worker["connections"]) == (0, 1)
    assert found["rss_mb"] > worker["rss_mb"] > 1


def test_status_is_a_table_for_people(server):
    done = skerry("status", "--listen", f"127.0.0.1:{server.port}")
    text = done.stdout.decode()
    assert (done.returncode, done.stderr) == (0, b"")
    assert f"supervisor {server.process.pid}" in text
    lines = [line.split() for line in text.splitlines()]
    assert ["hello", "ready"] in [line[:2] for line in lines]
    assert ["1", str(server.pid)] in [line[:2] for line in lines]
    assert "broken: start-up: page fault" in text


def test_status_of_nobody_says_where_it_has_looked(runtime):
    directory, env = runtime
    done = skerry("status", "--listen", "127.0.0.1:1", env=env)
    assert (done.returncode, done.stdout) == (1, b"")
    text = done.stderr.decode()
    assert text.startswith("no skerry serves 127.0.0.1:1 ")
    assert str(directory / "127.0.0.1:1.sock") in text


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return sock.getsockname()[1]


def test_status_answers_while_programs_start_and_names_the_boot_process(config):
    endless = {"source": "START { for (;;); } HANDLE {}", "max_boot_time": 3600}
    port = free_port()
    options = ("--listen", f"127.0.0.1:{port}")
    with Server(config(endless=endless), options=options, wait=False) as server:
        wait_until(lambda: server.all_of("skerry.booter"))
        server.port = port
        found = server.status()
        assert [found["boot"]] == server.all_of("skerry.booter")
        assert found["programs"][0]["state"] == "starting"


def counted(server):
    """Requests, errors and refused of each program."""
    return {
        each["name"]: (each["requests"], each["errors"], each["refused"])
        for each in server.status()["programs"]
    }


def test_status_counts_what_all_workers_do_and_those_that_have_died(serve_by_two):
    server = serve_by_two(hello=HELLO, trouble=TROUBLE)
    crowd(server.port, ["/hello"] * 12 + ["/trouble/crash"] * 3, 5)
    expected = {"hello": (60, 0, 0), "trouble": (15, 15, 0)}
    assert counted(server) == expected
    for pid in server.workers:
        os.kill(pid, signal.SIGKILL)
    assert server.get("/hello").status == 200
    assert counted(server) == expected | {"hello": (61, 0, 0)}


def test_a_worker_that_stands_still_does_not_hold_up_status(server):
    with server.paused():
        assert server.status()["workers"][0]["pid"] == server.pid


def test_two_cannot_serve_one_address(server):
    place = f"127.0.0.1:{server.port}"
    done = skerry("serve", server.file, "--listen", place)
    assert (done.returncode, done.stdout) == (1, b"")
    said = done.stderr.decode()
    assert said.startswith(f"another skerry already serves {place} ")
    assert said.count("\n") == 1
    assert server.get("/hello").status == 200


def test_a_socket_that_was_left_behind_is_replaced(config, runtime):
    directory, env = runtime
    with Server(config(hello=HELLO), env) as server:
        port = server.port
        server.process.kill()
        server.wait()
    assert (directory / f"127.0.0.1:{port}.sock").is_socket()
    options = ("--listen", f"127.0.0.1:{port}")
    with Server(config(hello=HELLO), env, options=options) as server:
        done = skerry("status", *options, env=env)
        assert str(server.process.pid) in done.stdout.decode()
    assert not (directory / f"127.0.0.1:{port}.sock").exists()


def test_the_directory_of_the_sockets_is_its_owners_alone(config, runtime):
    directory, env = runtime
    with Server(config(hello=HELLO), env):
        assert directory.stat().st_mode & 0o777 == 0o700


def test_serving_goes_on_where_no_socket_can_be_made(config, tmp_path):
    (tmp_path / "file").write_text("")
    env = os.environ | {"RUNTIME_DIRECTORY": str(tmp_path / "file")}
    with Server(config(hello=HELLO), env) as server:
        assert server.get("/hello").status == 200
        assert "error: skerry status will not work: " in server.log


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a directory away")
def test_no_socket_is_made_in_a_directory_of_somebody_else(config, runtime):
    directory, env = runtime
    directory.mkdir()
    os.chown(directory, 1234, 1234)
    with Server(config(hello=HELLO), env) as server:
        assert server.get("/hello").status == 200
        assert "the directory belongs to another user" in server.log
    assert list(directory.iterdir()) == []


def test_status_tells_what_storage_has_done(tmp_path):
    source = r"""
    #include <string.h>
    static int count;
    static void add(size_t n, struct virtbuffer buf[], size_t res)
    {
        count++;
        if (*(const char *)buf[0].data == '!')
            __builtin_trap();
        storage_return(&count, sizeof count);
    }
    START {}
    HANDLE {
        int now = 0;
        storage_call(add, strstr(url, "bad") ? "!" : "+", 1, &now, sizeof now);
        reply("%d", now);
    }
    """
    file = write_config(tmp_path, {"adder": {"source": source, "storage": True}})
    with Server(file, workers=2) as server:
        paths = ["/adder", "/adder/bad", "/adder"]
        assert [server.get(path).body for path in paths] == [b"1", b"0", b"2"]
        (program,) = server.status()["programs"]
    assert (program["storage_calls"], program["storage_undone"]) == (3, 1)
