"""Sources on the web: http:// and https:// URIs."""

import ssl
from http import HTTPStatus

import aiohttp
from yarl import URL

from skerry import __version__
from skerry.sources.failure import Away, Passing, SourceError
from skerry.sources.limits import Limits
from skerry.sources.part import Part
from skerry.sources.tag import Tag, Tell

_PIECE = 1 << 18
_AT_ONCE = 8  # connections to a server
_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})  # it may be better soon


def open_session(limits: Limits) -> aiohttp.ClientSession:
    """A client that keeps nothing between requests; for async with. Certificates are
    checked against the system's, or those in the file that SSL_CERT_FILE names."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            ssl=ssl.create_default_context(), limit_per_host=_AT_ONCE
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        headers={
            "User-Agent": f"skerry/{__version__}",
            "Accept-Encoding": "identity",
        },
        timeout=aiohttp.ClientTimeout(
            total=None, sock_connect=limits.connect, sock_read=limits.silent
        ),
    )


class Web:
    """Fetches by way of (session), within (limits)."""

    def __init__(self, session: aiohttp.ClientSession, limits: Limits) -> None:
        self._session = session
        self._limits = limits

    async def get(
        self, uri: str, seen: Tag, part: Part, most: int, tell: Tell
    ) -> Tag | None:
        """Brings what (uri) names to (part), at most (most) bytes. Returns its tag, or
        None if it still is what it was when the tag was (seen). Or SourceError."""
        try:
            return await self._get(uri, seen, part, most, tell)
        except TimeoutError:
            raise Passing("no answer in time: is its server well?") from None
        except aiohttp.ClientError as error:
            raise _failure(error) from None
        except ValueError:
            raise SourceError("it is no address of the web: check it") from None

    async def _get(
        self, uri: str, seen: Tag, part: Part, most: int, tell: Tell
    ) -> Tag | None:
        async with self._session.get(
            URL(uri, encoded=True),
            headers=_conditions(seen),
            max_redirects=self._limits.redirects + 1,  # the first that is too many
        ) as answer:
            _check_ways(answer)
            if answer.status == HTTPStatus.NOT_MODIFIED and seen != Tag():
                return None
            _check(answer, most)
            async for piece in answer.content.iter_chunked(_PIECE):
                if part.size + len(piece) > most:
                    raise _too_large(most)
                part.write(piece)
                tell(part.size, answer.content_length)
            heads = answer.headers
            return Tag(heads.get("ETag", ""), heads.get("Last-Modified", ""))


def _conditions(seen: Tag) -> dict[str, str]:
    """The header fields that ask for news only. RFC 9110 section 13.1."""
    fields = {"If-None-Match": seen.etag, "If-Modified-Since": seen.last_modified}
    return {name: value for name, value in fields.items() if value}


def _check_ways(answer: aiohttp.ClientResponse) -> None:
    """Whoever asks over TLS gets nothing that came without it."""
    ways = [each.url.scheme for each in (*answer.history, answer)]
    if ways[0] == "https" and set(ways) != {"https"}:
        raise SourceError("it leads from https to http: refused")


def _check(answer: aiohttp.ClientResponse, most: int) -> None:
    status = answer.status
    if status != HTTPStatus.OK:
        try:
            phrase = f" ({HTTPStatus(status).phrase})"
        except ValueError:
            phrase = ""
        kind = Passing if status in _AGAIN else Away
        raise kind(f"its server answers {status}{phrase}: check the uri")
    if (answer.content_length or 0) > most:
        raise _too_large(most)


def _too_large(most: int) -> SourceError:
    return SourceError(f"larger than {most >> 20} MB: refused")


def _failure(error: aiohttp.ClientError) -> SourceError:
    """What the log says of (error); none of it is the server's own words."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return Away(
                f"the certificate of {error.host}:{error.port} is not trusted: mend "
                "it, or name its authority's file in SSL_CERT_FILE"
            )
        case aiohttp.ClientSSLError():
            return Away(f"no TLS with {error.host}:{error.port}: is it http?")
        case aiohttp.ClientConnectorError():
            why = error.os_error.strerror or "unreachable"
            where = f"{error.host}:{error.port}"
            return Passing(f"cannot connect to {where} ({why}): is its server up?")
        case aiohttp.TooManyRedirects():
            return SourceError("it leads on and on: give the last address as uri")
        case aiohttp.RedirectClientError():
            return SourceError("it leads to no address of the web: refused")
        case aiohttp.InvalidURL():
            return SourceError("it is no address of the web: check it")
        case aiohttp.ClientConnectionError() | aiohttp.ClientPayloadError():
            return Passing("the connection ended before the answer did")
    return Away("its server does not answer as HTTP says: check the uri")
