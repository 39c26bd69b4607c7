"""What requests leave in the server: nothing."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

from support.client import LONG, Raw, ask, connection, crowd, wait_until
from support.programs import TROUBLE
from support.server import Server

# Bodies both ways, storage, memory of its own.
BUSY = {
    "storage": True,
    "source": r"""
#include <stdlib.h>
#include <string.h>
static size_t total;
static void add(size_t n, struct virtbuffer buf[n], size_t res)
{
    total += buf[0].len;
    storage_return(&total, sizeof total);
}
static void on_post(const char *url, const char *arg, const char *type,
                    const uint8_t *data, size_t len)
{
    size_t sum;
    storage_call(add, data, len, &sum, sizeof sum);
    backend_response(200, "text/plain", 10, data, len);
}
START { set_backend_post(on_post); STORAGE_ALLOW(add); }
HANDLE {
    size_t size = 3 << 20;
    char *data = malloc(size);
    memset(data, 'x', size);
    backend_response(200, "text/plain", 10, data, size);
}
""",
}
# With one clone each, how many there are does not depend on how fast they are.
PROGRAMS = {
    "trouble": TROUBLE | {"concurrency": 1},
    "brief": TROUBLE | {"concurrency": 1, "max_request_time": 0.01},
    "busy": BUSY | {"concurrency": 1},
}
SLACK_KB = 4096  # of resident memory: what the allocators of a healthy server keep
MAPPINGS_PER_THREAD = 4  # its stack and its arena, and their guards


@dataclass(frozen=True, slots=True)
class Footprint:
    """What a process holds. Threads are made when they are first needed, and stay."""

    files: int
    threads: int
    mappings: int
    resident_kb: int

    def holds_no_more_than(self, before: "Footprint") -> bool:
        """Whether it has grown by no more than its new threads explain."""
        new = self.threads - before.threads
        return (
            self.files <= before.files
            and new <= len(PROGRAMS)
            and self.mappings <= before.mappings + 2 + new * MAPPINGS_PER_THREAD
            and self.resident_kb <= before.resident_kb + SLACK_KB
        )


def footprint(server: Server) -> Footprint:
    process = Path(f"/proc/{server.pid}")
    status = (process / "status").read_text()
    return Footprint(
        files=len(os.listdir(process / "fd")),
        threads=len(os.listdir(process / "task")),
        mappings=len((process / "maps").read_text().splitlines()),
        resident_kb=int(status.partition("VmRSS:")[2].split()[0]),
    )


def mix(server: Server, rounds: int) -> int:
    """10 requests of all kinds in each of (rounds). Returns how many were made."""
    wanted = [
        ("GET", "/trouble", None, 200),
        ("GET", "/trouble/crash", None, 500),
        ("GET", "/trouble/mute", None, 500),
        ("GET", "/busy", None, 200),
        ("POST", "/busy", b"small", 200),
        ("POST", "/busy", bytes(1 << 20), 200),
        ("POST", "/trouble/crash", b"body", 500),
        ("GET", "/nowhere", None, 404),
        ("HEAD", "/trouble", None, 200),
    ]
    made = 0
    for _ in range(rounds):
        with connection(server.port) as client:
            for method, path, body, status in wanted:
                assert ask(client, method, path, body).status == status
        with Raw(server.port) as rude:
            rude.send(b"nonsense\r\n\r\n")
            assert rude.answer().status == 400
        made += len(wanted) + 1
    return made


def settled(server: Server) -> Footprint:
    """The footprint with a clone of each program, and no connection."""
    for path in ("/trouble", "/brief", "/busy"):
        wait_until(lambda path=path: server.get(path).status == 200)
    before, now = None, footprint(server)
    while before != now:
        time.sleep(0.3)
        before, now = now, footprint(server)
    return now


def is_back_to(server: Server, before: Footprint) -> bool:
    """Whether (server) soon holds no more than (before)."""
    end = time.monotonic() + LONG / 4
    while not (now := settled(server)).holds_no_more_than(before):
        if time.monotonic() > end:
            print(f"before: {before}\nafter: {now}")
            return False
    return True


def test_500_mixed_requests_leave_nothing_behind(server):
    crowd(server.port, ["/trouble", "/trouble/crash", "/busy"] * 2, 5)
    mix(server, 5)
    before = settled(server)
    assert mix(server, 50) == 500
    assert is_back_to(server, before)


def test_guests_that_are_stopped_leave_nothing_behind(server):
    crowd(server.port, ["/brief/loop"] * 4, 5)
    before = settled(server)
    answers = crowd(server.port, ["/brief/loop"] * 4, 25)
    assert {answer.status for answer in answers} <= {500, 503}
    assert is_back_to(server, before)


def test_connections_that_are_dropped_leave_nothing_behind(server):

    def drop(count: int) -> None:
        for i in range(count):
            client = Raw(server.port)
            client.send(b"GET /trouble HTTP/1.1\r\nHost: a\r\n\r\n"[: 1 + i % 44])
            (client.reset if i % 2 else client.close)()

    drop(50)
    before = settled(server)
    drop(200)
    assert is_back_to(server, before)
