"""What programs fetch: from this host, in this process; from others, by way of who may
connect to them.

A program that asks this host asks a handler, as a client does, and its machine waits
for another one. The depth of such a request is known here alone, as no client can say
it; see program.py for why machines that wait for machines come to an end."""

import asyncio
import errno
import re
from collections.abc import Awaitable, Callable, Coroutine
from typing import Protocol, TypeVar
from urllib.parse import urljoin

import msgspec

from skerry.egress import Policy, judge
from skerry.message import Client, Cut, Request, Response, Streamed
from skerry.wanted import (
    MOST,
    REDIRECTS,
    SECONDS,
    Failed,
    Fetched,
    Wanted,
    fit,
    moved,
    names_and_values,
)

T = TypeVar("T")

_LOOK = 0.25  # seconds between looks whether a client is still there
DEPTH = 8  # how far programs may fetch from programs that fetch
_PATH = re.compile(rb"(/[!-\"$-~]*)(?:#[!-~]*)?")
_REDIRECT = frozenset((301, 302, 303, 307, 308))
_LOOP = "508 programs fetch from one another without end\n"

# Answers a request of this depth like the handler of a server.
Here = Callable[[Request, int], Response | Awaitable[Response] | None]


class Gone(Exception):
    """Nobody takes the answer any more."""


class _Nobody:
    """A client that nothing is told to, and that stays."""

    is_gone = False

    def on_response(self, response: Response | Awaitable[Response]) -> None:
        raise AssertionError("nothing is put off for nobody")


NOBODY: Client = _Nobody()


async def while_there(client: Client, work: Coroutine[None, None, T]) -> T:
    """What (work) returns; Gone when (client) has left. Then it has ended, too."""
    task = asyncio.ensure_future(work)
    try:
        while not client.is_gone:
            done, _ = await asyncio.wait([task], timeout=_LOOK)
            if done:
                return task.result()
        raise Gone
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait([task])


class Outside(Protocol):
    """Who connects to other hosts."""

    async def fetch(self, name: str, wanted: Wanted) -> Fetched:
        """What (wanted) brings program (name), whose rights are known there."""


class Nowhere:
    """No program may connect to other hosts."""

    async def fetch(self, name: str, wanted: Wanted) -> Fetched:
        return Fetched(-errno.EAGAIN)


class Fetching:
    """Fetches for programs: from (here), or from (outside)."""

    def __init__(self, here: Here, outside: Outside) -> None:
        self._here = here
        self._outside = outside
        self._tasks: set[asyncio.Task[None]] = set()

    async def fetch(
        self, name: str, policy: Policy, wanted: Wanted, depth: int, client: Client
    ) -> Fetched:
        """What (wanted) brings program (name), which may do what (policy) allows. It
        is asked for at (depth), on behalf of (client)."""
        try:
            async with asyncio.timeout(SECONDS):
                return await self._follow(name, policy, wanted, depth, client)
        except Failed as error:
            return error.fetched
        except TimeoutError:
            return Fetched(-errno.ETIMEDOUT)

    async def _follow(
        self, name: str, policy: Policy, wanted: Wanted, depth: int, client: Client
    ) -> Fetched:
        for _ in range(REDIRECTS + 1):
            if not wanted.url.startswith(b"/"):
                judge(wanted, policy)  # who connects does so again
                return await self._outside.fetch(name, wanted)
            request = _request(wanted)
            if wanted.dummy:
                return Fetched()
            if depth > DEPTH:
                return _fetched(wanted, Response.text(508, _LOOP))
            response = await self._ask(request, depth, client)
            location = _field(response.head, b"location")
            if not (wanted.follow and response.status in _REDIRECT and location):
                return _fetched(wanted, response)
            wanted = _redirected(wanted, response.status, location)
        raise Failed(errno.ELOOP)

    async def _ask(self, request: Request, depth: int, client: Client) -> Response:
        inner = _Inner(client, self._tasks)
        request.client = inner
        try:
            response = self._here(request, depth)
            if response is not None:
                inner.on_response(response)
            return await inner.answer
        finally:
            inner.has_left = True


class _Inner:
    """A program as a client of this host, on behalf of its own (client)."""

    def __init__(self, client: Client, tasks: set[asyncio.Task[None]]) -> None:
        self._client = client
        self._tasks = tasks
        self.has_left = False
        self.answer: asyncio.Future[Response] = (
            asyncio.get_running_loop().create_future()
        )

    @property
    def is_gone(self) -> bool:
        return self.has_left or self._client.is_gone

    def on_response(self, response: Response | Awaitable[Response]) -> None:
        if type(response) is Response:
            self._settle(response)
            return
        # A task of its own: it holds a machine, and goes on when nobody waits for it.
        task = asyncio.ensure_future(self._wait_for(response))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _wait_for(self, response: Response | Awaitable[Response]) -> None:
        try:
            answer = response if isinstance(response, Response) else await response
            if isinstance(answer, Streamed):
                answer = await answer.whole(MOST)
            self._settle(answer)
        except Cut:  # who cut it has told why
            self._settle(Response.text(500, "500 the request failed\n"))
        except BaseException:
            self._settle(Response.text(500, "500 the request failed\n"))
            raise

    def _settle(self, response: Response) -> None:
        if not self.answer.done():
            self.answer.set_result(response)


def _request(wanted: Wanted) -> Request:
    """(wanted) as a request to this host."""
    found = _PATH.fullmatch(wanted.url)
    if found is None:
        raise Failed(errno.EINVAL)
    pairs = names_and_values(wanted.fields)
    body, method = wanted.body, b"GET" if wanted.body is None else b"POST"
    fields = b"Host: localhost\r\n" + wanted.fields
    if body is not None:
        fields += b"Content-Length: %d\r\n" % len(body)
    kinds = [value for name, value in pairs if name.lower() == b"content-type"]
    kind = kinds[0] if kinds else b""
    return Request(method, found[1], b"", fields, kind, body or b"")


def _fetched(wanted: Wanted, response: Response) -> Fetched:
    body = response.body
    fit(wanted, len(body))
    head = response.head
    kind = _field(head, b"content-type")
    return Fetched(0, response.status, kind, head, body)


def _field(head: bytes, name: bytes) -> bytes:
    """The first value of (name), in lower case, among lines (head); b"" if none is."""
    for line in head.split(b"\r\n"):
        before, _, value = line.partition(b":")
        if before.lower() == name:
            return value.strip()
    return b""


def _redirected(wanted: Wanted, status: int, location: bytes) -> Wanted:
    """What to ask for instead, here or elsewhere."""
    try:
        url = urljoin(wanted.url.decode("ascii"), location.decode("ascii"))
    except ValueError:
        raise Failed(errno.EPROTO) from None
    return msgspec.structs.replace(moved(wanted, status), url=url.encode())
