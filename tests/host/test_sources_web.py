"""Programs from web servers, good ones and bad ones."""

import itertools
import ssl

import pytest
import trustme
from support.sources import (
    ELF,
    LIMITS,
    Site,
    Want,
    bring,
    hang,
    limited,
    names,
    page,
    stop_half_way,
    tar,
    without_end,
)

from skerry.sources.failure import SourceError
from skerry.sources.getting import Brought
from skerry.sources.limits import Limits

NEWER = ELF + b", newer"
FETCHED, CACHED = Brought("fetched"), Brought("cached")


@pytest.fixture
def site():
    with Site() as made:
        yield made


@pytest.fixture
def program(tmp_path):
    """Where the program is to be."""
    return tmp_path / "program"


def want(uri, path):
    return Want(uri, path, None, True)


def refused(uri, path, limits=LIMITS):
    """Why there is no program from (uri); and nothing is left behind."""
    with pytest.raises(SourceError) as error:
        bring(want(uri, path), limits)
    assert names(path.parent) == []
    assert str(error.value).startswith(f"{uri}: ")
    assert "\n" not in str(error.value)
    return str(error.value).removeprefix(f"{uri}: ")


def test_what_is_unchanged_is_not_sent_again(site, program):
    uri = site.put("/hello", page(ELF, '"1"'), page(ELF, '"1"'), page(NEWER, '"2"'))
    assert bring(want(uri, program)) == FETCHED
    first = program.stat().st_ino
    assert bring(want(uri, program)) == CACHED
    assert program.stat().st_ino == first
    assert bring(want(uri, program)) == FETCHED
    assert program.read_bytes() == NEWER
    asked = [each.get("If-None-Match") for _, each in site.requests]
    assert asked == [None, '"1"', '"1"']


def test_a_server_that_knows_only_dates_is_asked_by_date(site, program):
    date = {"Last-Modified": "Sat, 21 Nov 2026 10:00:00 GMT"}
    uri = site.put("/hello", page(ELF, headers=date), page(status=304))
    assert [bring(want(uri, program)) for _ in range(2)] == [FETCHED, CACHED]
    assert site.requests[1][1]["If-Modified-Since"] == date["Last-Modified"]


def test_the_same_bytes_sent_again_are_no_news(site, program):
    uri = site.put("/hello", tar(("hello", ELF)))
    assert bring(want(uri, program)) == FETCHED
    first = program.stat().st_ino
    assert bring(want(uri, program)) == CACHED
    assert program.stat().st_ino == first


def test_a_copy_that_somebody_has_changed_is_fetched_again(site, program):
    uri = site.put("/hello", page(ELF, '"1"'))
    bring(want(uri, program))
    program.write_bytes(NEWER)
    assert bring(want(uri, program)) == FETCHED
    assert program.read_bytes() == ELF


def test_a_storage_program_that_is_gone_is_fetched_again(site, program):
    uri = site.put("/hello", page(tar(("a", ELF), ("a_storage", NEWER)), '"1"'))
    bring(want(uri, program))
    second = program.with_name("program_storage")
    second.unlink()
    assert bring(want(uri, program)) == FETCHED
    assert second.read_bytes() == NEWER


def test_a_304_that_nobody_has_asked_for_is_no_program(site, program):
    said = refused(site.put("/hello", page(status=304)), program)
    assert said == "its server answers 304 (Not Modified): check the uri"


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_server_in_trouble_is_asked_again(site, program, status):
    uri = site.put("/hello", page(status=status), page(status=status), ELF)
    assert bring(want(uri, program)) == FETCHED
    assert site.asked("/hello") == 3


def test_a_server_that_stays_in_trouble_is_asked_four_times(site, program):
    uri = site.put("/hello", page(b"sorry", status=500))
    said = refused(uri, program)
    assert said == "its server answers 500 (Internal Server Error): check the uri"
    assert site.asked("/hello") == 4


@pytest.mark.parametrize("status", [204, 206, 401, 403, 404, 410, 299, 599])
def test_any_other_answer_is_final(site, program, status):
    uri = site.put("/hello", page(ELF if status != 204 else b"", status=status))
    assert refused(uri, program).startswith(f"its server answers {status}")
    assert site.asked("/hello") == 1


def test_every_pause_is_longer_than_the_one_before():
    pauses = Limits().pauses
    assert len(pauses) == 3
    assert all(2 * one == later for one, later in itertools.pairwise(pauses))


@pytest.mark.parametrize("trouble", [page(status=500), page(status=404), hang])
def test_the_copy_from_before_serves_when_the_source_is_away(site, program, trouble):
    uri = site.put("/hello", ELF, trouble)
    quick = limited(silent=0.1)
    assert bring(want(uri, program), quick) == FETCHED
    brought = bring(want(uri, program), quick)
    assert brought.origin == "cached: source is away"
    assert brought.reason.startswith(f"{uri}: ")
    assert program.read_bytes() == ELF


@pytest.mark.parametrize("bad", [b"no program", tar(("../x", ELF)), ELF * 9999])
def test_the_copy_from_before_serves_when_what_comes_is_refused(site, program, bad):
    uri = site.put("/hello", ELF, bad)
    small = limited(program=9999)
    assert bring(want(uri, program), small) == FETCHED
    assert bring(want(uri, program), small).origin == "cached: source was refused"
    assert program.read_bytes() == ELF


def test_a_file_that_somebody_has_put_there_serves_when_the_source_is_away(
    site, program
):
    program.write_bytes(NEWER)
    uri = site.put("/hello", page(status=404))
    assert bring(want(uri, program)).origin == "cached: source is away"
    assert program.read_bytes() == NEWER


def test_the_copy_of_another_source_does_not_serve(site, program):
    bring(want(site.put("/one", ELF), program))
    with pytest.raises(SourceError, match="404"):
        bring(want(site.put("/two", page(status=404)), program))


def test_nobody_listening_says_where(site, program):
    uri = site.put("/hello", ELF)
    site.close()
    where = f"localhost:{site.port}"
    assert refused(uri, program).startswith(f"cannot connect to {where} (")


@pytest.mark.parametrize("silent", [hang, stop_half_way])
def test_a_server_that_falls_silent_is_not_waited_for(site, program, silent):
    said = refused(site.put("/hello", silent), program, limited(silent=0.1))
    assert said == "no answer in time: is its server well?"


def test_a_server_that_sends_for_ever_is_cut_off_in_time(site, program):
    endless = site.put("/hello", without_end)
    said = refused(endless, program, limited(total=0.3, program=1 << 40))
    assert said == "it takes longer than 0.3 s: make it smaller, or put it nearer"


@pytest.mark.parametrize(
    "large", [without_end, page(bytes(2 << 20)), page(length=3 << 20)]
)
def test_more_than_is_allowed_is_not_taken(site, program, large):
    said = refused(site.put("/hello", large), program, limited(program=1 << 20))
    assert said == "larger than 1 MB: refused"


def test_less_than_was_announced_is_asked_for_again(site, program):
    uri = site.put("/hello", page(ELF, length=len(ELF) + 1), ELF)
    assert bring(want(uri, program)) == FETCHED
    assert program.read_bytes() == ELF


def test_less_than_was_announced_is_never_taken(site, program):
    said = refused(site.put("/hello", page(ELF, length=len(ELF) + 1)), program)
    assert said == "the connection ended before the answer did"


def test_what_is_no_http_is_refused(site, program):
    def gibber(handler):
        handler.wfile.write(b"220 smtp.example.com ready\x1b[31m\r\n\r\n")

    said = refused(site.put("/hello", gibber), program)
    assert said == "its server does not answer as HTTP says: check the uri"


def to(target):
    return page(status=302, headers={"Location": target})


def test_redirects_are_followed_but_not_for_ever(site, program):
    for number in range(5):
        site.put(f"/{number}", to(f"/{number + 1}"))
    site.put("/5", ELF)
    uri = site.put("/start", to("/1"))
    assert bring(want(uri, program)) == FETCHED
    for name in names(program.parent):
        program.with_name(name).unlink()
    site.put("/5", to("/start"))
    assert "it leads on and on" in refused(uri, program)


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://localhost/x", "//:x"])
def test_redirects_lead_to_the_web_only(site, program, target):
    said = refused(site.put("/hello", to(target)), program)
    assert said == "it leads to no address of the web: refused"


@pytest.mark.parametrize("uri", ["http://localhost:99999/x", "http://[::1/x"])
def test_what_is_no_address_is_refused(program, uri):
    said = refused(uri, program)
    assert said == "it is no address of the web: check it"


def test_a_password_is_used_and_never_shown(site, program):
    uri = site.put("/hello", ELF, page(status=404))
    secret = uri.replace("http://", "http://user:secret@")
    bring(want(secret, program))
    assert site.requests[0][1]["Authorization"].startswith("Basic ")
    assert bring(want(secret, program)).reason.startswith(f"{uri}: ")
    assert "secret" not in program.with_name("program.source").read_text()


# TLS


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture
def secure(authority):
    """A server whose certificate this authority has signed."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with Site(context) as made:
        yield made


@pytest.fixture
def trusted(authority, monkeypatch, tmp_path_factory):
    file = tmp_path_factory.mktemp("authority") / "authority.pem"
    authority.cert_pem.write_to_path(str(file))
    monkeypatch.setenv("SSL_CERT_FILE", str(file))


def test_a_certificate_that_is_trusted_is_good(secure, trusted, program):
    assert bring(want(secure.put("/hello", ELF), program)) == FETCHED


def test_a_certificate_that_nobody_trusts_is_refused(secure, program):
    said = refused(secure.put("/hello", ELF), program)
    assert said.startswith(f"the certificate of localhost:{secure.port} is not trusted")
    assert "SSL_CERT_FILE" in said
    assert secure.requests == []


def test_a_certificate_of_another_host_is_refused(secure, trusted, program):
    uri = secure.put("/hello", ELF).replace("localhost", "127.0.0.1")
    assert refused(uri, program).startswith("the certificate of 127.0.0.1:")


def test_https_where_there_is_only_http_is_refused(site, program):
    uri = site.put("/hello", ELF).replace("http:", "https:")
    assert refused(uri, program).startswith(f"no TLS with localhost:{site.port}")


def test_https_does_not_lead_to_http(secure, trusted, site, program):
    uri = secure.put("/hello", to(site.put("/hello", ELF)))
    assert refused(uri, program) == "it leads from https to http: refused"
