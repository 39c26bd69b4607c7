"""One answer, asked for by hand: before and between the runs of wrk."""

from http.client import HTTPConnection, HTTPException, HTTPResponse

from bench.load import LoadError


def ask(port: int, path: str) -> tuple[HTTPResponse, bytes]:
    """What is answered on a new connection, and its body. LoadError if it is no 200."""
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read()
    except HTTPException as error:
        raise LoadError(f"{path}: {error!r}") from None
    finally:
        connection.close()
    if answer.status != 200:
        raise LoadError(f"{path} answered {answer.status}: {body[:200]!r}")
    return answer, body


def response_size(port: int, path: str) -> int:
    """The bytes of the answer on the wire, near enough to pad the floor's to."""
    answer, body = ask(port, path)
    head = f"HTTP/1.1 {answer.status} {answer.reason}\r\n"
    lines = (f"{name}: {value}\r\n" for name, value in answer.getheaders())
    return len(head) + sum(map(len, lines)) + 2 + len(body)
