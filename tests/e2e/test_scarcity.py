"""A server that is short of descriptors, of memory, of room for its log: it goes on as
far as that goes, says so, and is as before when there is enough again."""

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
from support.client import LONG, Raw, ask, connection, crowd, wait_until
from support.processes import (
    cpu_seconds,
    limit_files,
    limit_memory,
    listening_port,
    resident_kb,
)
from support.programs import HELLO, TROUBLE
from support.server import ENDS_WITH_US, SKERRY, Server, write_config

MB = 1024  # in kB
SLACK_KB = 24 * MB
WAITING = "new connections have to wait: "

# /NAME/MB answers so many MB of x; /NAME/all takes memory until there is no more, and
# then answers; /NAME/long takes longer than the event loop waits.
MEMORY = {
    "max_memory": 128,
    "max_request_memory": 128,
    "max_request_time": 2,
    "concurrency": 1,
    "source": r"""
#include <stdlib.h>
#include <string.h>
START {}
HANDLE {
    size_t taken = 0, step = 1 << 16;
    if (strstr(url, "/all")) {
        for (void *got; (got = malloc(step)); taken += step)
            memset(got, 1, step);
        reply("%zu", taken);
    }
    if (strstr(url, "/long"))
        for (volatile int n = 0; n < 20000000; n++) {}
    size_t size = strtoul(strrchr(url, '/') + 1, 0, 10) << 20;
    backend_response(200, "a/b", 3, memset(malloc(size), 'x', size), size);
}
""",
}
PROGRAMS = {
    "hello": HELLO,
    "full": MEMORY | {"max_memory": 32, "max_request_memory": 32},
    "trouble": TROUBLE | {"concurrency": 1},
}


# Descriptors.


@contextmanager
def few_files(server: Server) -> Iterator[None]:
    """No process of (server) may open more than two files in addition."""
    pids = server.pids()
    limit_files(pids, 2)
    try:
        yield
    finally:
        limit_files(pids, None)


def test_without_descriptors_who_is_connected_is_served_and_others_wait(server):
    pids = server.pids()
    with connection(server.port) as known, ExitStack() as held:
        assert ask(known, "GET", "/hello").status == 200
        with few_files(server):
            # Four in a row for each process, which between them may take two.
            clients = [held.enter_context(Raw(server.port)) for _ in range(40)]
            for client in clients:
                client.get("/hello")
            server.wait_for(WAITING)
            before = cpu_seconds(pids)
            assert not clients[-1].wait(1)
            assert cpu_seconds(pids) - before < 0.5
            for _ in range(10):
                assert ask(known, "GET", "/hello").status == 200
        assert {client.answer().status for client in clients} == {200}
    assert 1 <= server.log.count(WAITING) <= len(pids)


# Memory.


def test_a_guest_that_takes_all_its_memory_fails_alone(server):
    taken = server.get("/full/all")
    memory = resident_kb(server.pids())
    for _ in range(5):
        again = server.get("/full/all")
        assert (again.status, again.body) == (taken.status, taken.body)
        assert server.get("/hello").status == 200
    assert server.get("/full/1").body == bytes(1 << 20).replace(b"\0", b"x")
    wait_until(lambda: resident_kb(server.pids()) < memory + SLACK_KB)


def test_without_memory_requests_are_500_or_503_and_later_200(serve):
    """A little is left, as every program needs it: small requests go on. 503 where the
    answer finds no memory, 500 where the guest's machine does, nothing where the
    connection does."""
    server = serve(hello=HELLO, memory=MEMORY | {"concurrency": 4})
    for path in ("/hello", "/memory/long"):
        assert server.get(path).status == 200
    pids = server.pids()
    limit_memory(pids, 24)
    try:
        for _ in range(3):
            # What reads and writes sockets may be short of memory too, and close them.
            with suppress(OSError):
                answer = server.request("POST", "/hello", bytes(15 << 20))
                assert answer.status in (200, 500, 503)
            with suppress(OSError):
                assert server.get("/memory/40").status in (500, 503)
            assert server.get("/hello").status == 200
        answers = crowd(server.port, ["/hello"] * 50, 4)
        assert {answer.status for answer in answers} == {200}
    finally:
        limit_memory(pids, None)
    # Not at once: what has failed is not tried again for a tenth of a second.
    for path in ("/hello", "/memory/40"):
        wait_until(lambda path=path: server.get(path).status == 200)
    assert server.pids() == pids


# Room for the log.


@contextmanager
def logging_to(log: Path, file: Path) -> Iterator[Raw]:
    """A client of skerry serve FILE, which writes its log at the end of (log)."""
    with log.open("ab") as out:
        command = [*ENDS_WITH_US, SKERRY, "serve", file, "--listen", "127.0.0.1:0"]
        server = subprocess.Popen(command, stdout=out, stderr=out)
    try:
        wait_until(lambda: listening_port(server.pid) is not None)
        with Raw(listening_port(server.pid)) as client:
            yield client
        server.send_signal(signal.SIGTERM)
        assert server.wait(LONG) == 0
    finally:
        server.kill()
        server.wait()


def assert_served(client: Raw) -> None:
    """Also requests that are logged."""
    for path, status in (("/trouble/crash", 500), ("/trouble", 200), ("/hello", 200)):
        for _ in range(5):
            client.get(path)
            assert client.answer().status == status


def test_requests_are_served_when_the_log_is_always_full(tmp_path):
    with logging_to(Path("/dev/full"), write_config(tmp_path, PROGRAMS)) as client:
        assert_served(client)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    where = tmp_path / "disk"
    where.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "skerry", str(where)]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip("may not mount here")
    yield where
    subprocess.run(["umount", str(where)], check=True)


def test_requests_are_served_on_a_full_disk_and_logged_when_it_has_room(
    small_disk, tmp_path
):
    log, filler = small_disk / "log", small_disk / "filler"
    with logging_to(log, write_config(tmp_path, PROGRAMS)) as client:
        assert_served(client)
        with pytest.raises(OSError, match="No space left"):
            filler.write_bytes(bytes(1 << 20))
        while log.stat().st_size % os.sysconf("SC_PAGESIZE"):
            client.get("/trouble/crash")
            assert client.answer().status == 500
        full = log.stat().st_size
        assert_served(client)
        assert log.stat().st_size == full
        filler.unlink()
        assert_served(client)
        wait_until(lambda: log.stat().st_size > full)
    assert re.search(r"request failed: .*\n\Z|stopping\n\Z", log.read_text())


def test_a_program_serves_again_after_an_answer_that_had_no_memory(serve):
    server = serve(memory=MEMORY | {"concurrency": 1})
    assert server.get("/memory/long").status == 200
    pids = server.pids()
    limit_memory(pids, 24)
    assert server.get("/memory/40").status == 503
    limit_memory(pids, None)
    assert server.get("/memory/1").status == 200, "its one machine is there again"
