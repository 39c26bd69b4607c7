"""What a new user sees: the examples, served, and asked with an ordinary client."""

import base64
import hmac
import json
import re
from datetime import UTC
from email.utils import parsedate_to_datetime

import pytest
from support.server import EXAMPLES, Server, skerry

NAMES = {"hello", "counter", "scounter", "echo", "greet", "jwt", "flatten", "resize"}
NAMES |= {"kitchen-sink"}


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


def token(claims, secret=b"a secret for trying it out", algorithm="HS256"):
    """A JSON Web Token, RFC 7515."""

    def encode(data):
        return base64.urlsafe_b64encode(data).rstrip(b"=")

    head = json.dumps({"typ": "JWT", "alg": algorithm}).encode()
    signed = encode(head) + b"." + encode(json.dumps(claims).encode())
    signature = hmac.digest(secret, signed, "sha256")
    return (signed + b"." + encode(signature)).decode()


def test_jwt_answers_with_the_claims_of_a_good_token(examples):
    for claims in ({}, {"sub": "Ada", "exp": 1 << 40}, {"in": {"exp": 1}, "a": "exp"}):
        for padding in ("", "x", "xx", "x" * 100):
            good = claims | {"padding": padding}
            headers = {"Authorization": f"Bearer {token(good)}"}
            answer = examples.get("/jwt", headers)
            assert (answer.status, json.loads(answer.body)) == (200, good)


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        ("", b"expected Authorization"),
        ("Basic QTpC", b"expected Authorization"),
        ("Bearer", b"expected Authorization"),
        ("Bearer a.b", b"expected HEADER"),
        ("Bearer a.b.c", b"the signature does not fit"),
        (f"Bearer {token({})}A", b"the signature does not fit"),
        (f"Bearer A{token({})}", b"the signature does not fit"),
        (f"Bearer {token({}, secret=b'')}", b"the signature does not fit"),
        (f"Bearer {token({}, algorithm='none')}", b'expected "alg"'),
        (f"Bearer {token({'a': {}, 'exp': 1})}", b"the token has expired"),
        (f"Bearer {token({'a': 'x' * 7000})}", b"expected Authorization"),
    ],
)
def test_jwt_refuses_every_other_token_and_says_why(examples, sent, told):
    answer = examples.get("/jwt", {"Authorization": sent} if sent else {})
    assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert answer.body.startswith(told)


def test_the_configuration_of_the_examples_has_no_problem():
    done = skerry("check", EXAMPLES)
    assert (done.returncode, done.stderr) == (0, b"")
    assert all(name in done.stdout.decode() for name in NAMES)
