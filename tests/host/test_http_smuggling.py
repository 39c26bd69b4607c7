"""Requests that two servers might read in two ways: we read them as h11 does, or refuse
them. Where we differ is listed here, with the reason."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.readers import REFUSED, read_by_h11, read_in, read_pieces, reading
from support.smuggling import (
    FRAMES,
    HIDDEN,
    NEXT,
    VARIANTS,
    attack,
    with_every_byte,
    with_one_doubt,
)

DOUBTS = sorted(set(with_one_doubt()))
ATTACKS = sorted({*DOUBTS, *with_every_byte()})

# What we refuse and h11 takes: the answer, and why.
STRICTER = {
    "400 HTTP/1.0 has no Transfer-Encoding": "RFC 9112, 6.1: framing is faulty",
    "400 malformed Host header": "only what RFC 3986 allows in a host",
    "400 malformed request target": "RFC 9112, 3.2: none of the four forms",
    "400 malformed request: Chunk size overflow": "more than 64 bits",
    "400 malformed request: Content-Length can't be present with Transfer-Encoding": (
        "also as a trailer; h11 drops trailers unseen"
    ),
    "400 malformed request: Content-Length overflow": "more than 64 bits",
    "400 malformed request: Duplicate Content-Length": "even if they agree",
    "400 malformed request: Expected CRLF after version": "no bare LF",
    "400 malformed request: Expected LF after chunk size": "no bare CR",
    "400 malformed request: Expected space after method": "only methods we know",
    "400 malformed request: Invalid HTTP version": "1.2 is not there yet",
    "400 malformed request: Invalid `Transfer-Encoding` header value": "in trailers",
    "400 malformed request: Invalid character in Content-Length": "no lists",
    "400 malformed request: Invalid character in chunk extensions": "none after ;",
    "400 malformed request: Invalid character in chunk size": "no space behind it",
    "400 malformed request: Invalid header field char": "no bare LF as an end",
    "400 malformed request: Invalid header value char": "no DEL, and no fold",
    "400 malformed request: Invalid method encountered": "only methods we know",
    "400 malformed request: Missing expected CR after header value": "no bare LF",
    "400 malformed request: Request has invalid `Transfer-Encoding`": "no tab",
    "400 malformed request: Transfer-Encoding can't be present with Content-Length": (
        "RFC 9112, 6.1 allows it; h11 prefers the coding"
    ),
    "400 malformed request: Unexpected start char in url": "none of the four forms",
    "400 malformed request: Unexpected char in url schema": "authority-form",
    "400 malformed request: Unexpected whitespace after header value": "no obs-fold",
    "413 a body may have 16777216 bytes": "a limit of ours",
    "417 only 100-continue can be expected": "RFC 9110, 10.1.1",
    "501 this server is no proxy": "CONNECT has another frame",
    "505 this server speaks HTTP/1.1 and HTTP/1.0": "0.9 and 2.0 are not these",
}
# What we take and h11 refuses or ends: none of these moves a request's boundary.
LAXER = {
    "a bare CR or LF before a request": rb"\A[\r\n]",
    "more than one space in a request line": rb"\A\S+ +\S* +HTTP/1\.[01]\r\n",
    "more than 20 digits of a chunk size": rb"\n0{17,}[0-9a-f]*\r\n",
    "HTTP/1.0 that asks to be kept": rb"HTTP/1\.0\r\n(.*\r\n)*Connection: Keep-Alive",
}


def is_listed_as_laxer(data: bytes) -> bool:
    return any(re.search(each, data) for each in LAXER.values())


def agrees(data: bytes, stricter: set[str]) -> bool:
    """Whether we read (data) as h11 does, or refuse it, where a reading ends; what only
    we refuse is added to (stricter)."""
    found = read_in(len(data), data)
    ours, theirs = reading(found), read_by_h11(data)
    same = min(len(ours.requests), len(theirs.requests))
    if ours.requests[:same] != theirs.requests[:same]:
        return False
    if len(ours.requests) > same or theirs.end == REFUSED != ours.end:
        return is_listed_as_laxer(data)
    if ours.end == REFUSED != theirs.end or len(theirs.requests) > same:
        stricter.add(str(found.refused))
        return ours.end == REFUSED
    return True


def shown(data: bytes) -> bytes:
    return data.replace(HIDDEN, b"<HIDDEN>").replace(NEXT, b"<NEXT>")


def test_every_doubt_is_read_as_h11_reads_it_or_refused_for_a_listed_reason():
    stricter: set[str] = set()
    differing = [shown(data) for data in ATTACKS if not agrees(data, stricter)]
    assert differing == []
    assert stricter == STRICTER.keys()


@settings(max_examples=500, derandomize=True, database=None, deadline=None)
@given(st.sampled_from(sorted(FRAMES)), st.data())
def test_several_doubts_at_once_are_read_as_h11_reads_them_or_refused(frame, data):
    slots = st.lists(st.sampled_from(FRAMES[frame]), max_size=3, unique=True)
    doubts = {
        slot: data.draw(st.sampled_from(VARIANTS[slot])) for slot in data.draw(slots)
    }
    stricter: set[str] = set()
    assert agrees(attack(frame, doubts), stricter)
    assert stricter <= STRICTER.keys()


def test_no_doubt_moves_a_boundary_when_it_arrives_byte_by_byte():
    for data in ATTACKS:
        assert reading(read_in(1, data)) == reading(read_in(len(data), data)), data


def test_what_is_read_is_read_the_same_wherever_it_is_cut():
    taken = [data for data in DOUBTS if len(reading(read_in(999, data)).requests) > 1]
    assert len(taken) > 50
    for data in taken:
        whole = reading(read_in(len(data), data))
        for cut in range(1, len(data)):
            assert reading(read_pieces((data[:cut], data[cut:]))) == whole, data


@pytest.mark.parametrize("frame", FRAMES)
def test_a_framed_body_hides_its_request_and_nothing_else_does(frame):
    targets = [each[1] for each in reading(read_in(999, attack(frame, {}))).requests]
    assert targets == {
        "nothing": [b"/", b"/hidden", b"/next"],
        "length": [b"/", b"/next"],
        "coding": [b"/", b"/next"],
    }.get(frame, [])


def test_nothing_behind_a_refusal_is_read():
    refused = [data for data in ATTACKS if read_in(len(data), data).refused]
    assert len(refused) > 1000
    for data in refused:
        assert read_in(len(data), NEXT + data).requests[0].target == b"/next"
        found = read_in(len(data), data)
        behind = read_in(len(data) * 2, data + NEXT)
        assert len(found.requests) == len(behind.requests), data
