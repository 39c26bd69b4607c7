"""The line of requests: first come, first served; nobody waits in vain, or for ever."""

import asyncio

import pytest

from skerry.http import serve
from skerry.line import FULL, LATE, Line
from skerry.message import Request

LONG, SOON = 60.0, 0.02


class Client:
    """Who has sent a request."""

    is_gone = False


class Story:
    """A line, the requests that it has refused, and why."""

    def __init__(self, limit, seconds=LONG):
        self.refused = []
        self.line = Line(limit, seconds, lambda *refused: self.refused.append(refused))

    def come(self, count):
        """(count) requests come, and find no clone."""
        came = []
        for _ in range(count):
            request = Request(b"GET", b"/")
            request.client = Client()
            came.append(request)
        self.line.requests.extend(came)
        self.line.wait_in_bounds()
        return came

    async def all_refused(self, count):
        async with asyncio.timeout(LONG):
            while len(self.refused) < count:
                await asyncio.sleep(SOON / 4)


@pytest.fixture
def story():
    """story(limit, seconds): a Story, told on an event loop."""
    told = []

    async def tell():
        for each in told:
            each.line.close()

    def make(*arguments):
        told.append(Story(*arguments))
        return told[-1]

    yield make
    asyncio.run(tell())


def test_requests_leave_in_the_order_in_which_they_came(story):
    async def tell():
        came = at.come(2) + at.come(3)
        assert at.line.first(4) == came[:4]
        at.line.leave(4)
        assert at.line.first(4) == came[4:]

    at = story(5)
    asyncio.run(tell())


def test_who_finds_the_line_full_is_refused_at_once_and_nobody_else(story):
    async def tell():
        first = at.come(2)
        second = at.come(3)
        assert at.line.first(9) == first + second[:1]
        assert sorted(at.refused, key=lambda each: second.index(each[0])) == [
            (request, FULL) for request in second[1:]
        ]

    at = story(3)
    asyncio.run(tell())


def test_the_bound_can_be_left_out_and_holds_again_for_those_who_came_last(story):
    async def tell():
        came = [Request(b"GET", b"/") for _ in range(5)]
        at.line.requests.extend(came)
        at.line.wait()
        assert at.line.first(9) == came and not at.refused
        for request in came:
            request.client = Client()
        (last,) = at.come(1)
        assert at.line.first(9) == came[:3]
        assert at.refused == [(each, FULL) for each in (last, came[4], came[3])]
        at.line.leave(1)
        assert at.line.first(9) == came[1:3]

    at = story(3)
    asyncio.run(tell())


def test_with_no_room_nobody_waits(story):
    async def tell():
        assert [(request, FULL) for request in at.come(1)] == at.refused
        assert not at.line.requests

    at = story(0)
    asyncio.run(tell())


def test_who_has_left_makes_room_for_who_comes_when_the_line_is_full(story):
    async def tell():
        came = at.come(3)
        came[0].client.is_gone = came[2].client.is_gone = True
        assert at.line.first(9) == came
        late = at.come(3)
        assert at.line.first(9) == [came[1], *late[:2]]
        assert at.refused == [(each, FULL) for each in (came[0], came[2], late[2])]

    at = story(3)
    asyncio.run(tell())


def test_nobody_waits_longer_than_the_time_and_the_next_has_its_own(story):
    async def tell():
        first = at.come(2)
        await at.all_refused(2)
        second = at.come(1)
        await at.all_refused(3)
        assert at.refused == [(request, LATE) for request in first + second]
        assert not at.line.requests

    at = story(9, SOON)
    asyncio.run(tell())


def test_the_time_runs_from_when_a_request_came_not_from_when_others_did(story):
    async def tell():
        at.come(1)
        await asyncio.sleep(SOON)
        begin = asyncio.get_running_loop().time()
        (second,) = at.come(1)
        at.line.leave(1)
        await at.all_refused(1)
        assert asyncio.get_running_loop().time() - begin >= 4 * SOON
        assert at.refused == [(second, LATE)]

    at = story(9, 4 * SOON)
    asyncio.run(tell())


def test_who_has_begun_is_not_refused_later(story):
    async def tell():
        at.come(1)
        at.line.leave(1)
        (last,) = at.come(1)
        await at.all_refused(1)
        assert at.refused == [(last, LATE)]

    at = story(9, SOON)
    asyncio.run(tell())


def test_all_can_be_refused(story):
    async def tell():
        came = at.come(2)
        at.line.refuse_all("no")
        assert at.refused == [(request, "no") for request in came]
        assert not at.line.requests

    at = story(9)
    asyncio.run(tell())


@pytest.mark.parametrize("leave", ["close", "write_eof"])
def test_a_connection_tells_that_its_client_has_left(leave):
    async def tell():
        server = await serve(requests.append, "127.0.0.1", 0)
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        while not requests:
            await asyncio.sleep(SOON / 4)
        (request,) = requests
        assert not request.client.is_gone
        getattr(writer, leave)()
        while not request.client.is_gone:
            await asyncio.sleep(SOON / 4)
        await server.stop(0)
        writer.close()

    requests = []
    asyncio.run(asyncio.wait_for(tell(), LONG))
