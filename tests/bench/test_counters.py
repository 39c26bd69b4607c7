"""The counter check finds every lost update, and only those."""

import pytest

from bench.counters import Count


@pytest.mark.parametrize("in_flight", [0, 1, 8])
def test_requests_in_flight_may_be_counted_unanswered(in_flight):
    assert Count(100, 100 + in_flight, errors=0, connections=8).adds_up


@pytest.mark.parametrize("counted", [99, 109, 0])
def test_a_lost_or_an_invented_request_is_wrong(counted):
    assert not Count(100, counted, errors=0, connections=8).adds_up


def test_errors_make_a_count_worthless():
    assert not Count(100, 100, errors=1, connections=8).adds_up
