"""The floor of a streamed response: a bare uvloop server that writes the same pieces.

It waits while the client does not take them, and lets others have their turn between
two of them; it knows keep-alive and nothing else.
"""

import sys
from pathlib import Path

# Not this file's directory: its http.py would stand in for the stdlib's http.
sys.path.pop(0)
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import asyncio
from typing import cast

import uvloop

PIECE = b"x" * (64 << 10)
COUNT = (16 << 20) // len(PIECE)
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (COUNT * len(PIECE))


class Stream(asyncio.Protocol):
    """One connection: an answer of COUNT pieces for whatever comes."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.WriteTransport, transport)
        self.loop = asyncio.get_running_loop()
        self.left = 0
        self.paused = False

    def data_received(self, data: bytes) -> None:
        self.transport.write(HEAD)
        self.left = COUNT
        self.go_on()

    def go_on(self) -> None:
        if self.left and not self.paused and not self.transport.is_closing():
            self.left -= 1
            self.transport.write(PIECE)
            self.loop.call_soon(self.go_on)

    def pause_writing(self) -> None:
        self.paused = True

    def resume_writing(self) -> None:
        self.paused = False
        self.loop.call_soon(self.go_on)


async def serve() -> None:
    server = await asyncio.get_running_loop().create_server(Stream, "127.0.0.1", 0)
    print(f"listening on 127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve())
