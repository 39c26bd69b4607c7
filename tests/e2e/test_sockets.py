"""Programs that connect to other hosts by sockets, served by workers in the jail."""

import errno
import os
import re
import signal
import time
from pathlib import Path

import pytest
from support.client import Raw, crowd, wait_until
from support.guests import PRELUDE, compile_guest
from support.peers import Peer, closed_port
from support.server import Server, skerry, write_config
from support.web import Web, page

# /NAME/PORT/LINE connects to 127.0.0.1, says LINE and tells what comes: "result text".
# Then it ends as the first letter of LINE's last word says: c crashes, t runs on.
ASK = r"""
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
static int link_to(int port)
{
    struct sockaddr_in to = {AF_INET, htons(port), {htonl(0x7f000001)}};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    return connect(fd, (void *)&to, sizeof to) ? -errno : fd;
}
static const char *hear(int fd, const char *line)
{
    static char heard[1000], said[100];
    write(fd, said, sprintf(said, "%s\n", line));
    long n = read(fd, heard, 999);
    heard[n > 0 ? n : 0] = 0;
    return heard;
}
static const char *line_of(const char *url, int *port)
{
    static char line[100] = "";
    sscanf(url, "/%*[^/]/%d/%99s", port, line);
    for (char *at = line; *at; at++)
        *at = *at == '+' ? ' ' : *at;
    return line;
}
"""
TELL = r"""
START {}
HANDLE {
    int port = 0;
    const char *line = line_of(url, &port);
    int fd = link_to(port);
    const char *heard = fd < 0 ? "" : hear(fd, line);
    if (*heard == 'c')
        *(volatile int *)0 = 1;
    if (*heard == 't')
        for (;;) ;
    reply("%d %s", fd < 0 ? fd : 0, heard);
}
"""
HELLO = 'START {} HANDLE { reply("Hello World!"); }'
FAILS = ASK + TELL


@pytest.fixture
def peer():
    with Peer() as made:
        yield made


@pytest.fixture
def serve(tmp_path, peer):
    """serve(**programs): a server with "ask", which may reach the peer, and "hello"."""
    servers = []

    def start(workers=1, hosts=None, **programs):
        hosts = [f"127.0.0.1:{peer.port}"] if hosts is None else hosts
        programs = {
            "ask": {"source": FAILS, "allowed_hosts": hosts, "max_request_time": 2},
            "hello": {"source": HELLO},
            **{
                name: {"allowed_hosts": hosts, **keys}
                for name, keys in programs.items()
            },
        }
        server = Server(write_config(tmp_path, programs), workers=workers)
        servers.append(server)
        return server

    yield start
    for each in servers:
        each.stop()


def told(server: Server, path: str) -> str:
    answer = server.get(path)
    assert answer.status == 200, server.log
    return answer.body.decode()


def failed(number: int) -> str:
    return f"-{number} "


def test_workers_connect_where_it_is_allowed_and_nowhere_else(serve, peer):
    server = serve(workers=2, none={"source": FAILS, "allowed_hosts": []})
    answers = crowd(server.port, [f"/ask/{peer.port}/say+hello"] * 8, 5)
    assert {each.body for each in answers} == {b"0 hello"}
    assert peer.total == 40
    assert told(server, f"/ask/{closed_port()}/x") == failed(errno.EACCES)
    assert told(server, f"/none/{peer.port}/x") == failed(errno.EACCES)
    server.wait_for(r"\[none\] connect to .*EACCES: allowed_hosts has no such address")
    assert peer.total == 40


def test_nobody_listens_there(serve):
    server = serve(hosts=["127.0.0.1:*"])
    for _ in range(3):
        assert told(server, f"/ask/{closed_port()}/x") == failed(errno.ECONNREFUSED)


def test_machines_that_wait_for_others_hold_up_nobody(serve, peer):
    server = serve(many={"source": FAILS, "concurrency": 20, "max_request_time": 30})
    clients = [Raw(server.port) for _ in range(20)]
    try:
        for each in clients:
            each.get(f"/many/{peer.port}/hold")
        wait_until(lambda: peer.open == 20)
        begin = time.process_time()
        assert server.get("/hello").body == b"Hello World!"
        assert told(server, f"/ask/{peer.port}/say+hello") == "0 hello"
        assert time.process_time() - begin < 5
    finally:
        for each in clients:
            each.close()
    wait_until(lambda: peer.open == 0)  # as soon as the clients have left


def test_a_machine_that_waits_costs_no_processor(serve, peer):
    server = serve()
    with Raw(server.port) as client:
        client.get(f"/ask/{peer.port}/hold")
        wait_until(lambda: peer.open == 1)
        before = ticks(server.pid)
        time.sleep(1)
        assert ticks(server.pid) - before < 50  # of 100 that one second has
        assert client.answer().status == 500
    server.wait_for("time limit reached")
    wait_until(lambda: peer.open == 0)


def ticks(pid: int) -> int:
    """What process (pid) has used of processors, in 1/100 s."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def settled(pids: list[int]) -> list[int]:
    """How many descriptors each has, once that does not change: machines that are given
    up are closed by and by."""
    found: list[list[int]] = []

    def is_the_same() -> bool:
        time.sleep(0.02)
        found.append([len(os.listdir(f"/proc/{pid}/fd")) for pid in pids])
        return found[-20:] == found[-1:] * 20

    wait_until(is_the_same)
    return found[-1]


def test_200_requests_leave_no_descriptor_however_they_end(serve, peer):
    one = {"source": FAILS, "concurrency": 1, "max_request_time": 0.1}
    server = serve(one=one)
    ends = ["say+hello"] * 8 + ["say+crash", "close", "reset", "say+turns"]

    def held_after(count: int) -> list[int]:
        """What each process holds, when one machine of each program is there."""
        for number in range(count):
            answer = server.get(f"/one/{peer.port}/{ends[number % len(ends)]}")
            assert answer.status in (200, 500)
        wait_until(lambda: peer.open == 0)
        assert told(server, f"/one/{peer.port}/say+hello") == "0 hello"
        server.get("/hello")
        wait_until(lambda: peer.open == 0)
        fetchers = server.all_of("skerry.fetcher")
        return settled([server.process.pid, server.pid, *fetchers])

    before = held_after(24)
    assert held_after(200) == before


def test_connections_end_with_their_worker(serve, peer):
    server = serve()
    with Raw(server.port) as client:
        client.get(f"/ask/{peer.port}/hold")
        wait_until(lambda: peer.open == 1)
        server.kill("skerry.worker")
        wait_until(lambda: peer.open == 0)
    wait_until(lambda: server.workers)
    assert told(server, f"/ask/{peer.port}/say+hello") == "0 hello"


def test_connections_outlive_who_made_them(serve, peer):
    server = serve(slow={"source": FAILS, "max_request_time": 60})
    with Raw(server.port) as client:
        client.get(f"/slow/{peer.port}/late")
        wait_until(lambda: peer.open == 1)
        server.kill("skerry.fetcher")
        server.wait_for("the fetcher .* starting another")
        peer.go_on()
        assert client.answer().body == b"0 at last"
    again = f"/ask/{peer.port}/say+hello"
    wait_until(lambda: told(server, again) == "0 hello")


def test_a_reload_changes_where_sockets_may_lead(serve, peer, tmp_path):
    server = serve(hosts=[])
    assert told(server, f"/ask/{peer.port}/x") == failed(errno.EACCES)
    programs = {"ask": {"source": FAILS, "allowed_hosts": ["127.0.0.0/8:*"]}}
    write_config(tmp_path, programs)
    server.process.send_signal(signal.SIGHUP)
    server.wait_for("configuration loaded again")
    wait_until(lambda: told(server, f"/ask/{peer.port}/say+hello") == "0 hello")


KEPT = (
    ASK
    + r"""
static int fd = -1;
START {}
HANDLE {
    int port = 0;
    const char *line = line_of(url, &port);
    if (fd < 0)
        fd = link_to(port);
    reply("%s", hear(fd, line));
}
"""
)


def test_a_machine_that_is_not_put_back_keeps_its_connection(serve, peer):
    server = serve(kept={"source": KEPT, "concurrency": 1, "ephemeral": False})
    for word in ("one", "two", "three"):
        assert told(server, f"/kept/{peer.port}/say+{word}") == word
    assert peer.total == 1 and peer.open == 1


# Each piece of its body comes from its connection.
PIECES = (
    ASK
    + r"""
static struct streaming_content piece(void *arg, size_t max, size_t written,
                                      size_t total)
{
    const char *heard = hear(*(int *)arg, "say piece ");
    return (struct streaming_content){heard, 5};
}
START {}
HANDLE {
    static int fd;
    int port = 0;
    line_of(url, &port);
    fd = link_to(port);
    begin_streaming_response(200, "text/plain", 10, 50, piece, &fd);
}
"""
)


def test_pieces_of_a_body_wait_for_a_connection_of_their_request(serve, peer):
    server = serve(pieces={"source": PIECES})
    for _ in range(3):
        assert told(server, f"/pieces/{peer.port}/x") == "piece" * 10
    wait_until(lambda: peer.open == 0)


# A client as it is written everywhere: HTTP/1.0 by stdio, without a word about skerry.
HTTP = r"""
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
static long get(const char *host, const char *port, char *to, size_t size)
{
    struct sockaddr_in there = {AF_INET, htons(atoi(port))};
    int fd = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP);
    inet_pton(AF_INET, host, &there.sin_addr);
    if (fd < 0 || connect(fd, (struct sockaddr *)&there, sizeof there))
        return -2;
    FILE *file = fdopen(fd, "r+");
    fprintf(file, "GET /page HTTP/1.0\r\nHost: %s\r\n\r\n", host);
    fflush(file);
    size_t n = fread(to, 1, size - 1, file);
    to[n] = 0;
    fclose(file);
    return n;
}
START {}
HANDLE {
    static char text[100000];
    char port[16] = "";
    sscanf(url, "/%*[^0-9]%15[0-9]", port);
    long n = get("127.0.0.1", port, text, sizeof text);
    const char *body = n < 0 ? NULL : strstr(text, "\r\n\r\n");
    reply("%ld %s", body ? (long)strlen(body) : n, body ? body + 4 : "");
}
"""


def test_an_ordinary_client_of_http_works(tmp_path):
    body = b"a page " * 100
    with Web() as web:
        web.answers["/page"] = page(body)
        hosts = [f"127.0.0.1:{web.port}"]
        file = write_config(
            tmp_path, {"http": {"source": HTTP, "allowed_hosts": hosts}}
        )
        with Server(file) as server:
            found = told(server, f"/http/{web.port}")
            assert found.split(" ", 1)[1].encode() == body
        program = str(compile_guest(PRELUDE + HTTP))
        url = f"/x/{web.port}"
        done = skerry("run", program, "--url", url, "--allow", hosts[0])
        assert done.stdout.endswith(body), done.stderr
        refused = skerry("run", program, "--url", url)
        assert refused.stdout.endswith(b"-2 ")
        assert re.search(rb"EACCES: allowed_hosts has no such address", refused.stderr)
