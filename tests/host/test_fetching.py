"""Fetching from this host, and the way to who connects to others."""

import asyncio
import errno
import socket

import pytest

from skerry.channel import Channel
from skerry.egress import Policy, judge
from skerry.fetcher import Fetcher
from skerry.fetching import DEPTH, NOBODY, Fetching, Gone, Nowhere, while_there
from skerry.message import Cut, Response, Streamed
from skerry.messages import (
    Allow,
    Brought,
    Fetch,
    FetcherCommand,
    Forget,
    Join,
)
from skerry.remote import Remote
from skerry.wanted import MOST, Failed, Fetched, Wanted, failed

LONG = 60.0


class Handler:
    """Stands in for the programs of this host: (answers) by target, else a 404."""

    def __init__(self, **answers):
        self.answers = {f"/{name}".encode(): each for name, each in answers.items()}
        self.asked = []

    def __call__(self, request, depth):
        self.asked.append((request, depth))
        return self.answers.get(request.target, Response.text(404, "none\n"))


NOTHING, NOWHERE = Policy(), Nowhere()


def fetch(handler, wanted, depth=1, policy=NOTHING, outside=NOWHERE):
    async def run():
        fetching = Fetching(handler, outside)
        return await fetching.fetch("test", policy, wanted, depth, NOBODY)

    return asyncio.run(run())


PAGE = Response.make(200, b"Content-Type: a/b\r\nX-One: 1\r\n", b"a page")


def test_a_path_reaches_this_host_as_a_request():
    handler = Handler(page=PAGE)
    fields = b"X-Two: 2\r\nContent-Type: c/d\r\n"
    got = fetch(handler, Wanted(b"/page#part", fields, b"body"), depth=3)
    lines = b"Content-Type: a/b\r\nX-One: 1\r\n"
    assert got == Fetched(0, 200, b"a/b", lines, b"a page")
    ((request, depth),) = handler.asked
    assert (request.method, request.target, depth) == (b"POST", b"/page", 3)
    assert (request.body, request.content_type) == (b"body", b"c/d")
    assert request.headers == (
        b"Host: localhost\r\n" + fields + b"Content-Length: 4\r\n"
    )


def test_a_get_has_no_body():
    handler = Handler(page=PAGE)
    fetch(handler, Wanted(b"/page"))
    ((request, _),) = handler.asked
    assert (request.method, request.body) == (b"GET", b"")
    assert request.headers == b"Host: localhost\r\n"


@pytest.mark.parametrize("url", [b"/a b", b"/\r\nX: y", b"/\xff", b"/\0", b"x", b""])
def test_a_malformed_path_is_refused(url):
    handler = Handler()
    assert fetch(handler, Wanted(url)) == failed(errno.EINVAL)
    assert handler.asked == []


def test_a_field_that_frames_the_message_is_refused():
    wanted = Wanted(b"/page", b"Content-Length: 5\r\n", b"body")
    assert fetch(Handler(), wanted) == failed(errno.EINVAL)


def test_an_answer_has_to_fit():
    handler = Handler(page=PAGE, large=Response.make(200, b"", bytes(MOST + 1)))
    assert fetch(handler, Wanted(b"/page", room=6)).content == b"a page"
    assert fetch(handler, Wanted(b"/page", room=5)) == failed(errno.EMSGSIZE)
    assert fetch(handler, Wanted(b"/large")) == failed(errno.EFBIG)


def test_redirects_are_followed_here_and_to_where_it_is_allowed():
    class Outside:
        async def fetch(self, name, wanted):
            return Fetched(0, 201, content=wanted.url)

    def to(location):
        return Response.make(302, b"Location: %b\r\n" % location, b"")

    handler = Handler(
        here=to(b"page"), away=to(b"http://a.b/x"), round=to(b"/round"), page=PAGE
    )
    outside, policy = Outside(), Policy(["a.b"])
    assert fetch(handler, Wanted(b"/here", follow=True)).content == b"a page"
    assert fetch(handler, Wanted(b"/here")).status == 302
    assert fetch(handler, Wanted(b"/round", follow=True)) == failed(errno.ELOOP)
    away = Wanted(b"/away", follow=True)
    assert fetch(handler, away) == failed(errno.EACCES)
    assert fetch(handler, away, 1, policy, outside).content == b"http://a.b/x"


def test_nobody_is_asked_at_a_depth_that_is_too_great():
    handler = Handler(page=PAGE)
    assert fetch(handler, Wanted(b"/page"), DEPTH).status == 200
    assert fetch(handler, Wanted(b"/page"), DEPTH + 1).status == 508
    assert len(handler.asked) == 1


def test_a_dummy_asks_nobody():
    handler = Handler(page=PAGE)
    assert fetch(handler, Wanted(b"/page", dummy=True)) == Fetched()
    assert handler.asked == []


def test_who_waits_no_more_is_gone_for_those_it_has_asked():
    class Client:
        is_gone = False

    handler = Handler(never=None)

    async def run():
        client = Client()
        fetching = Fetching(handler, Nowhere())
        work = fetching.fetch("test", Policy(), Wanted(b"/never"), 1, client)
        waiting = asyncio.ensure_future(while_there(client, work))
        while not handler.asked:
            await asyncio.sleep(0)
        ((request, _),) = handler.asked
        assert not request.client.is_gone
        client.is_gone = True
        with pytest.raises(Gone):
            async with asyncio.timeout(LONG):
                await waiting
        assert request.client.has_left
        request.client.on_response(PAGE)  # nobody hears it

    asyncio.run(run())


# --- The fetcher and its workers: real channels, no connection ---


class Slow:
    """Stands in for the network: brings what it may when it is told to go."""

    def __init__(self):
        self.wanted = []
        self.go = asyncio.Event()

    async def fetch(self, wanted, policy):
        try:
            judge(wanted, policy)
        except Failed as error:
            return error.fetched
        self.wanted.append(wanted)
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.wanted.remove(wanted)
            raise
        return BROUGHT


BROUGHT = Fetched(0, 200, content=b"brought")
ELSEWHERE = Wanted(b"http://a.b/")


def story(tell):
    """Runs (tell) with the supervisor's channel to a fetcher, which lets "one" go to
    a.b, and with what it fetches with."""

    async def run():
        slow = Slow()
        ours, theirs = socket.socketpair()
        supervisor = Channel(ours, None)
        fetcher = Fetcher(Channel(theirs, FetcherCommand), slow)
        running = asyncio.ensure_future(fetcher.run())
        async with asyncio.timeout(LONG):
            await supervisor.send(Allow({"one": ["a.b"]}))
            await tell(supervisor, slow)
            supervisor.close()
            await running

    asyncio.run(run())


async def join(supervisor):
    """The worker's socket of a new pair; it does not ask for connections."""
    ours, theirs = socket.socketpair()
    door, unused = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, door, unused:
        await supervisor.send(Join(), [ours.fileno(), door.fileno()])
    return theirs


async def until(check):
    while not check():
        await asyncio.sleep(0.001)


def test_a_worker_gets_what_the_supervisor_allows_its_programs():
    async def tell(supervisor, slow):
        slow.go.set()
        worker = Channel(await join(supervisor), Brought)
        for name in ("one", "two"):
            await worker.send(Fetch(7, name, ELSEWHERE))
            news, _ = await worker.receive()
            expected = BROUGHT if name == "one" else failed(errno.EACCES)
            assert news == Brought(7, expected)
        worker.close()

    story(tell)


def test_the_supervisor_may_change_its_mind():
    async def tell(supervisor, slow):
        slow.go.set()
        remote = Remote()
        remote.use(Channel(await join(supervisor), Brought))
        assert await remote.fetch("one", ELSEWHERE) == BROUGHT
        await supervisor.send(Allow({}))
        while await remote.fetch("one", ELSEWHERE) == BROUGHT:
            pass
        remote.close()

    story(tell)


NONSENSE = {
    "garbage": b"\xff" * 64,
    "another's message": None,
    "a number twice": [Fetch(1, "one", ELSEWHERE), Fetch(1, "one", ELSEWHERE)],
}


@pytest.mark.parametrize("nonsense", NONSENSE)
def test_a_worker_that_talks_nonsense_is_left_and_others_are_not(nonsense):
    async def tell(supervisor, slow):
        said = NONSENSE[nonsense]
        broken, remote = await join(supervisor), Remote()
        remote.use(Channel(await join(supervisor), Brought))
        channel = Channel(broken, Brought)
        if isinstance(said, bytes):
            broken.send(said)
        else:
            for each in said or [Allow({"two": ["*"]})]:
                await channel.send(each)
        with pytest.raises(EOFError):
            await channel.receive()
        await until(lambda: not slow.wanted)  # what it had begun is given up
        slow.go.set()
        assert await remote.fetch("two", ELSEWHERE) == failed(errno.EACCES)
        assert await remote.fetch("one", ELSEWHERE) == BROUGHT
        remote.close()
        channel.close()

    story(tell)


def test_what_nobody_waits_for_any_more_is_given_up():
    async def tell(supervisor, slow):
        remote = Remote()
        remote.use(Channel(await join(supervisor), Brought))
        waiting = asyncio.ensure_future(remote.fetch("one", ELSEWHERE))
        await until(lambda: slow.wanted)
        waiting.cancel()
        await until(lambda: not slow.wanted)
        slow.go.set()
        assert await remote.fetch("one", ELSEWHERE) == BROUGHT
        remote.close()

    story(tell)


def test_without_a_fetcher_a_fetch_fails_until_there_is_another():
    async def tell(supervisor, slow):
        remote = Remote()
        assert await remote.fetch("one", ELSEWHERE) == failed(errno.EAGAIN)
        ours, theirs = socket.socketpair()
        remote.use(Channel(ours, Brought))
        waiting = asyncio.ensure_future(remote.fetch("one", ELSEWHERE))
        fetcher = Channel(theirs, Fetch | Forget)
        said, _ = await fetcher.receive()
        assert (said.program, said.wanted) == ("one", ELSEWHERE)
        fetcher.close()
        assert await waiting == failed(errno.ECONNRESET)
        slow.go.set()
        remote.use(Channel(await join(supervisor), Brought))
        assert await remote.fetch("one", ELSEWHERE) == BROUGHT
        remote.close()

    story(tell)


class Source:
    """The body of a streamed response: (pieces), where an exception is raised."""

    def __init__(self, *pieces):
        self.pieces = list(pieces)
        self.is_closed = False

    async def next(self):
        piece = self.pieces.pop(0) if self.pieces else b""
        if isinstance(piece, Exception):
            raise piece
        return piece

    def close(self):
        self.is_closed = True


def streamed(source):
    head = b"Content-Type: a/b\r\n\r\n"
    return Streamed(Response(200, head, len(head)), None, source)


def test_a_streamed_answer_of_this_host_is_fetched_whole():
    source = Source(b"one", b"two")
    got = fetch(Handler(page=streamed(source)), Wanted(b"/page"))
    assert got == Fetched(0, 200, b"a/b", b"Content-Type: a/b\r\n", b"onetwo")
    assert source.is_closed


def test_a_streamed_answer_that_is_cut_is_a_500():
    source = Source(b"one", Cut())
    got = fetch(Handler(page=streamed(source)), Wanted(b"/page"))
    assert (got.result, got.status) == (0, 500)
    assert source.is_closed


def test_a_streamed_answer_is_fetched_as_far_as_a_body_may_go():
    source = Source(*[b"x" * MOST] * 9)
    got = fetch(Handler(page=streamed(source)), Wanted(b"/page"))
    assert got.result == -errno.EFBIG
    assert len(source.pieces) == 7 and source.is_closed
