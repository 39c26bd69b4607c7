"""Another host: a real server of HTTP on this machine, whose answers a test writes."""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Self

Answer = bytes | Callable[[bytes, socket.socket], None]


def page(
    body: bytes,
    status: bytes = b"200 OK",
    lines: bytes = b"Content-Type: text/plain\r\n",
) -> bytes:
    """A whole response."""
    length = b"Content-Length: %d\r\n\r\n" % len(body)
    return b"HTTP/1.1 %b\r\n%b%b%b" % (status, lines, length, body)


def moved(to: str, status: bytes = b"302 Found") -> bytes:
    """A redirect."""
    return page(b"elsewhere", status, b"Location: %b\r\n" % to.encode())


class Web:
    """Listens on 127.0.0.1, or (address), a thread for each connection. (answers), by
    path: bytes that are sent, or a function of the request and the connection. What was
    asked is in (asked). A context manager."""

    def __init__(self, address: str = "127.0.0.1") -> None:
        self.answers: dict[str, Answer] = {}
        self.asked: list[bytes] = []
        self._socket = socket.create_server((address, 0))
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()

    def url(self, path: str = "/", host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"

    def _accept(self) -> None:
        served = []
        with suppress(OSError):
            while True:
                client, _ = self._socket.accept()
                served.append(threading.Thread(target=self._serve, args=[client]))
                served[-1].start()
        for each in served:
            each.join()

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            client.settimeout(30)
            head = b""
            while b"\r\n\r\n" not in head:
                head += client.recv(65536)
            length = 0
            for line in head.split(b"\r\n"):
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            while len(head) < head.index(b"\r\n\r\n") + 4 + length:
                head += client.recv(65536)
            self.asked.append(head)
            answer = self.answers.get(head.split()[1].decode(), page(b"nothing here"))
            if callable(answer):
                answer(head, client)
            else:
                client.sendall(answer)

    def close(self) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *unused: object) -> None:
        self.close()
