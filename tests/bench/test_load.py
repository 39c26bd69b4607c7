"""What wrk prints becomes numbers, and two servers are compared fairly."""

import pytest

from bench import load, pairs

REPORT = """\
Running 2s test @ http://127.0.0.1:8080/hello
  1 threads and 8 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   350.00us   80.00us   2.10ms   90.00%
    Req/Sec    21.00k     1.00k   23.00k    70.00%
  Latency Distribution
     50%  336.00us
     75%    1.37ms
     90%    2.00s
     99%    1.50m
  43340 requests in 2.10s, 6.00MB read
Requests/sec:  20638.10
Transfer/sec:      2.86MB
"""
ERRORS = """\
  Socket errors: connect 1, read 2, write 3, timeout 4
  Non-2xx or 3xx responses: 5
"""


def loads(rate: float, errors: int = 0) -> load.Load:
    return load.Load(int(rate), errors, 1.0, rate, {50: 1.0})


def test_a_report_is_read_whole():
    found = load.parse(REPORT)
    assert (found.requests, found.errors, found.rate) == (43340, 0, 20638.10)
    assert found.seconds == pytest.approx(2.1)


def test_latencies_are_milliseconds_whatever_the_unit():
    latency = load.parse(REPORT).latency
    assert latency == pytest.approx({50: 0.336, 75: 1.37, 90: 2000.0, 99: 90_000.0})


def test_socket_errors_and_bad_statuses_are_all_counted():
    assert load.parse(REPORT.replace("Requests", ERRORS + "Requests")).errors == 15


@pytest.mark.parametrize("text", ["", "unable to connect", REPORT[:200]])
def test_what_is_no_report_is_an_error(text):
    with pytest.raises(load.LoadError, match="not a report"):
        load.parse(text)


def test_a_missing_wrk_says_what_to_install(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(load.LoadError, match="apt-get install wrk"):
        load.require()


def test_a_drifting_machine_does_not_move_the_ratio(monkeypatch):
    speed = iter([1.0] * 2 + [100, 100, 50, 50, 10, 10])
    floor = {"a": 2.0, "b": 1.0}
    monkeypatch.setattr(load, "run", lambda url, *_: loads(floor[url] * next(speed)))
    found = load.compare("a", "b", seconds=1, count=3, cpu=0)
    assert (found.ratio, found.floor_rate, found.our_rate) == (2.0, 100, 50)


def test_pairs_take_turns_at_going_first():
    order = []
    step = {name: lambda name=name: order.append(name) or name for name in "ab"}
    assert pairs.rounds(step["a"], step["b"], 3) == [("a", "b")] * 3
    assert "".join(order) == "abbaab"
