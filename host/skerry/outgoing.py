"""Requests to other hosts: who may be asked is judged here, at every step."""

import asyncio
import errno
import io
import socket
import ssl
from collections.abc import Awaitable, Callable

import aiohttp
import msgspec
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from skerry.egress import BadUrl, Policy, Url, address, judge
from skerry.wanted import (
    REDIRECTS,
    SECONDS,
    Failed,
    Fetched,
    Wanted,
    fit,
    moved,
    names_and_values,
    without,
)

_CONNECT = 5.0  # seconds until there is a connection, its name looked up
_PIECE = 256 << 10
_HEADERS = 256 << 10  # bytes of an answer's fields
_REDIRECT = frozenset((301, 302, 303, 307, 308))
_SECRETS = frozenset((b"authorization", b"cookie"))  # for one origin only
_OURS = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")

# The addresses that a name leads to, each with its family.
Resolve = Callable[[str, int], Awaitable[list[tuple[int, str]]]]


async def look_up(host: str, port: int) -> list[tuple[int, str]]:
    """What the system's resolver says."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [(family, str(place[0])) for family, _, _, _, place in found]


class _Judge(AbstractResolver):
    """Leads to the addresses of (url)'s host that (policy) allows, and no others: they
    are what is connected to, so a name cannot lead elsewhere in between."""

    def __init__(self, url: Url, policy: Policy, resolve: Resolve) -> None:
        self._url = url
        self._policy = policy
        self._resolve = resolve

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        places = await self._resolve(host, port)
        allowed = [each for each in places if self._allows(each[1])]
        if not allowed:
            raise Failed(errno.EACCES)
        return [
            ResolveResult(
                hostname=host,
                host=place,
                port=port,
                family=kind,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST,
            )
            for kind, place in allowed
        ]

    def _allows(self, place: str) -> bool:
        found = address(place)
        return found is not None and self._policy.may_reach(self._url, found)

    async def close(self) -> None:
        """Holds nothing."""


class Outgoing:
    """Makes requests to other hosts; (resolve) looks names up."""

    def __init__(self, resolve: Resolve = look_up) -> None:
        self._resolve = resolve
        self._tls = ssl.create_default_context()

    async def fetch(self, wanted: Wanted, policy: Policy) -> Fetched:
        """The answer to (wanted) if (policy) allows it; an error is an answer too."""
        try:
            async with asyncio.timeout(SECONDS):
                return await self._follow(wanted, policy)
        except Failed as error:
            return error.fetched
        except (OSError, aiohttp.ClientError, ValueError, MemoryError) as error:
            return Failed(_number(error)).fetched

    async def _follow(self, wanted: Wanted, policy: Policy) -> Fetched:
        for _ in range(REDIRECTS + 1):
            url = judge(wanted, policy)
            if wanted.dummy:
                return Fetched()
            found = await self._ask(wanted, url, policy)
            if isinstance(found, Fetched):
                return found
            wanted = found
        raise Failed(errno.ELOOP)

    async def _ask(self, wanted: Wanted, url: Url, policy: Policy) -> Fetched | Wanted:
        """The answer, or what it says to ask for instead."""
        # A connector of its own: no connection that another policy has allowed.
        connector = aiohttp.TCPConnector(
            resolver=_Judge(url, policy, self._resolve),
            use_dns_cache=False,
            force_close=True,
            ssl=self._tls,
        )
        async with (
            aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
                timeout=aiohttp.ClientTimeout(connect=_CONNECT),
                skip_auto_headers=_OURS,
            ) as session,
            session.request(
                "GET" if wanted.body is None else "POST",
                URL(url.text, encoded=True),
                headers=_headers(wanted),
                data=None if wanted.body is None else io.BytesIO(wanted.body),
                allow_redirects=False,
            ) as response,
        ):
            location = response.headers.get("Location")
            if wanted.follow and response.status in _REDIRECT and location:
                return _redirected(wanted, url, response.status, location)
            return await _take(wanted, response)


def _headers(wanted: Wanted) -> list[tuple[str, str]]:
    """Ours, unless the program has its own: bodies come as they are."""
    pairs = names_and_values(wanted.fields)
    named = {name.lower() for name, _ in pairs}
    ours = [(b"User-Agent", b"skerry"), (b"Accept-Encoding", b"identity")]
    pairs += [each for each in ours if each[0].lower() not in named]
    try:
        return [(name.decode(), value.decode()) for name, value in pairs]
    except UnicodeDecodeError:
        raise Failed(errno.EINVAL) from None


def _redirected(wanted: Wanted, url: Url, status: int, location: str) -> Wanted:
    try:
        to = url.join(location)
    except BadUrl:
        raise Failed(errno.EPROTO) from None
    wanted = moved(wanted, status)
    if (to.scheme, to.host, to.port) != (url.scheme, url.host, url.port):
        wanted = without(wanted, _SECRETS)
    return msgspec.structs.replace(wanted, url=to.text.encode())


async def _take(wanted: Wanted, response: aiohttp.ClientResponse) -> Fetched:
    fields = b"".join(b"%b: %b\r\n" % each for each in response.raw_headers)
    if len(fields) > _HEADERS:
        raise Failed(errno.EFBIG)
    fit(wanted, response.content_length or 0)
    content = bytearray()
    async for piece in response.content.iter_chunked(_PIECE):
        content += piece
        fit(wanted, len(content))
    kind = response.headers.get("Content-Type", "")
    return Fetched(
        0,
        response.status,
        kind.encode("utf-8", "surrogateescape"),
        fields,
        bytes(content),
    )


def _number(error: Exception) -> int:
    """Which of errno's numbers stands for (error)."""
    match error:
        case TimeoutError():
            return errno.ETIMEDOUT
        case MemoryError():
            return errno.ENOMEM
        case aiohttp.ClientSSLError():
            return errno.EPROTO
        case aiohttp.ClientConnectorDNSError():
            return errno.EHOSTUNREACH
        case aiohttp.ClientConnectorError():
            return _connecting(error.os_error.errno)
        case (
            OSError() | aiohttp.ServerDisconnectedError() | aiohttp.ClientPayloadError()
        ):
            return errno.ECONNRESET
        case _:
            return errno.EPROTO


def _connecting(number: int | None) -> int:
    if number in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.EADDRNOTAVAIL):
        return errno.EAGAIN
    if number in (errno.ECONNREFUSED, errno.ETIMEDOUT, errno.ECONNRESET):
        return number
    return errno.EHOSTUNREACH
