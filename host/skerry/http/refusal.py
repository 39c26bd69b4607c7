"""A request that the HTTP side answers itself, because it breaks a rule or a limit."""

from skerry.message import Response


class Refusal(Exception):
    """Ends the connection, after an answer with (status) that says (reason)."""

    def __init__(self, status: int, reason: str) -> None:
        self.status = status
        self.reason = reason
        super().__init__(status, reason)

    def __str__(self) -> str:
        return f"{self.status} {self.reason}"

    def response(self) -> Response:
        headers = b"Retry-After: 1\r\n" if self.status == 503 else b""
        return Response.text(self.status, f"{self}\n", headers)
