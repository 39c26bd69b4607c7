"""Programs of which one build follows another, and clients who watch them change."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException

from support.client import Answer, ask, connection
from support.guests import PRELUDE, compile_guest
from support.server import Server

_LEAVE = "storage_return(&count, sizeof count);"
_ENTER = "storage_return(&count, len);"


def build(version: object, leave: str = _LEAVE, enter: str = _ENTER) -> str:
    """A counter in storage, as C behind PRELUDE: every request adds one, and tells the
    version and the sum. (leave) and (enter) are what its callbacks do; "" is none."""
    return f"""
static int count;
static void increment(size_t n, struct virtbuffer buf[n], size_t res)
{{
    count++;
    storage_return(&count, sizeof count);
}}
static void leave(void) {{ {leave} }}
static void enter(size_t len) {{ {enter} }}
START {{
    if ({int(bool(leave))}) set_on_live_update(leave);
    if ({int(bool(enter))}) set_on_live_restore(enter);
}}
HANDLE {{
    int now = -1;
    storage_call(increment, 0, 0, &now, sizeof now);
    reply("{version} %d", now);
}}
"""


def elf(source: str) -> bytes:
    """The program made from (source), behind PRELUDE."""
    return compile_guest(PRELUDE + source).read_bytes()


class Crowd:
    """Clients, each on its own connection, who ask for one path again and again."""

    def __init__(self, server: Server, path: str, clients: int) -> None:
        self._server = server
        self._path = path
        self._over = threading.Event()
        self.answers: list[Answer] = []
        self.failures: list[Exception] = []
        self._threads = [threading.Thread(target=self._ask) for _ in range(clients)]

    def _ask(self) -> None:
        try:
            with connection(self._server.port) as made:
                while not self._over.is_set():
                    self.answers.append(ask(made, "GET", self._path))
        except (OSError, HTTPException) as error:
            self.failures.append(error)

    @contextmanager
    def asking(self) -> Iterator[None]:
        """They ask inside."""
        for each in self._threads:
            each.start()
        try:
            yield
        finally:
            self._over.set()
            for each in self._threads:
                each.join()
