"""Who takes what the reader of a connection finds."""

from typing import Protocol

from skerry.message import Request, Upload


class Sink(Protocol):
    """What the reader calls, in the order of what it reads."""

    def on_request(self, request: Request, connection: bytes) -> None:
        """(request) is whole; its answer carries the line (connection)."""

    def on_expect(self) -> None:
        """The client waits for 100 Continue before it sends the body."""

    def on_upload(self, request: Upload, connection: bytes, expects: bool) -> None:
        """The head of (request) is there, and its body comes in pieces, once it has its
        100 Continue if it (expects) one."""

    def on_piece(self, piece: bytes) -> None:
        """The next of these."""

    def on_last_piece(self) -> None:
        """That was all of them."""
