"""The writer: a Response as bytes."""

import re

import pytest

from skerry.http.clock import Clock
from skerry.http.writer import render
from skerry.message import Response

DATE = rb"Date: [A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT\r\n"


def written(response: Response, connection: bytes = b"", is_head: bool = False):
    return render(response, Clock(), connection, is_head)


def test_a_response_has_date_server_and_length():
    data = written(Response.make(200, b"X: y\r\n", b"hello"))
    pattern = (
        rb"HTTP/1\.1 200 OK\r\n" + DATE + rb"Server: skerry\r\nX: y\r\n"
        rb"Content-Length: 5\r\n\r\nhello"
    )
    assert re.fullmatch(pattern, data)


def test_what_its_maker_gave_is_not_given_twice():
    head = b"Content-Type: a/b\r\nServer: mine\r\nDate: then\r\n"
    data = written(Response.make(200, head, b"", has=3))
    assert data == b"HTTP/1.1 200 OK\r\n" + head + b"Content-Length: 0\r\n\r\n"


def test_a_head_is_told_the_length_of_the_body_it_does_not_get():
    data = written(Response.make(200, b"", b"hello"), is_head=True)
    assert data.endswith(b"Content-Length: 5\r\n\r\n")


@pytest.mark.parametrize("status", [204, 304])
def test_a_status_without_body_has_no_length_either(status):
    data = written(Response.make(status, b"", b"hello"))
    assert data.endswith(b"\r\n\r\n")
    assert b"Content-Length" not in data


def test_the_connection_line_is_written():
    data = written(Response.text(200, ""), b"Connection: close\r\n")
    assert b"\r\nConnection: close\r\n" in data


def test_a_status_without_a_name_keeps_the_space_before_it():
    assert written(Response.text(299, "")).startswith(b"HTTP/1.1 299 \r\nDate")


@pytest.mark.parametrize("status", [0, 100, 199, 1000, -200])
def test_a_status_that_cannot_end_a_request_is_an_error(status):
    with pytest.raises(ValueError, match="cannot have the status"):
        written(Response.text(status, ""))


def test_text_is_the_hosts_own_answer():
    response = Response.text(404, "nö\n", b"X: y\r\n")
    data = written(response)
    assert b"Content-Type: text/plain; charset=utf-8\r\nX: y\r\n" in data
    assert data.endswith(b"Content-Length: 4\r\n\r\nn\xc3\xb6\n")


def test_the_date_follows_the_clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr("skerry.http.clock.time.time", lambda: 784111777.9)
    clock.tick()
    expected = b"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
    assert expected in render(Response.text(200, ""), clock, b"", False)
