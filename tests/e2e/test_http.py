"""HTTP as clients speak it, against the running server."""

import hashlib
from contextlib import ExitStack

import pytest
from support.client import Raw, ask, connection, wait_until
from support.programs import GATE, HELLO, TROUBLE, enter

MB = 1 << 20

COUNT = r"""
static void on_post(const char *url, const char *arg, const char *type,
                    const uint8_t *data, size_t len)
{
    unsigned long sum = 0;
    for (size_t i = 0; i < len; i++)
        sum += data[i] * (i % 251 + 1);
    reply("%zu %lu", len, sum);
}
START { set_backend_post(on_post); }
HANDLE {}
"""

LARGE = r"""
#include <stdlib.h>
START {}
HANDLE {
    size_t size = 64UL << 20;
    uint64_t *data = malloc(size);
    for (size_t i = 0; i < size / 8; i++)
        data[i] = i * 0x9e3779b97f4a7c15UL;
    backend_response(200, "text/plain", 10, data, size);
}
"""

UNREAD = r"""
static char data[4 << 20];
START {}
HANDLE { backend_response(200, "text/plain", 10, data, sizeof data); }
"""

FORGE = r"""
START {}
HANDLE {
    http_append_str(RESPONSE, "Content-Length: 5");
    http_append_str(RESPONSE, "Transfer-Encoding: chunked");
    http_append_str(RESPONSE, "Connection: upgrade");
    http_append_str(RESPONSE, "X-Kept: yes");
    reply("whole body");
}
"""

EMPTY = 'START {} HANDLE { backend_response(200, "text/plain", 10, NULL, 0); }'

PROGRAMS = {
    "hello": HELLO,
    "gate": GATE,
    "narrow": GATE | {"concurrency": 4},
    "trouble": TROUBLE,
    "small": HELLO | {"max_memory": 16, "max_request_memory": 8},
    "count": {"source": COUNT},
    "large": {"source": LARGE},
    "unread": {"source": UNREAD},
    "forge": {"source": FORGE},
    "empty": {"source": EMPTY},
}


def test_a_head_is_a_get_without_its_body(examples):
    with connection(examples.port) as client:
        same = {"X-Request-Id": "same"}
        head = ask(client, "HEAD", "/hello", headers=same)
        full = ask(client, "GET", "/hello", headers=same)
    assert (head.status, head.body) == (200, b"")
    assert full.body == b"Hello World!"
    del head.headers["Date"], full.headers["Date"]
    assert head.headers.items() == full.headers.items()


def test_one_connection_carries_many_requests(examples):
    with Raw(examples.port) as client:
        for path, body in [("/hello", b"Hello World!"), ("/none", None)] * 5:
            client.get(path)
            answer = client.answer()
            assert answer.status == (200 if body else 404)
            assert body in (None, answer.body)


def test_pipelined_requests_are_answered_in_order(examples):
    names = [f"name{i}" for i in range(50)]
    with Raw(examples.port) as client:
        client.send(
            b"".join(
                f"GET /greet?name={name} HTTP/1.1\r\nHost: a\r\n\r\n".encode()
                for name in names
            )
        )
        bodies = [client.answer().body.decode() for _ in names]
    assert bodies == [f"Hello, {name}!\n" for name in names]


def test_requests_that_arrive_together_get_their_own_answers(server):
    paths = ["/trouble", "/trouble/crash", "/empty", "/trouble/mute", "/none"] * 12
    paths[7] = "/trouble/loop"
    expected = {"/trouble": 200, "/empty": 200, "/none": 404}
    with ExitStack() as held:
        clients = [held.enter_context(Raw(server.port)) for _ in paths]
        with server.paused():
            for client, path in zip(clients, paths, strict=True):
                client.get(path)
        statuses = [client.answer().status for client in clients]
    assert statuses == [expected.get(path, 500) for path in paths]


def test_requests_that_arrive_together_see_nothing_of_each_other(examples):
    paths = [f"/echo/{i}" for i in range(100)]
    with ExitStack() as held:
        clients = [held.enter_context(Raw(examples.port)) for _ in paths]
        with examples.paused():
            for client, path in zip(clients, paths, strict=True):
                client.get(path)
        answers = [client.answer() for client in clients]
    for path, answer in zip(paths, answers, strict=True):
        lines = f"Host: test\nX-Request-Id: {answer.headers['X-Request-Id']}"
        assert answer.body == f"GET {path}\n{lines}\n\n".encode()


def test_what_is_pipelined_behind_a_slow_request_waits_for_it(server):
    server.get("/gate/shut")
    with Raw(server.port) as client:
        enter(client, server)
        client.get("/hello")
        assert server.get("/hello").body == b"Hello World!"
        assert client.is_silent()
        assert server.get("/gate/open").status == 200
        assert [client.answer().body for _ in "12"] == [b"through", b"Hello World!"]


def test_http_1_0_closes_unless_asked_to_stay(examples):
    with Raw(examples.port) as client:
        client.send(b"GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        assert client.answer().headers["Connection"] == "keep-alive"
        client.send(b"GET /hello HTTP/1.0\r\n\r\n")
        assert client.answer().body == b"Hello World!"
        assert client.is_ended()


def test_a_client_may_ask_to_close(examples):
    with Raw(examples.port) as client:
        client.send(b"GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert client.answer().headers["Connection"] == "close"
        assert client.is_ended()


@pytest.mark.parametrize("host", ["greet", "GREET", "greet:8080"])
def test_a_host_header_that_names_a_program_reaches_it(examples, host):
    answer = examples.get("/any/path?name=Ada", {"Host": host})
    assert answer.body == b"Hello, Ada!\n"


@pytest.mark.parametrize("path", ["/hello", "/hello/", "/hello/a/b?c", "/hello?x=/y"])
def test_everything_below_its_name_reaches_a_program(examples, path):
    assert examples.get(path).body == b"Hello World!"


@pytest.mark.parametrize("path", ["/", "/hell", "/hellox", "/Hello", "/%68ello", "//"])
def test_a_path_that_names_no_program_is_a_404(examples, path):
    assert examples.get(path).status == 404


def test_a_program_that_fails_is_a_500_and_the_log_says_why(server):
    for path, reason in [
        ("/trouble/crash", "page fault reading 0x0"),
        ("/trouble/mute", "returned without a response"),
        ("/trouble/loop", "time limit reached"),
    ]:
        assert server.get(path).status == 500
        server.wait_for(rf"\[trouble\] request failed: .*{reason}")
        assert server.get("/trouble").body == b"fine"


def test_a_chunked_body_reaches_the_program_in_one_piece(examples):
    answer = examples.request("POST", "/echo", iter([b"one,", b"two,", b"three"]))
    assert answer.headers["X-Body-Length"] == "13"
    assert answer.body.endswith(b"\n\none,two,three")


def test_a_client_that_expects_100_continue_gets_it(examples):
    with Raw(examples.port) as client:
        client.send(
            b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n"
            b"Expect: 100-continue\r\n\r\n"
        )
        assert client.answer().status == 100
        client.send(b"body")
        assert client.answer().body.endswith(b"\n\nbody")


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET /hello HTTP/1.1\r\n\r\n", 400),
        (b"GET /hello HTTP/1.1\r\nHost: a\r\nA : b\r\n\r\n", 400),
        (b"POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", 400),
        (
            b"POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
        ),
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nHost: a\r\nA: " + b"a" * 70000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
    ],
)
def test_a_malformed_request_is_refused_and_its_connection_closed(
    examples, request_, status
):
    with Raw(examples.port) as client:
        client.send(request_)
        answer = client.answer()
        assert (answer.status, answer.headers["Connection"]) == (status, "close")
        assert client.is_ended()


def test_a_body_over_the_limit_of_the_server_is_refused_before_it_is_sent(examples):
    with Raw(examples.port) as client:
        size = 16 * MB + 1
        head = f"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n"
        client.send(head.encode())
        assert client.answer().status == 413
        assert client.is_ended()


def test_a_body_over_the_limit_of_the_program_is_a_413(server):
    with connection(server.port) as client:
        answer = ask(client, "POST", "/small", bytes(5 * MB))
        assert answer.status == 413
        assert b"too large for this program" in answer.body
        assert ask(client, "GET", "/small").body == b"Hello World!"


def test_a_large_body_reaches_the_program_whole(server):
    body = bytes(range(256)) * (8 * MB // 256)
    total = sum(value * (i % 251 + 1) for i, value in enumerate(body[: 251 * 256]))
    whole, rest = divmod(len(body), 251 * 256)
    tail = body[len(body) - rest :]
    total = total * whole + sum(v * (i % 251 + 1) for i, v in enumerate(tail))
    answer = server.request("POST", "/count", body)
    assert answer.body == b"%d %d" % (len(body), total)


def test_a_response_of_64_mb_arrives_whole(server):
    first, second = server.get("/large"), server.get("/large")
    assert len(first.body) == 64 * MB
    assert first.body[8:16] == (0x9E3779B97F4A7C15).to_bytes(8, "little")
    assert first.body[-8:] == (((8 * MB - 1) * 0x9E3779B97F4A7C15) % 2**64).to_bytes(
        8, "little"
    )
    digests = {hashlib.sha256(each.body).digest() for each in (first, second)}
    assert len(digests) == 1
    assert server.get("/hello").status == 200


def test_an_empty_response_has_a_content_length_of_0(server):
    answer = server.get("/empty")
    assert (answer.status, answer.headers["Content-Length"]) == (200, "0")


def test_a_program_cannot_forge_the_frame_of_its_response(server):
    with Raw(server.port) as client:
        for _ in range(2):
            client.get("/forge")
            answer = client.answer()
            assert answer.body == b"whole body"
            assert answer.headers.get_all("Content-Length") == ["10"]
            assert answer.headers["X-Kept"] == "yes"
            assert "Transfer-Encoding" not in answer.headers


def test_a_client_that_leaves_while_its_request_runs_disturbs_nobody(server):
    for leave in (Raw.close, Raw.reset):
        client = Raw(server.port)
        server.get("/gate/shut")
        enter(client, server)
        leave(client)
        assert server.get("/gate/open").status == 200
        assert server.get("/gate/pass").body == b"through"
        assert server.get("/hello").body == b"Hello World!"


def fill(server, clients):
    """All (clients) are in the gate of narrow at the same time; then it opens."""
    assert server.get("/narrow/shut").status == 200
    for client in clients:
        enter(client, server, "narrow")
    assert server.get("/narrow/open").status == 200
    assert {client.answer().body for client in clients} == {b"through"}


def test_clients_that_leave_before_their_requests_begin_cost_no_clone(server):
    with ExitStack() as held:
        clients = [held.enter_context(Raw(server.port)) for _ in range(3)]
        fill(server, clients)
        assert server.get("/narrow/shut").status == 200
        with server.paused():
            for client in clients:
                client.get("/narrow/pass")
            for client in clients:
                client.reset()
        assert server.get("/narrow/open").status == 200
        wait_until(lambda: server.get("/narrow/inside").body == b"0")
        fill(server, [held.enter_context(Raw(server.port)) for _ in range(3)])


def test_a_client_that_leaves_in_the_middle_of_its_body_disturbs_nobody(server):
    for leave in (Raw.close, Raw.reset):
        client = Raw(server.port)
        client.send(b"POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf")
        leave(client)
        assert server.get("/hello").body == b"Hello World!"


def test_a_client_that_does_not_read_its_response_disturbs_nobody(server):
    client = Raw(server.port)
    for _ in range(4):
        client.get("/unread")
    assert server.get("/hello").body == b"Hello World!"
    assert len(client.answer().body) == 4 * MB
    client.reset()
    assert server.get("/hello").body == b"Hello World!"
