"""X-Request-Id: in every response, in the log, and in what the program sees."""

import re

import pytest
from support.client import Raw
from support.programs import TROUBLE
from support.server import Server, write_config

SEEN = {
    "source": r"""
START {}
HANDLE {
    char id[200] = "";
    http_append_str(RESPONSE, "X-Request-Id: of-the-program");
    int len = http_find_str(REQUEST, "X-Request-Id", id, sizeof id);
    reply("%.*s", len, id);
}
"""
}
MADE = re.compile(r"[0-9a-f]{12}-[0-9a-f]+")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    where = tmp_path_factory.mktemp("ids")
    with Server(write_config(where, {"seen": SEEN, "trouble": TROUBLE})) as started:
        yield started


def ids(answer) -> list[str]:
    return answer.headers.get_all("X-Request-Id")


def ask(server, id: str):
    return server.get("/seen", headers={"X-Request-Id": id})


def test_every_request_has_one_of_its_own(server):
    found = [ids(server.get("/seen")) for _ in range(20)]
    assert all(len(each) == 1 and MADE.fullmatch(each[0]) for each in found)
    assert len({each[0] for each in found}) == 20


def test_the_program_sees_it_and_does_not_change_it(server):
    answer = server.get("/seen")
    assert answer.body.decode() == f"X-Request-Id: {ids(answer)[0]}"


@pytest.mark.parametrize("id", ["1", "a-B_c.9/x{}", "x" * 128])
def test_one_that_the_client_gives_is_kept(server, id):
    answer = ask(server, id)
    assert (ids(answer), answer.body.decode()) == ([id], f"X-Request-Id: {id}")


@pytest.mark.parametrize("id", ["", "x" * 129, "a b", 'a"b', "a'b", "a\tb", "\xe9"])
def test_one_that_is_not_sane_is_replaced(server, id):
    answer = ask(server, id)
    (made,) = ids(answer)
    assert MADE.fullmatch(made) and answer.body.decode() == f"X-Request-Id: {made}"


def raw(server, head: bytes):
    """The answer to a request with these bytes."""
    with Raw(server.port) as client:
        client.send(head + b"\r\n\r\n")
        return client.answer()


def test_of_two_neither_is_taken(server):
    twice = b"X-Request-Id: one\r\nx-request-id: two"
    answer = raw(server, b"GET /seen HTTP/1.1\r\nHost: a\r\n" + twice)
    (made,) = ids(answer)
    assert MADE.fullmatch(made) and answer.body.decode() == f"X-Request-Id: {made}"


def test_a_failed_request_is_found_in_the_log_by_it(server):
    answer = server.get("/trouble/crash", headers={"X-Request-Id": "find-me"})
    assert (answer.status, ids(answer)) == (500, ["find-me"])
    server.wait_for(
        r"\[trouble\] request failed: page fault reading 0x0 at 0x\w+ in on_get\+0x\w+"
        r"; GET /trouble/crash; \d+\.\d ms; id find-me\n"
    )


def test_the_hosts_own_answers_have_one(server):
    missing = server.get("/nobody", headers={"X-Request-Id": "who"})
    assert (missing.status, ids(missing)) == (404, ["who"])
    no_host = raw(server, b"GET / HTTP/1.1")
    assert (no_host.status, len(ids(no_host))) == (400, 1)
    large = b"POST / HTTP/1.1\r\nHost: a\r\nX-Request-Id: big\r\nContent-Length: "
    refused = raw(server, large + b"9" * 11)
    assert (refused.status, ids(refused)) == (413, ["big"])
