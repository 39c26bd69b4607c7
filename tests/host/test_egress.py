"""Where a program's requests may go: entries, URLs, names that lead elsewhere."""

import asyncio
import errno
import ipaddress
import socket
import ssl
import subprocess
import threading

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.web import Web, moved, page

from skerry.egress import (
    BadUrl,
    Policy,
    address,
    is_public,
    judge,
    parse_entry,
    parse_url,
)
from skerry.outgoing import Outgoing
from skerry.wanted import MOST, Failed, Fetched, Wanted, failed, names_and_values

# --- URLs ---


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("http://example.com", ("http", "example.com", 80, "/")),
        ("HTTPS://Example.COM./a?b#c", ("https", "example.com", 443, "/a?b")),
        ("http://h:8080?x=/y", ("http", "h", 8080, "/?x=/y")),
        ("http://[::1]:81/", ("http", "::1", 81, "/")),
        ("http://[::ffff:127.0.0.1]/", ("http", "127.0.0.1", 80, "/")),
        ("http://h/'<>\"\\^{|}~", ("http", "h", 80, "/'<>\"\\^{|}~")),
    ],
)
def test_a_url_has_these_parts(text, parts):
    url = parse_url(text)
    assert (url.scheme, url.host, url.port, url.target) == parts
    assert parse_url(url.text) == url


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/path",
        "//example.com/",
        "ftp://example.com/",
        "file:///etc/passwd",
        "http:///x",
        "http://",
        "http://user@example.com/",
        "http://user:word@example.com/",
        "http://example.com:0/",
        "http://example.com:65536/",
        "http://example.com:80:80/",
        "http://example.com\\@other.org/",
        "http://a b/",
        "http://example.com/a b",
        "http://example.com/\r\nX: y",
        "http://-a.com/",
        "http://a..b/",
        "http://[::1/",
        "http://[example.com]/",
        "http://exämple.com/",
        "http://%65xample.com/",
        " http://example.com/",
        "http://" + "a" * 64 + "/",
    ],
)
def test_what_is_not_a_url_of_http_is_refused(text):
    with pytest.raises(BadUrl):
        parse_url(text)


@given(st.text(max_size=60))
@example("http://[1:2]/")
def test_whatever_the_text_is_it_is_a_url_or_refused(text):
    for each in (text, f"http://{text}", f"http://h{text}"):
        try:
            url = parse_url(each)
        except BadUrl:
            continue
        assert url.text.isascii() and url.text.isprintable() and " " not in url.text
        assert "@" not in url.host and "/" not in url.host
        assert parse_url(url.text) == url


@given(st.text(max_size=60))
def test_wherever_a_redirect_leads_it_is_a_url_or_refused(location):
    url = parse_url("http://example.com/a/b?c")
    try:
        to = url.join(location)
    except BadUrl:
        return
    assert to.scheme in ("http", "https") and parse_url(to.text) == to


# --- Entries ---


@pytest.mark.parametrize(
    "text",
    [
        "example.com",
        "*.example.com:8443",
        "*",
        "*:*",
        "localhost:8080",
        "10.0.0.0/8",
        "10.1.2.3:8080",
        "10.0.0.0/8:*",
        "::1",
        "fd00::/8",
        "[::1]",
        "[::1]:8080",
        "[fd00::]/8:8080",
        "under_score.example.com",
    ],
)
def test_these_are_entries(text):
    assert parse_entry(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "http://example.com",
        "example.com/x",
        "example.com:0",
        "example.com:65536",
        "example.com:http",
        "exa*mple.com",
        "*example.com",
        "**.example.com",
        "a..b",
        "-a.com",
        "10.0.0.1/8",
        "10.0.0.0/33",
        "10.1",
        "1.2.3.256",
        "[::1",
        "[10.0.0.1/8]",
        "[::1]:x",
        "[::ffff:10.0.0.1]",
        "::ffff:0:0/96x",
        "example.com/8",
    ],
)
def test_these_are_none(text):
    with pytest.raises(ValueError):
        parse_entry(text)


@given(st.text(alphabet="aA1.*:[]/-_0", max_size=30))
def test_whatever_the_text_is_it_is_an_entry_or_refused(text):
    try:
        entry = parse_entry(text)
    except ValueError:
        return
    assert entry.name or entry.networks


# --- What entries allow ---

PUBLIC, PRIVATE = "93.184.216.34", "10.1.2.3"

ALLOWED = [
    ("example.com", "http://example.com/", PUBLIC),
    ("example.com", "https://EXAMPLE.com./", PUBLIC),
    ("EXAMPLE.com.", "http://example.com/", PUBLIC),
    ("example.com:*", "http://example.com:81/", PUBLIC),
    ("example.com:81", "http://example.com:81/", PUBLIC),
    ("*.example.com", "http://a.b.example.com/", PUBLIC),
    ("*", "http://example.com/", PUBLIC),
    ("10.0.0.0/8", "http://10.1.2.3/", PRIVATE),
    ("10.0.0.0/8", "http://inside.example.com/", PRIVATE),
    ("10.1.2.3", "http://10.1.2.3/", PRIVATE),
    ("10.1.2.3", "http://[::ffff:10.1.2.3]/", PRIVATE),
    ("[::1]:8080", "http://[::1]:8080/", "::1"),
    ("localhost", "http://localhost/", "127.0.0.1"),
    ("localhost", "http://localhost/", "::1"),
    (PUBLIC, f"http://{PUBLIC}/", PUBLIC),
]
REFUSED = [
    ("example.com", "http://example.com:81/", PUBLIC),
    ("example.com:81", "http://example.com/", PUBLIC),
    ("example.com", "http://a.example.com/", PUBLIC),
    ("example.com", "http://badexample.com/", PUBLIC),
    ("*.example.com", "http://example.com/", PUBLIC),
    ("*.example.com", "http://badexample.com/", PUBLIC),
    ("*.example.com", "http://example.com.evil.org/", PUBLIC),
    ("example.com", "http://example.com/", PRIVATE),
    ("*", "http://example.com/", PRIVATE),
    ("*", "http://10.1.2.3/", PRIVATE),
    ("*", f"http://{PUBLIC}/", PUBLIC),
    ("*", "http://localhost/", "127.0.0.1"),
    ("localhost", "http://localhost/", PRIVATE),
    ("localhost", "http://127.0.0.2/", "127.0.0.2"),
    ("10.1.2.3:81", "http://10.1.2.3/", PRIVATE),
    ("10.0.0.0/16", "http://10.1.2.3/", PRIVATE),
]


def allows(entry: str, text: str, place: str) -> bool:
    policy, url, found = Policy([entry]), parse_url(text), address(place)
    assert found
    return policy.may_ask(url) and policy.may_reach(url, found)


@pytest.mark.parametrize(("entry", "url", "place"), ALLOWED)
def test_an_entry_allows_what_it_names(entry, url, place):
    assert allows(entry, url, place)
    assert not Policy().may_ask(parse_url(url))
    assert not Policy().may_reach(parse_url(url), address(place))


@pytest.mark.parametrize(("entry", "url", "place"), REFUSED)
def test_an_entry_allows_nothing_else(entry, url, place):
    assert not allows(entry, url, place)


@pytest.mark.parametrize(
    "place",
    [
        "0.0.0.0",
        "10.0.0.1",
        "100.64.0.1",
        "127.0.0.1",
        "127.255.0.1",
        "169.254.169.254",
        "172.16.0.1",
        "192.168.0.1",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
        "fc00::1",
        "fe80::1",
        "fe80::1%1",
        "fec0::1",
        "ff02::1",
    ],
)
def test_a_name_leads_to_no_special_address(place):
    found = address(place)
    assert found and not is_public(found)
    assert not allows("*", "http://example.com/", place)
    assert not allows("example.com", "http://example.com/", place)


@given(st.ip_addresses(v=4))
def test_ipv4_inside_of_ipv6_is_judged_as_itself(found):
    inside = address(f"::ffff:{found}")
    assert inside == found
    assert is_public(inside) == is_public(found)


@given(st.ip_addresses())
def test_what_is_public_is_not_private(found):
    if is_public(found):
        assert found.is_global and not found.is_multicast
        assert found not in ipaddress.ip_network("10.0.0.0/8")


# --- Fields ---


@pytest.mark.parametrize(
    "line",
    [
        b"Host: x",
        b"content-length: 1",
        b"Transfer-Encoding: chunked",
        b"Connection: close",
        b"Upgrade: x",
        b"TE: x",
        b"Expect: 100-continue",
        b"no colon",
        b": x",
        b"A:b",
        b"A b: c",
        b"A: b\nC: d",
        b"A: b\rC",
        b"A: \0",
    ],
)
def test_fields_that_frame_messages_or_are_none_are_refused(line):
    with pytest.raises(Failed) as found:
        names_and_values(b"X: y\r\n" + line + b"\r\n")
    assert found.value.fetched == failed(errno.EINVAL)


def test_a_judge_refuses_before_anything_is_looked_up():
    for url, number in (
        (b"http://evil.org/", errno.EACCES),
        (b"http://user@example.com/", errno.EINVAL),
        (b"http://ex\xff/", errno.EINVAL),
        (b"/path", errno.EINVAL),
    ):
        with pytest.raises(Failed) as found:
            judge(Wanted(url), Policy(["example.com"]))
        assert found.value.fetched == failed(number)


# --- Connecting, to a real server ---


class Names:
    """A resolver: what names lead to, the next time that they are looked up."""

    def __init__(self, **places: list[str]) -> None:
        self._places = places
        self.asked = 0

    async def __call__(self, host, port):
        self.asked += 1
        place = self._places[host.partition(".")[0]]
        return [
            (socket.AF_INET6 if ":" in each else socket.AF_INET, each)
            for each in [place.pop(0) if len(place) > 1 else place[0]]
        ]


def fetch(wanted: Wanted, hosts: list[str], resolve=None) -> Fetched:
    async def run() -> Fetched:
        outgoing = Outgoing(resolve) if resolve else Outgoing()
        return await outgoing.fetch(wanted, Policy(hosts))

    return asyncio.run(run())


@pytest.fixture
def web():
    with Web() as made:
        made.answers["/page"] = page(b"a page")
        yield made


def test_a_name_that_leads_elsewhere_the_second_time_is_judged_once(web):
    """The address that was judged is the one that is connected to."""
    names = Names(rebind=["127.0.0.1", "10.9.9.9"])
    got = fetch(
        Wanted(web.url("/page", "rebind.test").encode()),
        [f"127.0.0.1:{web.port}"],
        names,
    )
    assert got.content == b"a page" and names.asked == 1
    assert f"Host: rebind.test:{web.port}\r\n".encode() in web.asked[0]


def test_a_name_that_is_allowed_may_not_lead_inside(web):
    names = Names(evil=["127.0.0.1"])
    wanted = Wanted(web.url("/page", "evil.test").encode())
    assert fetch(wanted, ["*:*"], names) == failed(errno.EACCES)
    assert names.asked == 1 and web.asked == []


def test_each_redirect_is_judged_anew(web):
    names = Names(good=["127.0.0.1"], evil=["127.0.0.1"])
    hosts = ["*:*", f"127.0.0.1:{web.port}"]
    with Web("127.0.0.2") as inside:
        web.answers["/go"] = moved(inside.url("/", "127.0.0.2"))
        wanted = Wanted(web.url("/go", "good.test").encode(), follow=True)
        assert fetch(wanted, hosts, names) == failed(errno.EACCES)
        assert inside.asked == []


def test_without_follow_a_redirect_is_an_answer(web):
    web.answers["/go"] = moved("/page")
    hosts = [f"127.0.0.1:{web.port}"]
    got = fetch(Wanted(web.url("/go").encode()), hosts)
    assert (got.status, got.content) == (302, b"elsewhere")
    got = fetch(Wanted(web.url("/go").encode(), follow=True), hosts)
    assert (got.status, got.content) == (200, b"a page")


def test_a_post_stays_one_only_with_307_and_308(web):
    hosts = [f"127.0.0.1:{web.port}"]
    for status, method in ((b"303 x", b"GET"), (b"302 x", b"GET"), (b"307 x", b"POST")):
        web.answers["/go"] = moved("/page", status)
        wanted = Wanted(
            web.url("/go").encode(), b"Content-Type: a/b\r\n", b"body", follow=True
        )
        assert fetch(wanted, hosts).content == b"a page"
        assert web.asked[-1].startswith(method + b" /page ")
        assert web.asked[-1].endswith(b"body") == (method == b"POST")


def test_secrets_stay_with_their_origin(web):
    fields = b"Authorization: secret\r\nCookie: secret\r\nX-Other: kept\r\n"
    with Web() as other:
        other.answers["/page"] = page(b"other")
        web.answers["/go"] = moved(other.url("/page"))
        web.answers["/here"] = moved("/page")
        hosts = ["127.0.0.1:*"]
        fetch(Wanted(web.url("/go").encode(), fields, follow=True), hosts)
        assert b"secret" in web.asked[0] and b"secret" not in other.asked[0]
        assert b"X-Other: kept\r\n" in other.asked[0]
        fetch(Wanted(web.url("/here").encode(), fields, follow=True), hosts)
        assert b"secret" in web.asked[-1]


def test_no_cookie_proxy_or_compression_of_our_own(web, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    lines = b"Set-Cookie: a=b; Path=/\r\nContent-Encoding: gzip\r\n"
    web.answers["/page"] = page(b"not really gzip", lines=lines)
    hosts = [f"127.0.0.1:{web.port}"]
    for _ in range(2):
        got = fetch(Wanted(web.url("/page").encode()), hosts)
        assert got.content == b"not really gzip" and lines in got.headers
    assert b"Cookie" not in web.asked[1]
    assert b"Accept-Encoding: identity\r\n" in web.asked[1]
    fetch(Wanted(web.url("/page").encode(), b"accept-encoding: gzip\r\n"), hosts)
    assert b"identity" not in web.asked[2]


def test_a_dummy_is_judged_and_not_sent(web):
    wanted = Wanted(web.url("/page").encode(), dummy=True)
    assert fetch(wanted, [f"127.0.0.1:{web.port}"]) == Fetched()
    assert fetch(wanted, ["example.com"]) == failed(errno.EACCES)
    assert web.asked == []


def test_bodies_are_bounded_there_and_back(web):
    hosts = [f"127.0.0.1:{web.port}"]
    body = bytes(MOST)
    got = fetch(Wanted(web.url("/page").encode(), body=body), hosts)
    assert got.content == b"a page" and web.asked[0].endswith(body)
    lines = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (MOST + 1)
    web.answers["/large"] = lines
    got = fetch(Wanted(web.url("/large").encode(), room=1 << 40), hosts)
    assert got == failed(errno.EFBIG)


def test_a_name_that_leads_nowhere_is_unreachable():
    async def nowhere(host, port):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    got = fetch(Wanted(b"http://nowhere.test/"), ["nowhere.test"], nowhere)
    assert got == failed(errno.EHOSTUNREACH)


def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path, monkeypatch):
    key, made = tmp_path / "key", tmp_path / "made"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"),
            *("-keyout", key, "-out", made),
        ],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made, key)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        server = threading.Thread(target=_serve_tls, args=[listener, context, 3])
        server.start()
        there = Names(localhost=["127.0.0.1"], other=["127.0.0.1"])
        wanted = Wanted(f"https://localhost:{port}/".encode())
        hosts = [f"localhost:{port}"]
        assert fetch(wanted, hosts, there) == failed(errno.EPROTO)
        monkeypatch.setenv("SSL_CERT_FILE", str(made))
        assert fetch(wanted, hosts, there).content == b"safe"
        other = Wanted(f"https://other.test:{port}/".encode())
        assert fetch(other, hosts, there) == failed(errno.EPROTO)
        server.join()


def _serve_tls(listener: socket.socket, context: ssl.SSLContext, times: int) -> None:
    for _ in range(times):
        client, _ = listener.accept()
        with client:
            try:
                with context.wrap_socket(client, server_side=True) as safe:
                    safe.recv(65536)
                    safe.sendall(page(b"safe"))
            except OSError:
                pass
