"""A server in its jail, under every kind of load. A system call that is not on the list
ends it: so what it uses is on the list."""

from collections.abc import Iterator

import pytest
from support.client import Raw, crowd, wait_until
from support.programs import HELLO, TROUBLE
from support.server import EXAMPLES, JAILED, Server, write_config

# Bodies both ways, storage, much memory, sleep, random numbers, lines of all kinds.
BUSY = r"""
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
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
    struct timespec t = {0, 5000000};
    size_t size = 3 << 20;
    char *data = malloc(size);
    if (strstr(url, "/sleep"))
        nanosleep(&t, NULL);
    printf("a line\n");
    fflush(stdout);
    sys_log("another", 7);
    memset(data, 'x', size);
    getrandom(data, 1000, 0);
    clock_gettime(CLOCK_REALTIME, &t);
    backend_response(200, "text/plain", 10, data, size);
}
"""
PROGRAMS = {
    "hello": HELLO,
    "trouble": TROUBLE | {"max_request_time": 0.02, "concurrency": 2},
    "busy": {"source": BUSY, "storage": True, "concurrency": 3},
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    file = write_config(tmp_path_factory.mktemp("programs"), PROGRAMS)
    with Server(file, command=JAILED) as made:
        yield made
        assert made.stop() == 0
        assert "Traceback" not in made.log


def test_ordinary_requests_are_served(server) -> None:
    assert server.get("/hello").body == b"Hello World!"
    assert server.get("/nowhere").status == 404
    for body in (b"small", bytes(100_000), bytes(5 << 20)):
        assert server.request("POST", "/busy", body).body == body


def test_crowds_are_served_inline_and_on_threads(server) -> None:
    for paths in (["/hello"] * 20, ["/busy"] * 6, ["/busy/sleep"] * 6):
        answers = crowd(server.port, paths, 5)
        assert {answer.status for answer in answers} == {200}


def test_clones_that_are_lost_are_replaced(server) -> None:
    for path in ("/trouble/crash", "/trouble/mute", "/trouble/loop"):
        assert server.get(path).status == 500
    answers = crowd(server.port, ["/trouble/crash", "/trouble/loop"] * 3, 3)
    assert {answer.status for answer in answers} <= {500, 503}
    wait_until(lambda: server.get("/trouble").status == 200)


def test_rude_clients_are_endured(server) -> None:
    for i in range(20):
        client = Raw(server.port)
        client.send(b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"[: 1 + 2 * i])
        (client.reset if i % 2 else client.close)()
    with Raw(server.port) as client:
        client.send(b"nonsense\r\n\r\n")
        assert client.answer().status == 400


def test_a_log_that_nobody_reads_ends_nothing(tmp_path) -> None:
    file = write_config(tmp_path, {"busy": PROGRAMS["busy"]})
    with Server(file, deaf=True, command=JAILED) as server:
        for _ in range(3):
            assert server.get("/busy").status == 200
        assert server.stop() == 0


def test_the_examples_are_served(server) -> None:
    with Server(EXAMPLES, command=JAILED) as examples:
        for path in ("/hello", "/counter", "/scounter", "/echo", "/greet?name=Ada"):
            assert examples.get(path).status == 200
        assert examples.stop() == 0
