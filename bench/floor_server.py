"""The floor server: the least that an HTTP answer out of a KVM guest can cost.

uvloop and httptools in one protocol class; every request does --exits bare
KVM_RUN round trips (floor.c) and gets one fixed answer. It knows keep-alive and
pipelining and nothing else: no limits, no timeouts, no errors. --processes of them
share one port, as workers do.
"""

import sys
from pathlib import Path

# Not this file's directory: its http.py would stand in for the stdlib's http.
sys.path.pop(0)
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import argparse
import asyncio
import os
import signal
import socket
from contextlib import redirect_stdout
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


async def serve(listener: socket.socket, given: argparse.Namespace) -> None:
    """Serves what comes to (listener) until SIGTERM or SIGINT."""
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    response = answer(given.bytes)
    with Floor() as floor:
        server = await loop.create_server(
            lambda: FloorProtocol(floor, given.exits, response), sock=listener
        )
        host, port = listener.getsockname()
        print(f"listening on {host}:{port}", flush=True)
        await stopped.wait()
        server.close()


def listen(port: int, count: int) -> list[socket.socket]:
    """(count) sockets on one port of 127.0.0.1; port 0 takes a free one. The kernel
    shares connections out among them."""
    made: list[socket.socket] = []
    for _ in range(count):
        one = socket.socket()
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        one.bind(("127.0.0.1", made[0].getsockname()[1] if made else port))
        made.append(one)
    for one in made:
        one.listen(128)
    return made


def share(listeners: list[socket.socket], given: argparse.Namespace) -> None:
    """Serves with a process for each; this is the first, and ends the others."""
    others = [fork(one, given) for one in listeners[1:]]
    try:
        asyncio.run(serve(listeners[0], given))
    finally:
        for pid in others:
            os.kill(pid, signal.SIGTERM)
            os.waitpid(pid, 0)


def fork(listener: socket.socket, given: argparse.Namespace) -> int:
    """A process that serves (listener), without a word; its pid."""
    if pid := os.fork():
        return pid
    with redirect_stdout(None):  # the first says where all of them listen
        asyncio.run(serve(listener, given))
    os._exit(0)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=0, help="0: a free one, printed")
    parser.add_argument("--exits", type=int, default=1, help="per request")
    parser.add_argument("--bytes", type=int, default=0, help="size of the response")
    parser.add_argument("--processes", type=int, default=1, help="that serve")
    return parser.parse_args()


if __name__ == "__main__":
    uvloop.install()
    options = arguments()
    share(listen(options.port, options.processes), options)
