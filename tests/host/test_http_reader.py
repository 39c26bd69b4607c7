"""The reader: which bytes are which requests, and which are refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.readers import (
    GET,
    Found,
    chunked,
    get,
    post,
    read_by_h11,
    read_in,
    reading,
)

from skerry.http.keep import CLOSE, KEEP, KEEP_1_0
from skerry.http.limits import Limits

SMALL = Limits(target=100, head=300, body=50)


@pytest.fixture(params=["whole", "byte by byte", "in sevens"])
def read(request):
    """Reads (data) in pieces of one size; what was found, and refused."""

    def read(data: bytes, limits: Limits = Limits()) -> Found:  # noqa: B008
        size = {"whole": len(data) or 1, "byte by byte": 1, "in sevens": 7}
        return read_in(size[request.param], data, limits)

    return read


# What a request says.


def test_a_request_is_handed_over_as_sent(read):
    data = (
        b"PUT /a/b?c=%20d HTTP/1.1\r\nHost: h:80\r\nX-One:1\r\nX-two:  2 \t\r\n"
        b"Content-Type: text/x; a=b\r\nX-One: again\r\nEmpty:\r\n"
        b"Content-Length: 5\r\n\r\nhello"
    )
    (request,) = read(data).requests
    assert (request.method, request.target) == (b"PUT", b"/a/b?c=%20d")
    assert (request.host, request.body) == (b"h:80", b"hello")
    assert request.content_type == b"text/x; a=b"
    assert request.headers == (
        b"Host: h:80\r\nX-One: 1\r\nX-two: 2\r\nContent-Type: text/x; a=b\r\n"
        b"X-One: again\r\nEmpty: \r\nContent-Length: 5\r\n"
    )


def test_pipelined_requests_come_out_in_order(read):
    data = b"".join(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % n for n in range(5))
    found = read(data)
    assert [each.target for each in found.requests] == [b"/%d" % n for n in range(5)]


def test_a_request_does_not_see_the_one_before_it(read):
    first = post(b"Content-Type: a/b", b"Content-Length: 2", body=b"xy")
    second = read(first + GET).requests[1]
    assert (second.body, second.content_type) == (b"", b"")
    assert second.headers == b"Host: a\r\n"


def test_empty_lines_before_a_request_are_skipped(read):
    assert len(read(b"\r\n\r\n" + GET).requests) == 1


@pytest.mark.parametrize(
    ("target", "method", "expected"),
    [
        (b"http://h/x?y", b"GET", (b"/x?y", b"h")),
        (b"HTTP://h:81", b"GET", (b"/", b"h:81")),
        (b"http://h?q", b"GET", (b"/?q", b"h")),
        (b"http://[::1]:80/", b"GET", (b"/", b"[::1]:80")),
        (b"http://h", b"OPTIONS", (b"*", b"h")),
        (b"*", b"OPTIONS", (b"*", b"a")),
        (b"//x/y", b"GET", (b"//x/y", b"a")),
    ],
)
def test_a_target_reaches_the_program_in_origin_form(read, target, method, expected):
    (request,) = read(get(start=b"%b %b HTTP/1.1" % (method, target))).requests
    assert (request.target, request.host) == expected


# Bodies.


@pytest.mark.parametrize(
    "body",
    [
        b"5\r\nhello\r\n0\r\n\r\n",
        b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
        b"05;name=value\r\nhello\r\n0\r\n\r\n",
        b'5;name="a\\"b;c"\r\nhello\r\n0\r\n\r\n',
        b"5\r\nhello\r\n0\r\nTrailer: x\r\nHost: other\r\n\r\n",
    ],
)
def test_a_chunked_body_is_joined_and_its_trailers_dropped(read, body):
    found = read(chunked(body) + GET)
    assert [each.body for each in found.requests] == [b"hello", b""]
    assert b"Trailer" not in found.requests[0].headers
    assert found.requests[0].host == b"a"


def test_a_get_may_have_a_body(read):
    found = read(get(b"Content-Length: 3") + b"abc" + GET)
    assert [each.body for each in found.requests] == [b"abc", b""]


@pytest.mark.parametrize(
    ("line", "body"),
    [
        (b"X: y", b""),
        (b"Content-Length: 0", b""),
        (b"Content-Length: 5", b"GET /"),
        (b"Transfer-Encoding: chunked", b"5\r\nGET /\r\n0\r\n\r\n"),
    ],
)
def test_an_upgrade_is_ignored_and_hides_no_request(read, line, body):
    upgrade = (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", line)
    data = post(*upgrade, body=body)
    found = read(data + data + GET)
    assert found.refused is None
    assert found.connections == [KEEP] * 3
    assert len(found.requests[0].body) == (5 if body else 0)
    assert found.requests[0].body == found.requests[1].body
    head = data[: data.index(b"\r\n\r\n") + 2]
    assert found.requests[1].headers == head.partition(b"\r\n")[2]


def test_an_upgrade_with_an_expectation_asks_for_the_body_once(read):
    data = post(
        b"Connection: upgrade",
        b"Upgrade: x",
        b"Expect: 100-continue",
        b"Content-Length: 1",
        body=b"x",
    )
    found = read(data)
    assert (found.expects, len(found.requests)) == (1, 1)


def test_an_upgrade_in_absolute_form_keeps_the_host_of_its_target(read):
    data = get(
        b"Connection: upgrade",
        b"Upgrade: x",
        b"Content-Length: 1",
        start=b"POST http://h/x HTTP/1.1",
    )
    (request,) = read(data + b"x").requests
    assert (request.target, request.host) == (b"/x", b"h")


def test_many_pipelined_upgrades_are_all_answered(read):
    data = get(b"Connection: upgrade", b"Upgrade: x")
    assert len(read(data * 200).requests) == 200


# Expect.


@pytest.mark.parametrize(
    ("data", "expects"),
    [
        (post(b"Expect: 100-Continue", b"Content-Length: 1", body=b"x"), 1),
        (post(b"Expect: 100-continue", b"Transfer-Encoding: chunked"), 1),
        (post(b"Expect: 100-continue", b"Content-Length: 0"), 0),
        (get(b"Expect: 100-continue"), 0),
        (
            get(b"Expect: 100-continue", b"Content-Length: 1", start=b"PUT / HTTP/1.0"),
            0,
        ),
    ],
)
def test_100_continue_is_due_only_when_a_body_will_be_read(read, data, expects):
    found = read(data)
    assert (found.expects, found.refused) == (expects, None)


def test_another_expectation_is_refused(read):
    assert read(post(b"Expect: tea", b"Content-Length: 1")).status == 417
    assert read(post(b"Expect: 100-continue", b"Expect: tea")).status == 417
    assert read(post(b"Expect: 100-continue, tea")).status == 417


def test_a_body_too_long_is_refused_without_being_asked_for(read):
    data = post(b"Expect: 100-continue", b"Content-Length: 51")
    found = read(data, SMALL)
    assert (found.status, found.expects) == (413, 0)


# Keep-alive.


@pytest.mark.parametrize(
    ("version", "line", "expected"),
    [
        (b"1.1", b"X: y", KEEP),
        (b"1.1", b"Connection: keep-alive", KEEP),
        (b"1.1", b"Connection: Close", CLOSE),
        (b"1.1", b"Connection: foo, close", CLOSE),
        (b"1.0", b"X: y", CLOSE),
        (b"1.0", b"Connection: Keep-Alive", KEEP_1_0),
        (b"1.0", b"Connection: keep-alive, close", CLOSE),
    ],
)
def test_who_keeps_the_connection(read, version, line, expected):
    found = read(get(line, start=b"GET / HTTP/" + version))
    assert found.connections == [expected]


def test_http_1_0_needs_no_host(read):
    (request,) = read(b"GET / HTTP/1.0\r\n\r\n").requests
    assert request.host == b""


# Refusals.

REFUSED = {
    "no host": (400, b"GET / HTTP/1.1\r\n\r\n"),
    "two hosts": (400, get(b"Host: a")),
    "two empty hosts": (400, b"GET / HTTP/1.1\r\nHost:\r\nHost:\r\n\r\n"),
    "two hosts, 1.0": (400, get(b"Host: a", start=b"GET / HTTP/1.0")),
    "no host, absolute": (400, b"GET http://a/ HTTP/1.1\r\n\r\n"),
    "host with a path": (400, b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"),
    "host with a space": (400, b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n"),
    "host with a user": (400, b"GET / HTTP/1.1\r\nHost: u@b\r\n\r\n"),
    "length and chunked": (
        400,
        post(b"Content-Length: 5", b"Transfer-Encoding: chunked"),
    ),
    "chunked and length": (
        400,
        post(b"Transfer-Encoding: chunked", b"Content-Length: 5"),
    ),
    "same length twice": (400, post(b"Content-Length: 5", b"Content-Length: 5")),
    "two lengths": (400, post(b"Content-Length: 5", b"Content-Length: 6")),
    "length list": (400, post(b"Content-Length: 5,5")),
    "length +5": (400, post(b"Content-Length: +5")),
    "length -5": (400, post(b"Content-Length: -5")),
    "length 0x5": (400, post(b"Content-Length: 0x5")),
    "length 5 5": (400, post(b"Content-Length: 5 5")),
    "length 5.0": (400, post(b"Content-Length: 5.0")),
    "length 5_0": (400, post(b"Content-Length: 5_0")),
    "length empty": (400, post(b"Content-Length:")),
    "length wraps": (400, post(b"Content-Length: 18446744073709551621")),
    "length folded": (400, post(b"Content-Length: 5\r\n 6")),
    "length of 5000 digits": (400, post(b"Content-Length: " + b"1" * 5000)),
    "xchunked": (501, post(b"Transfer-Encoding: xchunked")),
    "identity": (501, post(b"Transfer-Encoding: identity")),
    "gzip": (501, post(b"Transfer-Encoding: gzip")),
    "gzip, chunked": (501, post(b"Transfer-Encoding: gzip, chunked")),
    "quoted chunked": (501, post(b'Transfer-Encoding: "chunked"')),
    "chunked, identity": (400, post(b"Transfer-Encoding: chunked, identity")),
    "chunked, chunked": (400, post(b"Transfer-Encoding: chunked, chunked")),
    "chunked twice": (
        400,
        post(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"),
    ),
    "gzip then chunked": (
        400,
        post(b"Transfer-Encoding: gzip", b"Transfer-Encoding: chunked"),
    ),
    "vertical tab chunked": (400, post(b"Transfer-Encoding:\x0bchunked")),
    "empty coding": (400, post(b"Transfer-Encoding:")),
    "chunked in 1.0": (
        400,
        get(b"Transfer-Encoding: chunked", start=b"POST / HTTP/1.0"),
    ),
    "space before colon": (400, post(b"Content-Length : 5")),
    "space in a name": (400, get(b"a b: c")),
    "no colon": (400, get(b"abc")),
    "no name": (400, get(b": c")),
    "name with a bracket": (400, get(b"a(: c")),
    "folded": (400, get(b"a: b\r\n c")),
    "folded with a tab": (400, get(b"a: b\r\n\tc")),
    "space after the start line": (400, b"GET / HTTP/1.1\r\n Host: a\r\n\r\n"),
    "bare LF in a header": (400, get(b"a: b\nc: d")),
    "bare CR in a header": (400, get(b"a: b\rc: d")),
    "two CRs": (400, get(b"a: b\r")),
    "bare LF at the end": (400, b"GET / HTTP/1.1\r\nHost: a\r\n\n"),
    "bare LF after the start line": (400, b"GET / HTTP/1.1\nHost: a\r\n\r\n"),
    "NUL in a value": (400, get(b"a: b\0c")),
    "NUL in a name": (400, get(b"a\0: b")),
    "control byte in a value": (400, get(b"a: b\x01")),
    "DEL in a value": (400, get(b"a: b\x7f")),
    "no method": (400, b" / HTTP/1.1\r\nHost: a\r\n\r\n"),
    "unknown method": (400, get(start=b"FOO / HTTP/1.1")),
    "lower-case method": (400, get(start=b"get / HTTP/1.1")),
    "not HTTP": (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
    "HTTP/2 preface": (400, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "HTTP/0.9": (505, get(start=b"GET / HTTP/0.9")),
    "no version": (505, b"GET /\r\n\r\n"),
    "HTTP/2.0": (505, get(start=b"GET / HTTP/2.0")),
    "HTTP/2.0 kept": (505, get(b"Connection: keep-alive", start=b"GET / HTTP/2.0")),
    "HTTP/1.2": (400, get(start=b"GET / HTTP/1.2")),
    "HTTP/1.10": (400, get(start=b"GET / HTTP/1.10")),
    "http/1.1": (400, get(start=b"GET / http/1.1")),
    "space after the version": (400, get(start=b"GET / HTTP/1.1 ")),
    "tab in the start line": (400, get(start=b"GET\t/ HTTP/1.1")),
    "CONNECT": (501, get(start=b"CONNECT a:80 HTTP/1.1")),
    "CONNECT in origin-form": (
        501,
        get(b"Content-Length: 1", start=b"CONNECT / HTTP/1.1"),
    ),
    "relative target": (400, get(start=b"GET foo HTTP/1.1")),
    "star but not OPTIONS": (400, get(start=b"GET * HTTP/1.1")),
    "fragment": (400, get(start=b"GET /a#b HTTP/1.1")),
    "control byte in the target": (400, get(start=b"GET /\x01 HTTP/1.1")),
    "high byte in the target": (400, get(start=b"GET /\xff HTTP/1.1")),
    "another scheme": (400, get(start=b"GET ftp://a/ HTTP/1.1")),
    "user in the target": (400, get(start=b"GET http://u@a/ HTTP/1.1")),
    "no host in the target": (400, get(start=b"GET http:///x HTTP/1.1")),
    "chunk size with 0x": (400, chunked(b"0x5\r\nhello\r\n0\r\n\r\n")),
    "chunk size negative": (400, chunked(b"-5\r\nhello\r\n0\r\n\r\n")),
    "chunk size + space": (400, chunked(b"5 \r\nhello\r\n0\r\n\r\n")),
    "space + chunk size": (400, chunked(b" 5\r\nhello\r\n0\r\n\r\n")),
    "chunk size wraps": (400, chunked(b"10000000000000005\r\nhello\r\n0\r\n\r\n")),
    "no chunk size": (400, chunked(b"\r\nhello\r\n0\r\n\r\n")),
    "LF after chunk size": (400, chunked(b"5\nhello\r\n0\r\n\r\n")),
    "CR after chunk size": (400, chunked(b"5\rhello\r\n0\r\n\r\n")),
    "LF after chunk": (400, chunked(b"5\r\nhello\n0\r\n\r\n")),
    "chunk longer than its size": (400, chunked(b"5\r\nhelloXX\r\n0\r\n\r\n")),
    "LF in a chunk extension": (400, chunked(b"5;a\nhello\r\n0\r\n\r\n")),
    "CR in a chunk extension": (400, chunked(b"5;a\rb\r\nhello\r\n0\r\n\r\n")),
    "NUL in a chunk extension": (400, chunked(b"5;a\0\r\nhello\r\n0\r\n\r\n")),
    "empty chunk extension": (400, chunked(b"5;\r\nhello\r\n0\r\n\r\n")),
    "LF after the last chunk": (400, chunked(b"0\n\r\n")),
    "LF after trailers": (400, chunked(b"0\r\n\n")),
    "length in the trailers": (400, chunked(b"0\r\nContent-Length: 9\r\n\r\n")),
    "coding in the trailers": (
        400,
        chunked(b"0\r\nTransfer-Encoding: chunked\r\n\r\n"),
    ),
    "folded trailers": (400, chunked(b"0\r\na: b\r\n c\r\n\r\n")),
}


@pytest.mark.parametrize(("status", "data"), REFUSED.values(), ids=REFUSED)
def test_what_could_be_read_in_two_ways_is_refused(read, status, data):
    found = read(GET + data)
    assert len(found.requests) == 1
    assert found.status == status


# Limits.


@pytest.mark.parametrize(("size", "status"), [(100, None), (101, 414)])
def test_a_target_has_a_limit(read, size, status):
    target = b"/" + b"x" * (size - 1)
    assert read(get(start=b"GET %b HTTP/1.1" % target), SMALL).status == status


@pytest.mark.parametrize(("size", "status"), [(300, None), (301, 431)])
def test_a_head_has_a_limit(read, size, status):
    empty = get(b"X: ")
    data = get(b"X: " + b"x" * (size - len(empty)))
    assert len(data) == size
    assert read(data, SMALL).status == status


def test_a_head_that_never_ends_is_refused(read):
    assert read(get()[:-2] + b"a" * 1000, SMALL).status == 431
    assert read(get()[:-2] + b"a: b\r\n" * 100, SMALL).status == 431


@pytest.mark.parametrize(("size", "status"), [(50, None), (51, 413)])
def test_a_body_has_a_limit(read, size, status):
    body = b"x" * size
    assert read(post(b"Content-Length: %d" % size, body=body), SMALL).status == status
    chunks = b"".join(b"1\r\nx\r\n" for _ in body) + b"0\r\n\r\n"
    assert read(chunked(chunks), SMALL).status == status


def test_trailers_have_a_limit(read):
    assert read(chunked(b"0\r\n" + b"a: b\r\n" * 100 + b"\r\n"), SMALL).status == 431
    assert read(chunked(b"0\r\na: " + b"b" * 300 + b"\r\n\r\n"), SMALL).status == 431


def test_a_chunk_header_that_never_ends_is_refused():
    for endless in (b"0" * 1000, b"5;" + b"a" * 1000):
        assert read_in(1, chunked(endless), SMALL).status == 431
        assert read_in(50, chunked(endless), SMALL).status == 431


def test_requests_in_one_piece_are_not_mistaken_for_a_long_head():
    data = GET * 1000 + GET[:10]
    found = read_in(len(data), data, SMALL)
    assert (len(found.requests), found.refused) == (1000, None)


# The same as another implementation.

TOKENS = st.text("abcXYZ019!#$%&'*+-.^_`|~", min_size=1, max_size=12)
VALUES = st.text(
    st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"),
    max_size=30,
).map(lambda text: "".join(c for c in text if not 0x7F <= ord(c) < 0xA0).strip(" "))
TARGETS = st.text("abc09-._~!$&'()*+,;=:@/?%", max_size=40).map(lambda text: "/" + text)
TAKEN = {"host", "connection", "upgrade", "expect"} | {
    "content-length",
    "transfer-encoding",
    "content-type",
    "keep-alive",
    "proxy-connection",
}
HEADERS = st.lists(
    st.tuples(TOKENS.filter(lambda name: name.lower() not in TAKEN), VALUES),
    max_size=6,
)
METHODS = st.sampled_from(["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
BODIES = st.one_of(st.none(), st.binary(max_size=200))


@st.composite
def requests(draw) -> bytes:
    """A valid request, as bytes."""
    lines = [f"{draw(METHODS)} {draw(TARGETS)} HTTP/1.1", "Host: example"]
    lines += [f"{name}: {value}" for name, value in draw(HEADERS)]
    body = draw(BODIES)
    sent = body or b""
    if body is not None and draw(st.booleans()):
        lines.append("Transfer-Encoding: chunked")
        cuts = sorted(draw(st.lists(st.integers(0, len(body)), max_size=4)))
        pieces = [
            body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True)
        ]
        chunks = [b"%x\r\n%b\r\n" % (len(at), at) for at in pieces if at]
        sent = b"".join(chunks) + b"0\r\n\r\n"
    elif body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + sent


@given(st.lists(requests(), min_size=1, max_size=3), st.integers(1, 64))
def test_valid_requests_are_read_as_h11_reads_them(datas, step):
    data = b"".join(datas)
    found = read_in(step, data, Limits())
    assert found.refused is None
    assert reading(found) == read_by_h11(data)


@given(st.lists(requests(), min_size=1, max_size=3), st.data())
def test_broken_requests_are_read_or_refused_and_nothing_else(datas, data):
    broken = bytearray(b"".join(datas))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(broken) - 1))
        broken[at] = data.draw(st.integers(0, 255))
    whole = read_in(len(broken), bytes(broken), Limits())
    bytewise = read_in(1, bytes(broken), Limits())
    assert whole.status == bytewise.status
    assert [(r.target, r.body) for r in whole.requests] == [
        (r.target, r.body) for r in bytewise.requests
    ]
