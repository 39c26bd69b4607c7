"""The HTTP side: bytes from a socket -> handler(Request) -> bytes to the socket."""

from skerry.http.limits import Limits
from skerry.http.server import Server, serve, serve_on

__all__ = ["Limits", "Server", "serve", "serve_on"]
