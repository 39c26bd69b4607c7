"""A light HTTP client on one kept connection, for a server that may die at any time."""

import asyncio
from dataclasses import dataclass

PATIENCE = 60.0  # seconds in which every healthy server answers, on any machine


class Died(Exception):
    """The connection ended before the answer did, or was never made."""


class Silent(Exception):
    """The server kept the connection, and did not answer for PATIENCE."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole response."""

    status: int
    body: bytes

    def says(self) -> list[str]:
        """The words of a 200; nothing of any other answer."""
        return self.body.decode("latin-1").split() if self.status == 200 else []


class Client:
    """One connection, made when it is needed. Not for two requests at a time."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def connect(self) -> None:
        """Makes the connection if there is none. Died when nobody listens."""
        if self._writer is not None:
            return
        try:
            made = await asyncio.open_connection("127.0.0.1", self._port)
        except OSError as error:
            raise Died(str(error)) from None
        self._reader, self._writer = made

    async def ask(self, path: str, body: str = "") -> Answer:
        """GET (path), or with a (body) POST. Connects first where that is to be done;
        after Died or Silent nobody knows whether the request was served."""
        await self.connect()
        try:
            async with asyncio.timeout(PATIENCE):
                return await self._exchange(path, body)
        except TimeoutError:
            self.close()
            raise Silent(path) from None
        except (OSError, EOFError, ValueError, IndexError) as error:
            self.close()
            raise Died(str(error)) from None
        except BaseException:
            self.close()
            raise

    async def _exchange(self, path: str, body: str) -> Answer:
        assert self._reader is not None
        assert self._writer is not None
        head = f"{'POST' if body else 'GET'} {path} HTTP/1.1\r\nHost: crash\r\n"
        if body:
            head += f"Content-Length: {len(body)}\r\n"
        self._writer.write(f"{head}\r\n{body}".encode())
        fields = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        status = int(fields[9:12])
        size = int(fields.partition(b"\ncontent-length:")[2].partition(b"\r")[0])
        answer = Answer(status, await self._reader.readexactly(size))
        if b"\nconnection: close" in fields:
            self.close()
        return answer

    def close(self) -> None:
        """Ends the connection. May be called again; the next request makes another."""
        if self._writer is not None:
            self._writer.transport.abort()
        self._reader = self._writer = None
