"""Another host: a real server of TCP on this machine, which does as it is told."""

import contextlib
import select
import socket
import struct
import threading
from typing import Self

_RESET = struct.pack("ii", 1, 0)


class Peer:
    """Listens on (address), a thread for each connection. A client says, in lines:

    say TEXT     have TEXT sent      big N    have N bytes sent
    echo         from here on everything comes back, to the end
    count        all that comes is counted, to the end; then the number is sent
    close        have it closed      reset    have it reset
    hold         nothing happens until the client leaves
    late         "at last" is sent when go_on() is called

    (open) is how many connections there are. A context manager."""

    def __init__(self, address: str = "127.0.0.1") -> None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._socket = socket.create_server((address, 0), family=family, backlog=64)
        self.port = self._socket.getsockname()[1]
        self._clients: set[socket.socket] = set()
        self.total = 0
        self._late = threading.Event()
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()

    @property
    def open(self) -> int:
        return len(self._clients)

    def go_on(self) -> None:
        """Who has said "late" gets an answer."""
        self._late.set()

    def _accept(self) -> None:
        served = []
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._socket.accept()
                client.settimeout(30)
                self._clients.add(client)
                self.total += 1
                served.append(threading.Thread(target=self._serve, args=[client]))
                served[-1].start()
        for each in served:
            each.join()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            file = client.makefile("rb", buffering=0)
            while line := file.readline():
                if not self._do(client, *line.split(maxsplit=1)):
                    break
        self._clients.discard(client)
        client.close()

    def _do(self, client: socket.socket, what: bytes, text: bytes = b"") -> bool:
        """False: it is over."""
        match what:
            case b"say":
                client.sendall(text.rstrip(b"\n"))
                return True
            case b"big":
                client.sendall(b"b" * int(text))
                return True
            case b"echo":
                while data := client.recv(65536):
                    client.sendall(data)
            case b"count":
                count = 0
                while data := client.recv(65536):
                    count += len(data)
                client.sendall(b"%d" % count)
            case b"reset":
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            case b"late":
                self._late.wait(30)
                client.sendall(b"at last")
            case b"hold":
                looking = select.poll()
                looking.register(client, select.POLLRDHUP)
                looking.poll(30_000)
        return False

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for each in list(self._clients):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *unused: object) -> None:
        self.close()


def closed_port() -> int:
    """A port of 127.0.0.1 on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])
