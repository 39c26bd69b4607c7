"""Bodies in pieces, over a connection in memory: framing, back-pressure, and every way
to end in the middle. h11 is the other side."""

import asyncio
from dataclasses import replace

import h11
import pytest
from support.wire import LIMITS, Wire

from skerry.http.incoming import FULL
from skerry.message import Cut, Response, Streamed

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
OLD = b"GET / HTTP/1.0\r\n\r\n"
PIECES = [b"one", b"twotwo", b"3" * 300]
BODY = b"".join(PIECES)


class Source:
    """Gives (pieces); an exception among them is raised."""

    def __init__(self, pieces):
        self.pieces = list(pieces)
        self.asked = self.closed = 0

    async def next(self):
        self.asked += 1
        piece = self.pieces.pop(0) if self.pieces else b""
        if isinstance(piece, BaseException):
            raise piece
        return piece

    def close(self):
        self.closed += 1


@pytest.fixture
def loop():
    loop = asyncio.new_event_loop()
    yield loop
    for task in asyncio.all_tasks(loop):
        task.cancel()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()


def streamed(source, length):
    line = b"" if length is None else b"Content-Length: %d\r\n" % length
    head = b"Content-Type: a/b\r\n" + line + b"\r\n"
    return Streamed(Response(200, head, len(head)), length, source)


@pytest.fixture
def stream(loop):
    """stream(pieces, length): a connection where "/" is answered so, the rest with its
    target; its source is in (source)."""

    def connect(pieces=PIECES, length=None, **options):
        source = Source(pieces)

        def handler(request):
            if request.target == b"/":
                return streamed(source, length)
            return Response.make(200, b"", request.target)

        wire = Wire(loop, handler, **options)
        wire.source = source
        return wire

    return connect


def by_h11(sent, written, is_ended=False):
    """The body that h11 reads in (written), the answer to (sent); it raises if that is
    not a whole one."""
    client = h11.Connection(h11.CLIENT)
    method = sent.split()[0].decode()
    client.send(h11.Request(method=method, target="/", headers=[("Host", "a")]))
    client.send(h11.EndOfMessage())
    client.receive_data(written)
    if is_ended:
        client.receive_data(b"")
    body = b""
    while True:
        event = client.next_event()
        if isinstance(event, h11.EndOfMessage):
            return body
        if isinstance(event, h11.Data):
            body += event.data
        assert event is not h11.NEED_DATA, "the body does not end"


# Responses.


@pytest.mark.parametrize("slow", [False, True])
@pytest.mark.parametrize("length", [len(BODY), None], ids=["known", "chunked"])
def test_a_streamed_body_is_framed_so_that_others_understand_it(stream, length, slow):
    wire = stream(length=length, slow=slow)
    wire.send(GET)
    while wire.paused:
        wire.take()
    assert by_h11(GET, wire.written) == BODY
    assert (b"chunked" in wire.written) == (length is None)
    assert wire.source.closed and not wire.ended
    wire.send(GET.replace(b"/ ", b"/next ", 1))
    assert wire.written.endswith(b"/next")


@pytest.mark.parametrize("step", [0, 1])
@pytest.mark.parametrize("line", [b"", b"Connection: keep-alive\r\n"])
def test_an_old_client_gets_a_body_that_the_connection_s_end_ends(stream, line, step):
    wire = stream(step=step)
    wire.send(OLD[:-2] + line + b"\r\n")
    assert b"chunked" not in wire.written
    assert b"Connection: close\r\n" in wire.written
    assert wire.ended
    assert by_h11(OLD, wire.written, is_ended=True) == BODY


def test_an_old_client_s_connection_goes_on_behind_a_known_length(stream):
    wire = stream(length=len(BODY))
    wire.send(OLD[:-2] + b"Connection: keep-alive\r\n\r\n")
    assert b"Connection: keep-alive\r\n" in wire.written
    assert wire.written.endswith(BODY) and not wire.ended


@pytest.mark.parametrize("length", [len(BODY), None])
def test_head_asks_for_no_piece(stream, length):
    wire = stream(length=length)
    wire.send(GET.replace(b"GET", b"HEAD"))
    assert wire.written.endswith(b"\r\n\r\n")
    assert (wire.source.asked, wire.source.closed) == (0, 1)


def test_the_next_piece_is_made_when_the_client_has_taken_the_last_one(stream):
    wire = stream(slow=True)
    wire.send(GET)
    for asked in range(len(PIECES) + 1):
        assert wire.source.asked == asked
        wire.take()


def test_a_client_that_leaves_closes_the_source_and_no_piece_is_made(stream):
    wire = stream(slow=True)
    wire.send(GET)
    wire.take()
    wire.leave()
    assert (wire.source.asked, wire.source.closed) == (1, 1)
    assert not wire.shared.tasks


def test_a_client_that_takes_nothing_is_dropped(stream):
    wire = stream(slow=True)
    wire.send(GET)
    wire.later(31)
    assert not wire.aborted
    wire.later(31)
    assert wire.aborted and wire.source.closed


def test_a_client_that_takes_a_little_in_time_is_not_dropped(stream):
    wire = stream([b"x"] * 10, slow=True)
    wire.send(GET)
    for _ in range(9):
        wire.later(31)
        wire.take()
        wire.later(20)
    assert not wire.aborted


@pytest.mark.parametrize("request_", [GET, OLD], ids=["chunked", "old"])
def test_a_body_that_fails_in_the_middle_is_cut(stream, caplog, request_):
    wire = stream([b"one", Cut()])
    wire.send(request_ + GET)
    assert wire.aborted and not wire.ended
    assert wire.source.closed
    assert b"0\r\n\r\n" not in wire.written
    assert wire.written.count(b"HTTP/1.1") == 1, "the request behind has no answer"
    ours = [each for each in caplog.records if each.name.startswith("skerry")]
    assert not ours, "who fails has told why"


def test_a_source_with_a_bug_is_cut_and_logged(stream, caplog):
    wire = stream([b"one", KeyError("bug")])
    wire.send(GET)
    assert wire.aborted and wire.source.closed
    assert "ends in the middle" in caplog.text


@pytest.mark.parametrize("length", [len(BODY) + 1, len(BODY) - 1])
def test_a_body_of_another_length_is_cut(stream, caplog, length):
    wire = stream(length=length)
    wire.send(GET)
    assert wire.aborted
    assert len(wire.written.partition(b"\r\n\r\n")[2]) < length


def test_requests_behind_a_stream_wait(stream):
    wire = stream(slow=True)
    wire.send(GET + GET.replace(b"/ ", b"/next ", 1))
    while wire.paused:
        assert not wire.reading
        wire.take()
    assert wire.written.index(BODY[-300:]) < wire.written.index(b"/next")
    assert wire.reading


def test_a_server_that_stops_lets_a_stream_end(stream):
    wire = stream(slow=True)
    wire.send(GET)
    wire.shared.stopping = True
    wire.protocol.retire()
    assert not wire.closed
    while wire.paused:
        wire.take()
    assert by_h11(GET, wire.written) == BODY
    assert wire.closed and not wire.aborted


def test_a_stream_that_is_cancelled_is_cut(stream):
    wire = stream(slow=True)
    wire.send(GET)
    for task in wire.shared.tasks:
        task.cancel()
    wire.run()
    assert wire.aborted and wire.source.closed


def test_a_stream_for_a_client_that_has_left_is_closed(loop):
    source = Source(PIECES)

    async def later():
        return streamed(source, None)

    wire = Wire(loop, lambda request: later())
    wire.protocol.data_received(GET)
    wire.leave()
    assert (source.asked, source.closed) == (0, 1)


# Requests.

POST = b"POST /up HTTP/1.1\r\nHost: a\r\n"


class Taker:
    """A handler that takes bodies of /up piece by piece, as far as (allowed), and then
    answers with what it got."""

    def __init__(self):
        self.request = None
        self.got = []
        self.allowed = 1 << 30
        self.more = asyncio.Event()
        self.is_cut = False

    def wants(self, request):
        return request.target == b"/up"

    def __call__(self, request):
        self.request = request
        if not self.wants(request):
            return Response.make(200, b"", b"whole:" + request.body)
        return self.take(request)

    async def take(self, request):
        piece = None
        while piece != b"":
            while len(self.got) >= self.allowed:
                self.more.clear()
                await self.more.wait()
            try:
                piece = await request.pieces.next()
            except Cut:
                self.is_cut = True
                raise
            self.got.append(piece)
            if piece == b"enough":
                return Response.make(413, b"", b"enough")
        return Response.make(200, b"", b"pieces:" + b"".join(self.got))

    def allow(self, wire, more):
        self.allowed += more
        self.more.set()
        wire.run()


@pytest.fixture
def taker():
    return Taker()


@pytest.fixture(params=[0, 1], ids=["whole", "byte by byte"])
def wire(request, loop, taker):
    return Wire(loop, taker, taker.wants, step=request.param)


def sent_by_h11(headers, *pieces):
    client = h11.Connection(h11.CLIENT)
    fields = [("Host", "a"), *headers]
    data = client.send(h11.Request(method="POST", target="/up", headers=fields))
    for piece in pieces:
        data += client.send(h11.Data(data=piece))
    return data + client.send(h11.EndOfMessage())


@pytest.mark.parametrize(
    "headers",
    [
        [("Content-Length", "309")],
        [("Transfer-Encoding", "chunked")],
        [("Content-Length", "309"), ("Connection", "upgrade"), ("Upgrade", "x")],
    ],
    ids=["length", "chunked", "upgrade"],
)
def test_a_body_goes_to_its_program_as_it_arrives(wire, taker, headers):
    wire.send(sent_by_h11(headers, *PIECES))
    assert by_h11(POST, wire.written) == b"pieces:" + BODY
    wire.send(GET)
    assert wire.written.endswith(b"whole:"), "the connection goes on"


def test_what_has_arrived_in_one_read_is_one_piece(wire, taker):
    wire.step = 0
    wire.send(sent_by_h11([("Transfer-Encoding", "chunked")], *PIECES))
    assert taker.got == [BODY, b""]


def test_bodies_of_other_programs_arrive_whole(wire, taker):
    wire.send(sent_by_h11([("Content-Length", "3")], b"abc").replace(b"/up", b"/x"))
    assert wire.written.endswith(b"whole:abc")


def test_a_request_without_a_body_comes_as_it_is(wire, taker):
    wire.send(POST.replace(b"/up", b"/up2") + b"Content-Length: 0\r\n\r\n")
    assert wire.written.endswith(b"whole:")


def test_the_socket_is_not_read_while_nobody_takes_what_has_come(loop, taker):
    limits = replace(LIMITS, upload=FULL * 2)
    wire = Wire(loop, taker, taker.wants, limits=limits)
    taker.allowed = 0
    wire.send(POST + b"Content-Length: %d\r\n\r\n" % (FULL * 2))
    wire.send(b"x" * (FULL - 1))
    assert wire.reading
    wire.send(b"x")
    assert not wire.reading
    taker.allow(wire, 1)
    assert wire.reading
    assert len(taker.got[0]) == FULL


def test_100_continue_is_sent_when_the_body_is_wanted(wire, taker):
    taker.allowed = 0
    wire.send(POST + b"Expect: 100-continue\r\nContent-Length: 3\r\n\r\n")
    assert wire.written == b""
    taker.allow(wire, 9)
    assert wire.written == b"HTTP/1.1 100 Continue\r\n\r\n"
    wire.send(b"abc")
    assert wire.written.endswith(b"pieces:abc")
    assert wire.written.count(b"100 Continue") == 1


def test_an_answer_before_the_body_s_end_closes_the_connection(wire, taker):
    wire.step = 0
    wire.send(POST + b"Content-Length: 99\r\n\r\n")
    wire.send(b"enough")
    assert b"413" in wire.written and b"Connection: close\r\n" in wire.written
    assert wire.ended
    wire.send(b"more of it")
    assert wire.written.count(b"HTTP/1.1") == 1


@pytest.mark.parametrize("way", ["lost", "end"])
def test_a_client_that_leaves_in_the_middle_cuts_the_body(wire, taker, way):
    wire.send(POST + b"Content-Length: 99\r\n\r\nabc")
    if way == "end":
        assert not wire.protocol.eof_received()
    wire.leave()
    assert taker.is_cut
    assert wire.written == b"" and not wire.shared.tasks


@pytest.mark.parametrize(
    ("rest", "status"),
    [
        (b"Content-Length: 601\r\n\r\n", b"413"),
        (b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz", b"400"),
        (
            b"Transfer-Encoding: chunked\r\n\r\n12c\r\n%b\r\n12d\r\n%b"
            % (b"x" * 300, b"x" * 301),
            b"413",
        ),
    ],
)
def test_a_body_that_breaks_a_rule_is_refused(wire, taker, rest, status):
    wire.send(POST + rest)
    assert wire.written.startswith(b"HTTP/1.1 " + status)
    assert wire.written.count(b"HTTP/1.1") == 1
    assert wire.ended and not wire.shared.tasks


def test_a_client_that_sends_no_more_gets_a_408_but_only_when_it_is_waited_for(
    wire, taker
):
    taker.allowed = 1
    wire.step = 0
    wire.send(POST + b"Content-Length: 99\r\n\r\nabc")
    wire.later(100)
    assert wire.written == b""
    taker.allow(wire, 1)
    wire.later(29)
    wire.send(b"d")
    taker.allow(wire, 1)
    wire.later(29)
    assert wire.written == b""
    wire.later(2)
    assert b"408" in wire.written and taker.is_cut


def test_an_upload_behind_a_request_that_takes_long_waits(loop, taker):
    asked = []

    def handler(request):
        if request.target == b"/slow":
            asked.append(request)
            return None
        return taker(request)

    wire = Wire(loop, handler, taker.wants)
    slow = GET.replace(b"/ ", b"/slow ", 1)
    wire.send(slow + POST + b"Content-Length: 6\r\n\r\nabc")
    assert not wire.reading and taker.request is None
    asked[0].client.on_response(Response.make(200, b"", b"slow"))
    wire.run()
    assert wire.reading
    wire.send(b"def" + GET)
    places = [
        wire.written.find(each) for each in (b"slow", b"pieces:abcdef", b"whole:")
    ]
    assert -1 < places[0] < places[1] < places[2]


def test_an_upload_whose_program_is_replaced_meanwhile_is_refused(loop):
    asked = []
    wanted = [True]
    wire = Wire(loop, asked.append, lambda request: wanted[0])
    wire.send(GET + POST + b"Content-Length: 6\r\n\r\nabc")
    wanted[0] = False
    asked[0].client.on_response(Response.make(200, b"", b"first"))
    wire.run()
    assert len(asked) == 1
    assert b"503" in wire.written.partition(b"first")[2] and wire.ended


def test_a_refusal_before_the_body_has_come_closes_the_connection(loop, taker):
    full = Response.text(503, "full")
    wire = Wire(loop, lambda request: full, taker.wants)
    wire.send(POST + b"Content-Length: 99\r\n\r\nabc")
    assert b"Connection: close\r\n" in wire.written and wire.ended
    wire = Wire(loop, lambda request: None, taker.wants)
    wire.send(POST + b"Content-Length: 3\r\n\r\nabc")
    wire.protocol.on_response(full)
    assert b"Connection: close\r\n" not in wire.written and not wire.ended
