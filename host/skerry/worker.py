"""One process that serves a configuration until it is told to stop."""

import asyncio
import signal

from skerry import http, native
from skerry.app import App
from skerry.config import Config
from skerry.errors import SkerryError
from skerry.log import Log

_GRACE = 30.0  # seconds that requests in flight get to finish


class CannotServe(SkerryError):
    """This machine, or its state, does not allow serving; says what to do."""


def check_machine() -> None:
    """Proves that reset holds on this KVM, or raises CannotServe."""
    try:
        facts = native.probe()
    except native.NativeError as error:
        raise CannotServe(
            f"KVM cannot be used: {error}\nrun skerry doctor to see what to do"
        ) from None
    if not facts.reset_holds:
        raise CannotServe(
            "this KVM does not put machines back reliably: a test request saw what "
            "the one before it left; skerry does not serve here"
        )


async def serve(config: Config, host: str, port: int, log: Log) -> None:
    """Starts the programs, listens, serves; returns when SIGTERM or SIGINT came and
    what was in flight is done."""
    check_machine()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, stop.set)
    app = App(log)
    await app.start(config)
    try:
        server = await _listen(app, host, port)
    except BaseException:
        app.close()
        raise
    log.info(f"listening on {place(host, server.port)}")
    await stop.wait()
    log.info("stopping")
    await server.stop(_GRACE)
    app.close()


async def _listen(app: App, host: str, port: int) -> http.Server:
    try:
        return await http.serve(app, host, port)
    except (OSError, UnicodeError) as error:
        # UnicodeError: (host) cannot be a name in the DNS.
        reason = getattr(error, "strerror", None) or "not a host name"
        raise CannotServe(
            f"cannot listen on {place(host, port)}: {reason}; "
            "choose another with --listen HOST:PORT"
        ) from None


def place(host: str, port: int) -> str:
    """HOST:PORT; an IPv6 address stands in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
