"""The listener at which who knows a program's key uploads another build of it.

POST /programs/NAME     Authorization: Bearer KEY; the body is the program
GET /status             what skerry status --json prints
"""

import asyncio
import hashlib
import hmac
import secrets
from collections.abc import Awaitable, Callable

import msgspec

from skerry.config import Program
from skerry.errors import ProgramError, SkerryError
from skerry.http import Limits, Server, serve
from skerry.machine import CannotServe
from skerry.message import Request, Response
from skerry.supervise.boot import STEP
from skerry.supervise.jobs import Jobs
from skerry.supervise.listen import advice, place
from skerry.supervise.programs import Edition, Wanted
from skerry.supervise.update import Updater

_LIMITS = Limits(body=64 << 20, connections=16)
_PREFIX = b"/programs/"
_STOP = 1.0  # seconds that an answer gets at the end
_ELF = b"\x7fELF"
# What the hand-over of state may fail in: the program is not to blame, its state is in
# the way.
_CONFLICTS = (STEP, "on_live_update", "on_live_restore")
_OURS = ("read", "write", "replace file")  # steps that fail without the program's doing


class Admin:
    """Answers once open(); (report) is what GET /status returns."""

    def __init__(
        self,
        wanted: Wanted,
        updater: Updater,
        jobs: Jobs,
        report: Callable[[], Awaitable[bytes]],
    ) -> None:
        self._wanted = wanted
        self._updater = updater
        self._jobs = jobs
        self._report = report
        self._server: Server | None = None

    async def open(self, host: str, port: int) -> str:
        """Listens; returns where. CannotServe when it cannot."""
        try:
            self._server = await serve(self._answer, host, port, limits=_LIMITS)
        except (OSError, UnicodeError) as error:
            where = place(host, port)
            raise CannotServe(f"cannot listen on {where}: {advice(error)}") from None
        return place(host, self._server.port)

    async def close(self) -> None:
        """Ends what is in flight. Also if it is not open."""
        if self._server:
            await self._server.stop(_STOP)

    def _answer(self, request: Request) -> Response | Awaitable[Response]:
        path = request.target.partition(b"?")[0]
        if path == b"/status" and request.method == b"GET":
            return self._status()
        if not path.startswith(_PREFIX):
            return _json(404, {"step": "request", "reason": "no such path"})
        if request.method != b"POST":
            return _json(405, {"step": "request", "reason": "expected POST"})
        name = path.removeprefix(_PREFIX).decode("latin-1")
        config = self._allowed(name, request.headers)
        if config is None:
            reason = "no such program, no key configured for it, or another key"
            return _json(403, {"step": "authorization", "reason": reason})
        return self._upload(config, request.body)

    async def _status(self) -> Response:
        return _response(200, await self._report())

    def _allowed(self, name: str, headers: bytes) -> Program | None:
        """Program (name), if (headers) have its key. Takes as long if there is none."""
        found = {each.name: each for each in self._wanted.config.programs}.get(name)
        key = found.key if found and found.key else secrets.token_hex()
        is_right = hmac.compare_digest(_bearer(headers), key.encode())
        return found if is_right else None

    async def _upload(self, config: Program, elf: bytes) -> Response:
        try:
            await asyncio.to_thread(_check, config, elf)
            edition = await self._jobs.do(lambda: self._updater.upload(config, elf))
        except ProgramError as error:
            status = _status_of(error.step)
            return _json(status, {"step": error.step, "reason": error.reason})
        except SkerryError as error:
            return _json(500, {"step": "serve", "reason": str(error)})
        return _json(200, _said(edition))


def _said(edition: Edition) -> dict[str, object]:
    return {"version": edition.version, "ready_ms": round(edition.ready_ms, 2)}


def _check(config: Program, elf: bytes) -> None:
    """What can be said of (elf) without running it. ProgramError."""
    if not elf.startswith(_ELF):
        raise ProgramError(config.name, "upload", "the body is not an ELF file")
    if config.sha256 is None:
        return
    digest = hashlib.sha256(elf).hexdigest()
    if digest != config.sha256.lower():
        reason = f"expected SHA-256 {config.sha256}, as configured, found {digest}"
        raise ProgramError(config.name, "upload", reason)


def _bearer(headers: bytes) -> bytes:
    """The key in the Authorization header, or nothing."""
    for line in headers.split(b"\r\n"):
        name, _, value = line.partition(b":")
        kind, _, key = value.strip().partition(b" ")
        if name.lower() == b"authorization" and kind.lower() == b"bearer":
            return key.strip()
    return b""


def _status_of(step: str) -> int:
    if step in _CONFLICTS:
        return 409
    return 500 if step in _OURS else 422


def _json(status: int, content: dict[str, object]) -> Response:
    return _response(status, msgspec.json.encode(content))


def _response(status: int, body: bytes) -> Response:
    return Response.make(status, b"Content-Type: application/json\r\n", body + b"\n")
