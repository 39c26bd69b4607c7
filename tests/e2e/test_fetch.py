"""Programs that fetch, from this host and from others, as served."""

import errno
import os
import signal
import time

import pytest
from support.client import Raw, crowd, wait_until
from support.guests import PRELUDE, compile_guest
from support.server import Server, skerry, write_config
from support.web import Web, moved, page

# /NAME?URL fetches URL and follows redirects: "result status content".
FETCH = r"""
#include <string.h>
static char content[2048];
START {}
HANDLE {
    struct curl_op op = {0};
    struct curl_options options = {0};
    const char *at = strchr(url, '?');
    at = at ? at + 1 : "";
    op.content = content;
    op.content_length = sizeof content;
    options.follow_location = 1;
    long ret = sys_fetch(at, strlen(at), &options, &op);
    reply("%ld %u %.*s", ret, op.status, ret ? 0 : (int)op.content_length, content);
}
"""
HELLO = 'START {} HANDLE { reply("Hello World!"); }'
# Answers for ever less by fetching from itself: /NAME?N
COUNTDOWN = r"""
#include <stdlib.h>
#include <string.h>
START {}
HANDLE {
    char content[256], next[64];
    struct curl_op op = {0};
    int n = atoi(strchr(url, '?') + 1);
    if (n == 0)
        reply("0");
    op.content = content;
    op.content_length = sizeof content;
    int len = snprintf(next, sizeof next, "/count?%d", n - 1);
    long ret = sys_fetch(next, len, NULL, &op);
    if (ret)
        reply("%d %ld", n, ret);
    reply("%d %.*s", n, op.status == 508 ? 3 : (int)op.content_length,
          op.status == 508 ? "508" : content);
}
"""


def failed(number: int) -> str:
    return f"-{number} 0 "


@pytest.fixture
def web():
    with Web() as made:
        made.answers["/page"] = page(b"a page")
        yield made


@pytest.fixture
def serve(tmp_path):
    """serve(hosts, **options): a server with "fetch", which may reach (hosts), and
    others."""
    servers = []

    def start(hosts=(), workers=1, env=None, **programs):
        programs = {
            "fetch": {"source": FETCH, "allowed_hosts": list(hosts)},
            "hello": {"source": HELLO},
            "none": {"source": FETCH},
            **programs,
        }
        server = Server(write_config(tmp_path, programs), env=env, workers=workers)
        servers.append(server)
        return server

    yield start
    for each in servers:
        each.stop()


def fetched(server: Server, url: str, name: str = "fetch") -> str:
    answer = server.get(f"/{name}?{url}")
    assert answer.status == 200, server.log
    return answer.body.decode()


# --- From this host ---


def test_a_path_alone_reaches_this_host(serve):
    server = serve()
    assert fetched(server, "/hello?x=1") == "0 200 Hello World!"
    assert fetched(server, "/nobody") == "0 404 404 no program answers here\n"
    assert fetched(server, "//hello").startswith("0 404")
    assert server.all_of("skerry.fetcher") == []


def test_one_machine_may_fetch_from_its_own_program(serve):
    server = serve(count={"source": COUNTDOWN, "concurrency": 1})
    assert server.get("/count?3").body == b"3 2 1 0"


def test_machines_that_all_wait_for_their_own_program_come_to_an_end(serve):
    server = serve(count={"source": COUNTDOWN, "concurrency": 1})
    answers = crowd(server.port, ["/count?5"] * 8, 2)
    assert [each.body for each in answers] == [b"5 4 3 2 1 0"] * 16


def test_at_depth_8_a_loop_ends_with_508(serve):
    server = serve(count={"source": COUNTDOWN, "concurrency": 1})
    assert server.get("/count?8").body == b"8 7 6 5 4 3 2 1 0"
    assert server.get("/count?9").body == b"9 8 7 6 5 4 3 2 1 508"
    assert server.get("/count?500").body.split()[-1] == b"508"


# /NAME?N streams N bytes, in pieces of 100 at most.
STREAM = r"""
#include <stdlib.h>
#include <string.h>
static char letters[100];
static struct streaming_content piece(void *arg, size_t max, size_t written,
                                      size_t total)
{
    size_t left = total - written;
    struct streaming_content some = {letters, left < 100 ? left : 100};
    return some;
}
START { memset(letters, 's', sizeof letters); }
HANDLE {
    begin_streaming_response(200, "text/plain", 10, atoi(strchr(url, '?') + 1), piece,
                             NULL);
}
"""


def test_a_streamed_answer_of_this_host_comes_whole_or_not_at_all(serve):
    server = serve(stream={"source": STREAM, "concurrency": 1})
    for _ in range(3):  # its machine is given back each time
        assert fetched(server, "/stream?2048") == "0 200 " + "s" * 2048
        assert fetched(server, "/stream?2049") == failed(errno.EMSGSIZE)


# --- From others ---


def test_a_host_that_is_allowed_answers(serve, web):
    server = serve([f"127.0.0.1:{web.port}"])
    assert fetched(server, web.url("/page?x=<y>")) == "0 200 nothing here"
    assert fetched(server, web.url("/page")) == "0 200 a page"
    assert b"User-Agent: skerry\r\n" in web.asked[0]
    assert web.asked[0].startswith(b"GET /page?x=<y> HTTP/1.1\r\n")


def test_no_host_is_reached_that_is_not_allowed(serve, web):
    server = serve([f"127.0.0.1:{web.port}", "example.com", "*"])
    others = (f"http://127.0.0.1:{web.port + 1}/", "http://localhost/", "http://[::1]/")
    for url in others:
        assert fetched(server, url) == failed(errno.EACCES)
    assert fetched(server, web.url("/page"), "none") == failed(errno.EACCES)
    assert fetched(server, "ftp://127.0.0.1/") == failed(errno.EINVAL)
    assert web.asked == []


def test_redirects_are_followed_as_far_as_they_are_allowed(serve, web):
    server = serve([f"127.0.0.1:{web.port}"])
    for n in range(7):
        web.answers[f"/{n}"] = moved(f"/{n - 1}") if n else page(b"there")
    assert fetched(server, web.url("/5")) == "0 200 there"
    assert fetched(server, web.url("/6")) == failed(errno.ELOOP)
    with Web() as other:
        web.answers["/away"] = moved(other.url("/page"))
        assert fetched(server, web.url("/away")) == failed(errno.EACCES)
        assert other.asked == []
    web.answers["/file"] = moved("file:///etc/passwd")
    assert fetched(server, web.url("/file")) == failed(errno.EPROTO)


def test_an_answer_that_is_too_large_is_not_taken(serve, web):
    server = serve([f"127.0.0.1:{web.port}"])

    def flood(asked, client):
        client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            client.sendall(bytes(65536))

    web.answers["/flood"] = flood
    web.answers["/large"] = page(bytes(2049))
    web.answers["/fits"] = page(b"x" * 2048)
    assert fetched(server, web.url("/flood")) == failed(errno.EMSGSIZE)
    assert fetched(server, web.url("/large")) == failed(errno.EMSGSIZE)
    assert fetched(server, web.url("/fits")).startswith("0 200 xxx")


def test_who_breaks_off_or_talks_nonsense_is_an_error(serve, web):
    server = serve([f"127.0.0.1:{web.port}"])
    web.answers["/nonsense"] = b"SSH-2.0-OpenSSH\r\n\r\n"
    web.answers["/off"] = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"
    web.answers["/nothing"] = b""
    assert fetched(server, web.url("/nonsense")) == failed(errno.EPROTO)
    assert fetched(server, web.url("/off")) == failed(errno.ECONNRESET)
    assert fetched(server, web.url("/nothing")) == failed(errno.ECONNRESET)
    port = web.port
    web.close()
    assert fetched(server, f"http://127.0.0.1:{port}/") == failed(errno.ECONNREFUSED)


def test_a_slow_host_costs_8_seconds_and_holds_up_nobody(serve, web):
    server = serve(
        [f"127.0.0.1:{web.port}"],
        slow={
            "source": FETCH,
            "allowed_hosts": [f"127.0.0.1:{web.port}"],
            "max_request_time": 1,
            "concurrency": 1,
        },
    )
    web.answers["/slow"] = lambda asked, client: client.recv(1)
    begin = time.monotonic()
    with Raw(server.port) as client:
        client.get(f"/slow?{web.url('/slow')}")
        wait_until(lambda: web.asked)
        assert server.get("/hello").body == b"Hello World!"
        assert client.answer().body.decode() == failed(errno.ETIMEDOUT)
    assert time.monotonic() - begin >= 7.5


def test_a_machine_whose_client_has_left_waits_no_more(serve, web):
    server = serve(
        [f"127.0.0.1:{web.port}"],
        slow={
            "source": FETCH,
            "allowed_hosts": [f"127.0.0.1:{web.port}"],
            "concurrency": 1,
        },
    )
    left = []
    web.answers["/slow"] = lambda asked, client: left.append(client.recv(1))
    with Raw(server.port) as client:
        client.get(f"/slow?{web.url('/slow')}")
        wait_until(lambda: web.asked)
    wait_until(lambda: left)  # before its 8 seconds are over, the fetch is too
    assert left == [b""]
    assert fetched(server, web.url("/page"), "slow") == "0 200 a page"


def test_another_fetcher_takes_the_place_of_one_that_dies(serve, web):
    server = serve([f"127.0.0.1:{web.port}"], workers=2)
    web.answers["/slow"] = lambda asked, client: client.recv(1)
    with Raw(server.port) as client:
        client.get(f"/fetch?{web.url('/slow')}")
        wait_until(lambda: web.asked)
        (before,) = server.all_of("skerry.fetcher")
        os.kill(before, signal.SIGKILL)
        assert client.answer().body.decode() == failed(errno.ECONNRESET)
    server.wait_for("the fetcher .* starting another")
    wait_until(lambda: fetched(server, web.url("/page")) == "0 200 a page")
    wait_until(lambda: len(server.all_of("skerry.fetcher")) == 1)


def test_a_worker_that_is_started_later_fetches_too(serve, web):
    server = serve([f"127.0.0.1:{web.port}"])
    server.kill("skerry.worker")
    wait_until(lambda: server.workers)
    assert fetched(server, web.url("/page")) == "0 200 a page"


def test_the_fetcher_is_nobody(serve, web):
    server = serve([f"127.0.0.1:{web.port}"])
    assert fetched(server, web.url("/page")) == "0 200 a page"
    (pid,) = server.all_of("skerry.fetcher")
    with open(f"/proc/{pid}/status") as lines:
        status = dict(line.rstrip("\n").split(":\t", 1) for line in lines)
    assert status["NoNewPrivs"] == "1"
    if os.geteuid() == 0:
        assert "0" not in status["Uid"].split() and status["Groups"].strip() == ""
        assert int(status["CapEff"], 16) == 0


def test_a_reload_changes_what_is_allowed(serve, web, tmp_path):
    server = serve()
    assert fetched(server, web.url("/page")) == failed(errno.EACCES)
    assert server.all_of("skerry.fetcher") == []
    programs = {
        "fetch": {"source": FETCH, "allowed_hosts": [f"127.0.0.1:{web.port}"]},
    }
    write_config(tmp_path, programs)
    server.process.send_signal(signal.SIGHUP)
    server.wait_for("configuration loaded again")
    wait_until(lambda: fetched(server, web.url("/page")) == "0 200 a page")


def test_skerry_run_fetches_from_itself_and_from_who_is_allowed(web):
    program = str(compile_guest(PRELUDE + FETCH))
    url = web.url("/page")
    allowed = skerry(
        "run", program, "--url", f"/?{url}", "--allow", f"127.0.0.1:{web.port}"
    )
    assert allowed.stdout.endswith(b"0 200 a page"), allowed.stderr
    refused = skerry("run", program, "--url", f"/?{url}")
    assert refused.stdout.decode().endswith(failed(errno.EACCES))
    itself = skerry("run", program, "--url", "/?/x?bad")
    assert itself.stdout.decode().endswith(f"0 200 {failed(errno.EINVAL)}")
