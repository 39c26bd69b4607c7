"""Small HTTP clients: an ordinary one, a raw one that sends any bytes, and a crowd."""

import asyncio
import select
import socket
import struct
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPConnection, parse_headers
from typing import BinaryIO, Self

LONG = 60.0  # seconds that no healthy step takes, on any machine


def wait_until(check: Callable[[], bool]) -> None:
    """Waits for (check) to be true; not for ever."""
    end = time.monotonic() + LONG
    while not check():
        assert time.monotonic() < end, "waited in vain"


@dataclass(frozen=True, slots=True)
class Answer:
    """A response: its status, its headers (any case), its body."""

    status: int
    headers: Message
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


@contextmanager
def connection(port: int) -> Iterator[HTTPConnection]:
    """A connection, closed at the end."""
    made = HTTPConnection("127.0.0.1", port, timeout=LONG)
    try:
        yield made
    finally:
        made.close()


def ask(
    connection: HTTPConnection,
    method: str,
    path: str,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """One request on (connection), answered."""
    connection.request(method, path, body, dict(headers or {}))
    response = connection.getresponse()
    return Answer(response.status, response.headers, response.read())


class Raw:
    """A connection on which the test writes every byte. A context manager."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), LONG)
        self._file: BinaryIO = self._socket.makefile("rb")

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def get(self, path: str) -> None:
        """Sends a GET of (path), and waits for nothing."""
        self.send(f"GET {path} HTTP/1.1\r\nHost: test\r\n\r\n".encode())

    def answer(self, method: str = "GET") -> Answer:
        """The next response, which is to a request with (method)."""
        status = int(self._file.readline().split()[1])
        headers = parse_headers(self._file)
        size = 0 if method == "HEAD" else int(headers.get("Content-Length", 0))
        return Answer(status, headers, self._file.read(size))

    def line(self) -> bytes:
        """The next line."""
        return self._file.readline()

    def rest(self) -> bytes:
        """All that comes until the server closes the connection."""
        return self._file.read()

    def is_ended(self) -> bool:
        """Waits for the server's next byte, or for the end that it sends."""
        return self._file.read(1) == b""

    def wait(self, seconds: float) -> bool:
        """Whether something comes in (seconds)."""
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        return bool(poll.poll(seconds * 1000))

    def is_silent(self) -> bool:
        """Whether nothing has come so far."""
        self._socket.setblocking(False)
        try:
            self._socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        finally:
            self._socket.settimeout(LONG)
        return False

    def close(self) -> None:
        self._file.close()
        self._socket.close()

    def reset(self) -> None:
        """Leaves without a word: a RST instead of a FIN."""
        linger = struct.pack("ii", 1, 0)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *unused: object) -> None:
        self.close()


async def _client(port: int, path: str, count: int) -> list[Answer]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    request = f"GET {path} HTTP/1.1\r\nHost: test\r\n\r\n".encode()
    answers = []
    try:
        for _ in range(count):
            writer.write(request)
            answers.append(await read_answer(reader))
    finally:
        writer.close()
        await writer.wait_closed()
    return answers


async def read_answer(reader: asyncio.StreamReader) -> Answer:
    """The next response, which has a Content-Length."""
    head = await reader.readuntil(b"\r\n\r\n")
    line, _, rest = head.partition(b"\r\n")
    headers = Message()
    for each in rest.decode().splitlines()[:-1]:
        name, _, value = each.partition(": ")
        headers[name] = value
    body = await reader.readexactly(int(headers["Content-Length"]))
    return Answer(int(line.split()[1]), headers, body)


async def _crowd(port: int, paths: Iterable[str], count: int) -> list[Answer]:
    work = (_client(port, path, count) for path in paths)
    async with asyncio.timeout(LONG):
        found = await asyncio.gather(*work)
    return [answer for answers in found for answer in answers]


def crowd(port: int, paths: Iterable[str], count: int) -> list[Answer]:
    """One client for each of (paths), all at the same time, makes (count) requests."""
    return asyncio.run(_crowd(port, paths, count))
