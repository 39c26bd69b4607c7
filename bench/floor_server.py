"""The floor server: the least that an HTTP answer out of a KVM guest can cost.

uvloop and httptools in one protocol class; every request does --exits bare
KVM_RUN round trips (floor.c) and gets one fixed answer. It knows keep-alive and
pipelining and nothing else: no limits, no timeouts, no errors.
"""

import sys
from pathlib import Path

# Not this file's directory: its http.py would stand in for the stdlib's http.
sys.path.pop(0)
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import argparse
import asyncio
import signal
from typing import cast

import httptools
import uvloop

from bench.floor import Floor

BODY = b"Hello World!"
HEAD = (
    b"HTTP/1.1 200 OK\r\n"
    b"Date: Sat, 01 Jan 2000 00:00:00 GMT\r\n"
    b"Server: floor\r\n"
    b"Content-Type: text/plain\r\n"
    b"Content-Length: %d\r\n" % len(BODY)
)
PAD = b"X-Pad: "


def answer(size: int) -> bytes:
    """The fixed response, padded by a header to (size) bytes, if that is more."""
    missing = size - len(HEAD + b"\r\n" + BODY)
    pad = b"" if missing <= 0 else PAD + b"x" * max(1, missing - len(PAD) - 2) + b"\r\n"
    return HEAD + pad + b"\r\n" + BODY


class FloorProtocol(asyncio.Protocol):
    """One connection: a bare guest exit or more, and one write, for each request."""

    def __init__(self, floor: Floor, exits: int, response: bytes) -> None:
        self.floor = floor
        self.exits = exits
        self.response = response
        self.parser = httptools.HttpRequestParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.WriteTransport, transport)

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_message_complete(self) -> None:
        self.floor.exit(self.exits)
        self.transport.write(self.response)


async def serve(port: int, exits: int, size: int) -> None:
    """Serves on 127.0.0.1 until SIGTERM or SIGINT; port 0 takes a free one."""
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    response = answer(size)
    with Floor() as floor:
        server = await loop.create_server(
            lambda: FloorProtocol(floor, exits, response), "127.0.0.1", port
        )
        host, port = server.sockets[0].getsockname()
        print(f"listening on {host}:{port}", flush=True)
        await stopped.wait()
        server.close()


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=0, help="0: a free one, printed")
    parser.add_argument("--exits", type=int, default=1, help="per request")
    parser.add_argument("--bytes", type=int, default=0, help="size of the response")
    return parser.parse_args()


if __name__ == "__main__":
    given = arguments()
    uvloop.install()
    asyncio.run(serve(given.port, given.exits, given.bytes))
