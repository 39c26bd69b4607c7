"""Where programs come from, in tests: web servers that do as told, and archives."""

import asyncio
import io
import stat
import tarfile
import threading
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from ssl import SSLContext
from typing import Any, Self

from skerry.sources.getting import Brought, Getter, Want
from skerry.sources.limits import Limits
from skerry.sources.web import Web, open_session

ELF = b"\x7fELF and what else a program has"

# Tests do not wait between tries.
LIMITS = Limits(pauses=(0, 0, 0), pauses_with_copy=(0,))

Reply = Callable[["Handler"], None]


class Handler(BaseHTTPRequestHandler):
    """One connection to a Site."""

    protocol_version = "HTTP/1.1"
    server: "_Server"

    def do_GET(self) -> None:
        site = self.server.site
        site.requests.append((self.path, dict(self.headers)))
        replies = site.replies.get(self.path, [page(status=404)])
        reply = replies.pop(0) if len(replies) > 1 else replies[0]
        reply(self)

    def log_message(self, format: str, *arguments: Any) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    site: "Site"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is what some tests are about."""


class Site:
    """A web server on a free port. A context manager."""

    def __init__(self, tls: SSLContext | None = None) -> None:
        self.replies: dict[str, list[Reply]] = {}
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.over = threading.Event()  # set at its end: who hangs has to go on
        self._server = _Server(("127.0.0.1", 0), Handler)
        self._server.site = self
        self._scheme = "http"
        if tls:
            socket = tls.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
            self._server.socket, self._scheme = socket, "https"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def put(self, path: str, *replies: Reply | bytes) -> str:
        """Answers GET (path) with these in turn, the last of them for ever. Returns its
        URI."""
        self.replies[path] = [
            page(each) if isinstance(each, bytes) else each for each in replies
        ]
        return f"{self._scheme}://localhost:{self.port}{path}"

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def asked(self, path: str) -> int:
        """How often somebody wanted (path)."""
        return sum(each == path for each, _ in self.requests)

    def close(self) -> None:
        """From now on nobody is there. May be called again."""
        self.over.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *unused: object) -> None:
        self.close()


def page(
    body: bytes = b"",
    etag: str = "",
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    length: int | None = None,
) -> Reply:
    """A page, as (etag) if there is one: who has it gets a 304. It says that it has
    (length) bytes, if that is not what it has."""

    def reply(handler: Handler) -> None:
        same = etag and handler.headers.get("If-None-Match") == etag
        handler.send_response(304 if same else status)
        for name, value in (headers or {}).items():
            handler.send_header(name, value)
        if etag:
            handler.send_header("ETag", etag)
        if not same:
            handler.send_header("Content-Length", str(length or len(body)))
        handler.end_headers()
        if not same:
            handler.wfile.write(body)
        handler.close_connection = length is not None

    return reply


def hang(handler: Handler) -> None:
    """Says nothing."""
    handler.server.site.over.wait()


def stop_half_way(handler: Handler) -> None:
    """Says a half, and then nothing."""
    handler.send_response(200)
    handler.send_header("Content-Length", str(2 * len(ELF)))
    handler.end_headers()
    handler.wfile.write(ELF)
    hang(handler)


def without_end(handler: Handler) -> None:
    """Sends for as long as somebody reads, and does not say how much."""
    handler.send_response(200)
    handler.send_header("Connection", "close")
    handler.end_headers()
    while not handler.server.site.over.is_set():
        handler.wfile.write(ELF * 1000)


def bring(want: Want, limits: Limits = LIMITS) -> Brought:
    """What comes of fetching (want) once."""

    async def story() -> Brought:
        async with open_session(limits) as session:
            getter = Getter(Web(session, limits), limits)
            return await getter.bring(want, lambda done, size: None)

    return asyncio.run(story())


def limited(**limits: Any) -> Limits:
    """LIMITS, but for these."""
    return replace(LIMITS, **limits)


def tar(
    *members: tuple[str, bytes] | tarfile.TarInfo, kind: str = "xz", **options: Any
) -> bytes:
    """A tar archive of files, (name, content), and of what else a test puts there."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=f"w:{kind}", **options) as archive:
        for each in members:
            if isinstance(each, tarfile.TarInfo):
                archive.addfile(each)
                continue
            name, content = each
            about = tarfile.TarInfo(name)
            about.size = len(content)
            archive.addfile(about, io.BytesIO(content))
    return out.getvalue()


def zipped(*members: tuple[str, bytes], mode: int = stat.S_IFREG) -> bytes:
    """A zip archive of files, which says that they are of (mode)."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            about = zipfile.ZipInfo(name)
            about.external_attr = (mode | 0o644) << 16
            archive.writestr(about, content, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def names(directory: Path) -> list[str]:
    """The files in (directory)."""
    return sorted(each.name for each in directory.iterdir())
