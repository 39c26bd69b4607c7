"""What a new user sees: the examples, served, and asked with an ordinary client."""

import re
from datetime import UTC
from email.utils import parsedate_to_datetime

from support.server import EXAMPLES, Server, skerry

NAMES = {"hello", "counter", "scounter", "echo", "greet", "kitchen-sink"}


def test_counters_count_requests():
    with Server(EXAMPLES) as server:
        stored = [server.get("/counter") for _ in range(3)]
        shared = [server.get("/scounter").body for _ in range(3)]
    assert [each.headers["X-Counter"] for each in stored] == ["1", "2", "3"]
    assert {each.body for each in stored} == {b"Hello Compute World!"}
    assert shared == [b"Hello 0 World!", b"Hello 1 World!", b"Hello 2 World!"]


def test_every_response_says_what_and_when_it_is(examples):
    for path in ("/hello", "/counter", "/scounter", "/echo", "/greet?name=A", "/none"):
        answer = examples.get(path)
        headers = answer.headers
        assert headers["Server"] == "skerry"
        assert headers["Content-Type"].startswith("text/plain")
        assert int(headers["Content-Length"]) == len(answer.body) > 0
        assert parsedate_to_datetime(headers["Date"]).tzinfo == UTC


def test_the_log_tells_that_each_program_is_ready_and_when(examples):
    ready = re.findall(
        r"^Program '([\w-]+)' is loaded \(.*ready=[\d.]+ms\)$", examples.log, re.M
    )
    assert set(ready) == NAMES
    assert len(ready) == len(NAMES)


def test_the_log_shows_what_programs_print_behind_their_names(examples):
    lines = examples.log.splitlines()
    assert lines.count(">>> [counter] Hello Storage World!") == 1
    assert lines.count(">>> [greet] greet is ready") == 1


def test_echo_sees_the_request_as_it_was_sent(examples):
    headers = {"X-One": "1", "x-two": "2"}
    answer = examples.request("PUT", "/echo/a%20b?c=d&e", b"body\0!", headers)
    head, _, rest = answer.body.partition(b"\n\n")
    assert answer.headers["X-Body-Length"] == "6"
    assert head.startswith(b"PUT /echo/a%20b?c=d&e\nHost: 127.0.0.1:")
    assert {b"X-One: 1", b"x-two: 2", b"Content-Length: 6"} <= set(head.split(b"\n"))
    assert rest == b"body\0!"


def test_greet_reads_its_query_and_refuses_bad_ones(examples):
    answers = [examples.get(f"/greet{query}") for query in ("?name=Ada", "?name=!", "")]
    assert [each.status for each in answers] == [200, 400, 400]
    assert answers[0].body == b"Hello, Ada!\n"


def test_the_configuration_of_the_examples_has_no_problem():
    done = skerry("check", EXAMPLES)
    assert (done.returncode, done.stderr) == (0, b"")
    assert all(name in done.stdout.decode() for name in NAMES)
