"""The protocol over a transport in memory: order, limits of time, errors, closing."""

import asyncio
import logging
import re

import pytest
from support.wire import Transport

from skerry.http.limits import Limits
from skerry.http.protocol import HttpProtocol
from skerry.http.shared import Shared
from skerry.message import Response

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
LIMITS = Limits(
    body=50,
    connections=2,
    refused=2,
    idle_time=60,
    head_time=15,
    body_time=30,
    write_time=30,
    linger_time=2,
)


class Buffer(Transport):
    """A transport with (buffered) bytes that the client has not taken."""

    buffered = 0

    def get_write_buffer_size(self):
        return self.buffered


class Client:
    """One connection to (handler), fed in pieces of (step) bytes."""

    def __init__(self, shared, step):
        self.shared = shared
        self.step = step
        self.transport = Buffer()
        self.protocol = HttpProtocol(shared)
        self.protocol.connection_made(self.transport)

    def send(self, data):
        step = self.step or len(data) or 1
        for at in range(0, len(data), step):
            self.protocol.data_received(data[at : at + step])

    def later(self, seconds):
        """Lets (seconds) pass, then looks at the deadlines as the server does."""
        self.shared.clock.now += seconds
        if self.protocol.deadline < self.shared.clock.now:
            self.protocol.expire()

    @property
    def statuses(self):
        return [int(part[:3]) for part in self._responses()]

    @property
    def bodies(self):
        return [part.partition(b"\r\n\r\n")[2] for part in self._responses()]

    def _responses(self):
        return re.split(rb"HTTP/1\.1 (?=\d{3} )", self.transport.written)[1:]


def echo(request):
    return Response.make(200, b"", request.target + request.body)


@pytest.fixture
def loop():
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


@pytest.fixture(params=[0, 1], ids=["whole", "byte by byte"])
def connect(request, loop):
    """Connects to a handler; byte by byte, as one read each, or whole."""

    def connect(handler=echo, limits=LIMITS):
        return Client(Shared(handler, limits, loop), request.param)

    return connect


def get(target=b"/", line=b"X: y"):
    return b"GET %b HTTP/1.1\r\nHost: a\r\n%b\r\n\r\n" % (target, line)


class Later:
    """A handler whose answers come when release() is called, in the order asked."""

    def __init__(self, loop):
        self.loop = loop
        self.asked = []

    def __call__(self, request):
        self.asked.append((request, self.loop.create_future()))
        return self.asked[-1][1]

    def release(self, response=None):
        for request, future in self.asked:
            if not future.done():
                future.set_result(response or echo(request))
        for _ in range(3):
            self.loop.run_until_complete(asyncio.sleep(0))


@pytest.fixture
def later(loop):
    return Later(loop)


# Answers.


def test_requests_are_answered_in_order_on_one_connection(connect):
    client = connect()
    client.send(get(b"/1") + get(b"/2"))
    client.send(get(b"/3"))
    assert client.bodies == [b"/1", b"/2", b"/3"]
    assert not client.transport.ended


def test_a_request_and_its_answer_are_one_write(connect):
    client = connect()
    writes = []
    client.transport.write = writes.append
    client.send(GET)
    assert len(writes) == 1


def test_a_head_gets_the_length_but_no_body(connect):
    client = connect()
    client.send(GET.replace(b"GET", b"HEAD"))
    assert client.transport.written.endswith(b"Content-Length: 1\r\n\r\n")


def test_a_handler_that_raises_answers_500_and_the_connection_goes_on(connect, caplog):
    def handler(request):
        if request.target == b"/bad":
            raise RuntimeError("oh")
        return echo(request)

    client = connect(handler)
    client.send(get(b"/bad") + get(b"/good"))
    assert client.statuses == [500, 200]
    assert "oh" in caplog.text


def out_of_memory(*unused):
    raise MemoryError


def test_an_answer_without_memory_is_a_503_and_the_connection_goes_on(connect, caplog):
    client = connect(lambda r: out_of_memory() if r.target == b"/big" else echo(r))
    client.send(get(b"/big") + get(b"/good"))
    assert client.statuses == [503, 200]
    assert b"Retry-After: 1\r\n" in client.transport.written
    (line,) = caplog.text.splitlines()
    assert "no memory for the answer to <Request GET /big" in line


def test_a_request_without_memory_is_a_503_and_ends_the_connection(connect):
    client = connect()
    client.protocol._feed = out_of_memory
    client.send(GET)
    assert client.statuses == [503]
    assert client.transport.ended


@pytest.mark.parametrize(
    "response", [Response.text(99, ""), Response(200, "text", 0), 7]
)
def test_a_handler_that_returns_nonsense_answers_500(connect, loop, caplog, response):
    client = connect(lambda request: response)
    client.send(GET)
    loop.run_until_complete(asyncio.sleep(0))
    assert client.statuses == [500]
    assert [each.levelno for each in caplog.records] == [logging.ERROR]


@pytest.mark.parametrize("line", [b"Connection: close", b"connection: foo, Close"])
def test_close_is_answered_with_close(connect, line):
    client = connect()
    client.send(get(b"/", line) + GET)
    assert client.statuses == [200]
    assert b"\r\nConnection: close\r\n" in client.transport.written
    assert client.transport.ended


def test_http_1_0_is_closed_unless_it_asks(connect):
    client = connect()
    client.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert b"\r\nConnection: keep-alive\r\n" in client.transport.written
    client.send(b"GET / HTTP/1.0\r\n\r\n")
    assert b"\r\nConnection: close\r\n" in client.transport.written
    assert client.transport.ended


# Answers that take time.


def test_pipelined_requests_wait_for_an_answer_that_takes_time(connect, later):
    client = connect(later)
    client.send(get(b"/1") + get(b"/2") + get(b"/3"))
    assert (len(later.asked), client.bodies) == (1, [])
    assert not client.transport.reading
    for count in (1, 2, 3):
        later.release()
        assert client.bodies == [b"/1", b"/2", b"/3"][:count]
    assert client.transport.reading


def test_an_error_is_answered_after_the_requests_before_it(connect, later):
    client = connect(later)
    client.send(get(b"/1") + b"nonsense" + get(b"/2"))
    assert client.statuses == []
    later.release()
    assert client.statuses == [200, 400]
    assert client.transport.ended


def test_an_awaitable_that_raises_answers_500(connect, loop, caplog):
    async def handler(request):
        raise RuntimeError("oh")

    client = connect(handler)
    client.send(GET)
    loop.run_until_complete(asyncio.sleep(0))
    assert client.statuses == [500]
    assert "oh" in caplog.text


def test_an_answer_that_takes_time_has_no_deadline_here(connect, later):
    client = connect(later)
    client.send(GET)
    client.later(1e6)
    assert not client.transport.closed
    later.release()
    assert client.statuses == [200]


def test_a_client_that_left_is_no_error(connect, later, caplog):
    client = connect(later)
    client.send(get(b"/1") + get(b"/2"))
    client.protocol.connection_lost(ConnectionResetError())
    client.transport.closed = True
    later.release()
    assert (client.statuses, len(later.asked)) == ([], 1)
    assert caplog.records == []
    assert client.shared.connections == set()
    assert client.shared.tasks == set()


def test_a_client_that_only_stopped_sending_is_answered(connect, later):
    client = connect(later)
    client.send(get(b"/1") + get(b"/2"))
    assert client.protocol.eof_received()
    later.release()
    assert not client.transport.closed
    later.release()
    assert client.bodies == [b"/1", b"/2"]
    assert client.transport.closed


def test_a_client_that_stopped_sending_between_requests_is_closed(connect):
    client = connect()
    client.send(GET)
    assert not client.protocol.eof_received()


# A client that does not read.


def test_a_client_that_does_not_read_is_not_read_from(connect):
    client = connect()
    client.protocol.pause_writing()
    client.step = 0
    client.send(get(b"/1") + get(b"/2"))
    assert (client.bodies, client.transport.reading) == ([], False)
    client.protocol.resume_writing()
    assert (client.bodies, client.transport.reading) == ([b"/1", b"/2"], True)


def test_answers_stop_in_the_middle_of_a_pipeline_when_the_client_is_full(connect):
    client = connect()
    write = client.transport.write

    def write_and_be_full(data):
        write(data)
        client.protocol.pause_writing()

    client.transport.write = write_and_be_full
    client.step = 0
    client.send(get(b"/1") + get(b"/2"))
    assert client.bodies == [b"/1"]
    client.protocol.resume_writing()
    assert client.bodies == [b"/1", b"/2"]


def test_a_client_that_takes_nothing_is_dropped(connect):
    client = connect()
    client.send(GET)
    client.transport.buffered = 100
    client.protocol.pause_writing()
    client.later(31)
    client.transport.buffered = 50
    client.later(31)
    assert not client.transport.closed
    client.later(31)
    assert client.transport.aborted


# 100 Continue.

WAITING = (
    b"POST /p HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n"
)


def test_100_continue_is_sent_before_the_body(connect):
    client = connect()
    client.send(WAITING % 2)
    assert client.transport.written == b"HTTP/1.1 100 Continue\r\n\r\n"
    client.send(b"hi")
    assert client.statuses == [100, 200]
    assert client.bodies[1] == b"/phi"


def test_100_continue_waits_for_the_answers_before_it(connect, later):
    client = connect(later)
    client.send(GET + WAITING % 2)
    assert client.statuses == []
    later.release()
    assert client.statuses == [200, 100]
    client.send(b"hi")
    later.release()
    assert client.statuses == [200, 100, 200]


def test_100_continue_is_not_sent_after_a_body_that_came_anyway(connect, later):
    client = connect(later)
    client.send(GET + WAITING % 2 + b"hi")
    later.release()
    later.release()
    assert client.statuses == [200, 200]


def test_a_body_too_long_is_refused_without_100(connect):
    client = connect()
    client.send(WAITING % 51 + b"x" * 51)
    assert client.statuses == [413]
    assert client.transport.ended


# Refusals.


def test_a_refusal_says_why_and_ends_the_connection(connect):
    client = connect()
    client.send(GET + b"GET / HTTP/1.1\r\n\r\n" + GET)
    assert client.statuses == [200, 400]
    assert client.bodies[1] == b"400 an HTTP/1.1 request needs a Host header\n"
    assert b"\r\nConnection: close\r\n" in client.transport.written
    assert client.transport.ended
    assert not client.transport.closed
    client.later(3)
    assert client.transport.closed


def test_a_refused_head_request_gets_no_body(connect):
    client = connect()
    client.send(b"HEAD / HTTP/1.1\r\nHost: a\r\nContent-Length: 51\r\n\r\n")
    assert (client.statuses, client.bodies) == ([413], [b""])


def test_one_connection_too_many_gets_503(connect):
    first = connect()
    clients = [Client(first.shared, 0) for _ in range(4)]
    assert [client.statuses for client in clients] == [[], [503], [503], [503]]
    assert [client.transport.aborted for client in clients] == [False] * 3 + [True]


# Deadlines.


def test_an_idle_connection_is_closed_without_a_word(connect):
    client = connect()
    client.later(59)
    client.send(GET)
    client.later(59)
    client.send(GET)
    assert not client.transport.closed
    client.later(61)
    assert (client.statuses, client.transport.closed) == ([200, 200], True)


def test_empty_lines_keep_no_connection_open(connect):
    client = connect()
    for _ in range(7):
        client.send(b"\r\n")
        client.later(10)
    assert client.transport.closed


@pytest.mark.parametrize("before", [b"", GET, GET + GET])
def test_a_slow_head_gets_408_however_it_trickles(connect, before):
    client = connect()
    client.send(before)
    for byte in b"GET / HTTP/1.1\r\n":
        assert 408 not in client.statuses
        client.send(bytes([byte]))
        client.later(1)
    assert client.statuses[-1] == 408
    assert client.transport.ended


@pytest.mark.parametrize(
    ("line", "piece"),
    [(b"Content-Length: 50", b"x"), (b"Transfer-Encoding: chunked", b"1\r\nx\r\n")],
)
def test_a_slow_body_gets_408_when_it_stands_still(connect, line, piece):
    client = connect()
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\n%b\r\n\r\n" % line)
    for _ in range(5):
        client.later(29)
        client.send(piece)
    assert client.statuses == []
    client.later(31)
    assert client.statuses == [408]


def test_a_chunk_header_that_trickles_is_no_progress(connect):
    client = connect()
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(4):
        client.later(10)
        client.send(b"0")
    assert client.statuses == [408]


def test_waiting_behind_an_answer_does_not_use_up_a_bodys_time(connect, later):
    client = connect(later)
    client.send(GET + b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nx")
    client.later(100)
    later.release()
    client.later(29)
    client.send(b"x")
    later.release()
    assert client.statuses == [200, 200]


# Stopping.


def test_a_connection_between_requests_retires_at_once(connect):
    client = connect()
    client.send(GET)
    client.shared.stopping = True
    client.protocol.retire()
    assert client.transport.closed


def test_a_request_in_flight_is_answered_and_then_the_connection_closes(connect, later):
    client = connect(later)
    client.send(GET)
    client.shared.stopping = True
    client.protocol.retire()
    assert not client.transport.closed
    later.release()
    assert b"\r\nConnection: close\r\n" in client.transport.written
    assert client.transport.closed


def test_a_request_half_sent_is_answered_and_then_the_connection_closes(connect):
    client = connect()
    client.send(GET[:-3])
    client.shared.stopping = True
    client.protocol.retire()
    client.send(GET[-3:])
    assert client.statuses == [200]
    assert client.transport.closed


def test_a_big_answer_is_sent_out_before_the_connection_closes(connect):
    client = connect()
    client.send(GET)
    client.protocol.pause_writing()
    client.shared.stopping = True
    client.protocol.retire()
    assert not client.transport.closed
    client.protocol.resume_writing()
    assert client.transport.closed


def test_who_connects_while_the_server_stops_is_closed(connect):
    shared = connect().shared
    shared.stopping = True
    assert Client(shared, 0).transport.closed
