"""Many clients, slow clients, clients that do nothing: each is answered or told why
not, the others are served meanwhile, and nothing of it stays."""

import resource
import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from support.client import Raw, crowd, wait_until
from support.processes import cpu_seconds, open_files, resident_kb
from support.programs import HELLO, TROUBLE
from support.server import Server, write_config

MB = 1024  # in kB
SLACK_KB = 24 * MB  # what allocators keep when a crowd has gone
# Connections that do nothing: 10000, or what may be open here and in the server.
IDLE = min(10_000, resource.getrlimit(resource.RLIMIT_NOFILE)[1] // 4 * 3 - 100)
IDLE_KB = 16  # of an idle connection, at most; it is 4
REQUEST = b"GET /hello HTTP/1.1\r\nHost: test\r\n\r\n"

# Computes for some milliseconds.
WORK = r"""
START {}
HANDLE {
    volatile unsigned n = 0;
    while (++n < 2000000) {}
    reply("%u", n);
}
"""
# Answers 8 MB.
LARGE = r"""
#include <stdlib.h>
#include <string.h>
START {}
HANDLE {
    size_t size = 8 << 20;
    backend_response(200, "a/b", 3, memset(malloc(size), 'x', size), size);
}
"""
PROGRAMS = {
    "hello": HELLO,
    "trouble": TROUBLE | {"concurrency": 1},
    "work": {"source": WORK, "concurrency": 1, "max_request_time": 1},
    "large": {"source": LARGE, "concurrency": 2},
}


@pytest.fixture(scope="module", autouse=True)
def many_sockets() -> Iterator[None]:
    """This process holds the other end of every connection."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@contextmanager
def idlers(port: int, count: int) -> Iterator[list[socket.socket]]:
    """(count) connections on which nothing happens, in the end reset: closed in the
    ordinary way, each would take its port for another minute."""
    made = []
    try:
        for _ in range(count):
            made.append(socket.create_connection(("127.0.0.1", port)))
        yield made
    finally:
        for each in made:
            linger = struct.pack("ii", 1, 0)
            each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            each.close()


def overload(server: Server) -> int:
    """300 clients of a program with one clone, which each ask twice, at the same time.
    How many were answered by the program."""
    answers = crowd(server.port, ["/work"] * 300, 2)
    assert len(answers) == 600
    for answer in answers:
        assert answer.status in (200, 503)
        if answer.status == 200:
            assert answer.body == b"2000000"
        else:
            assert answer.headers["Retry-After"] == "1"
    return sum(answer.status == 200 for answer in answers)


def test_under_overload_each_request_is_answered_or_told_to_come_again(server):
    assert overload(server) > 0
    files, memory = open_files(server.pids()), resident_kb(server.pids())
    assert overload(server) > 0
    assert server.get("/work").status == 200
    wait_until(lambda: open_files(server.pids()) <= files)
    assert resident_kb(server.pids()) < memory + SLACK_KB


def test_10_000_idle_connections_cost_little_and_hold_nobody_up(server):
    pids, before = server.pids(), resident_kb(server.pids())
    files = open_files(pids)
    with idlers(server.port, IDLE):
        wait_until(lambda: open_files(pids) >= files + IDLE)
        assert server.get("/hello").body == b"Hello World!"
        held = resident_kb(pids)
        assert held - before < IDLE * IDLE_KB
        assert server.get("/trouble/crash").status == 500
        assert server.get("/trouble").status == 200
    wait_until(lambda: open_files(pids) < files + 100)
    with idlers(server.port, IDLE):
        wait_until(lambda: open_files(pids) >= files + IDLE)
        assert resident_kb(pids) < held + SLACK_KB
    wait_until(lambda: open_files(pids) < files + 100)
    assert server.get("/hello").body == b"Hello World!"


def test_idle_connections_cost_no_time(server):
    with idlers(server.port, 1000), Raw(server.port) as waiting:
        server.get("/hello")
        before = cpu_seconds(server.pids())
        waiting.send(b"GET /hello HTTP/1.1\r\n")
        waiting.wait(1)
        assert cpu_seconds(server.pids()) - before < 0.5


def test_one_connection_too_many_is_told_so_and_the_others_go_on(tmp_path):
    """The limit is three quarters of what the process may open."""
    programs = {"hello": HELLO, "trouble": TROUBLE | {"concurrency": 1}}
    file, under = write_config(tmp_path, programs), ["prlimit", "--nofile=256:256"]
    with Server(file, under=under) as server, ExitStack() as held:
        most = 192 * len(server.pids())
        clients, statuses = [], []
        while 503 not in statuses and len(clients) <= most:
            clients.append(held.enter_context(Raw(server.port)))
            statuses.append(_greeted(clients[-1]))
        assert statuses == [200] * (len(clients) - 1) + [503]
        assert clients[-1].is_ended()
        clients[0].get("/trouble/crash")
        assert clients[0].answer().status == 500
        clients[0].get("/trouble")
        assert clients[0].answer().status == 200
        assert "have to wait" not in server.log


def _greeted(client: Raw) -> int:
    """Asks hello; the status. A 503 to a connection says when to come again."""
    client.send(REQUEST)
    answer = client.answer()
    if answer.status == 503:
        assert answer.headers["Retry-After"] == "1"
        assert b"too many connections" in answer.body
    return answer.status


def test_slow_clients_hold_nobody_up_and_are_told_408(server):
    """Slow heads are; bodies and readers that stop have twice the time and more, which
    tests/host/test_http_protocol.py lets pass."""
    memory = resident_kb(server.pids())
    with ExitStack() as held:

        def clients(count: int, start: bytes) -> list[Raw]:
            made = [held.enter_context(Raw(server.port)) for _ in range(count)]
            for each in made:
                each.send(start)
            return made

        heads = clients(200, REQUEST[:-2])
        clients(200, b"POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n")
        clients(16, REQUEST.replace(b"hello", b"large") * 8)
        while heads[0].is_silent():
            assert server.get("/hello").body == b"Hello World!"
            assert server.get("/work").status == 200
            for trickling in heads[:20]:
                trickling.send(b"A: b\r\n")
        assert [each.answer().status for each in heads] == [408] * len(heads)
        # Each that does not read has one answer here, and its next seven are not made.
        assert resident_kb(server.pids()) < memory + 16 * 8 * MB + SLACK_KB
    wait_until(lambda: resident_kb(server.pids()) < memory + SLACK_KB)
