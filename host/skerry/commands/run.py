"""skerry run: one program, one request, without a server."""

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from skerry.alone import Alone
from skerry.config import Program as Config
from skerry.config import defaults
from skerry.egress import Policy, parse_entry
from skerry.errors import SkerryError
from skerry.keys import Host
from skerry.log import Log
from skerry.machine import check_machine
from skerry.message import Request, Response
from skerry.start import start
from skerry.wanted import Fetched, Wanted


def add(parsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = parsers.add_parser(
        "run",
        help="start one program, make one request, print the response",
        description="Starts PROGRAM, with storage and 2 MB of shared memory in case it "
        "uses them, makes one request and prints the response; what the program "
        "itself prints goes to standard error. Exit status 1 if the program fails: "
        "then standard error has a backtrace too.",
    )
    parser.add_argument("program", type=Path, metavar="PROGRAM", help="an ELF program")
    parser.add_argument("--url", default="/", help="path and query (default: /)")
    parser.add_argument("--method", help="default: GET, with --data POST")
    parser.add_argument(
        "--data", type=read_data, metavar="TEXT|@FILE", help="the request's body"
    )
    parser.add_argument(
        "--allow",
        type=host,
        action="append",
        default=[],
        metavar="HOST",
        help="a host that sys_fetch may reach, as in allowed_hosts; may be repeated",
    )
    parser.add_argument(
        "--core",
        type=Path,
        metavar="FILE",
        help="if the program fails, write this core file for gdb PROGRAM FILE",
    )
    parser.set_defaults(run=run)


def host(text: str) -> str:
    """An entry of allowed_hosts."""
    try:
        parse_entry(text)
    except ValueError:
        message = f"expected {Host().expected}, found {text!r}"
        raise argparse.ArgumentTypeError(message) from None
    return text


def read_data(text: str) -> bytes:
    """The body that --data means: text, or @ and a file's name."""
    if not text.startswith("@"):
        return text.encode()
    try:
        return Path(text[1:]).read_bytes()
    except OSError as error:
        message = f"cannot read {text[1:]}: {error.strerror}"
        raise argparse.ArgumentTypeError(message) from None


def configure(path: Path, hosts: Sequence[str]) -> Config:
    """Program (path) under its file's name, with everything that it may use, and
    (hosts) to reach."""
    name = re.sub(r"[^A-Za-z0-9_.-]", "-", path.name).lstrip(".") or "program"
    values = defaults(name, path)
    fields = {key: getattr(values, key) for key in Config.__slots__}
    more = {"storage": True, "shared_memory": 2, "allowed_hosts": tuple(hosts)}
    return Config(**fields | more)


def make_request(arguments: argparse.Namespace) -> Request:
    """What the options ask for."""
    body: bytes = arguments.data or b""
    url: str = arguments.url
    if not re.fullmatch(r"/[!-~]*", url):
        raise SkerryError(f"--url: expected a path such as /x?y=1, found {url!r}")
    method: str | None = arguments.method
    if method is None:
        method = "GET" if arguments.data is None else "POST"
    if not re.fullmatch(r"[A-Z]+", method):
        raise SkerryError(f"--method: expected one such as GET, found {method!r}")
    kind = b"application/x-www-form-urlencoded" if body else b""
    headers = b"Host: localhost\r\n"
    if body:
        headers += b"Content-Type: %b\r\nContent-Length: %d\r\n" % (kind, len(body))
    return Request(method.encode(), url.encode(), b"localhost", headers, kind, body)


def check_size(request: Request, limit: int) -> None:
    """Raises SkerryError if the body has more than (limit) bytes."""
    size = len(request.body)
    if size > limit:
        raise SkerryError(f"--data: expected at most {limit} bytes, found {size}")


def show(response: Response) -> None:
    out = sys.stdout.buffer
    out.write(b"%d\r\n%b\r\n%b" % (response.status, response.head, response.body))
    out.flush()


class _Direct:
    """Connects to other hosts from this process, which has no jail."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy

    async def fetch(self, name: str, wanted: Wanted) -> Fetched:
        # Not before it is needed: it takes longer to load than all else together.
        from skerry.outgoing import Outgoing

        return await Outgoing().fetch(wanted, self._policy)


def run(arguments: argparse.Namespace) -> int:
    from skerry.autopsy import Autopsy  # takes other commands 0.1 s for nothing

    check_machine()
    request = make_request(arguments)
    log, config = Log(sys.stderr), configure(arguments.program, arguments.allow)
    autopsy = Autopsy(arguments.program, arguments.core, log)
    outside = _Direct(Policy(config.allowed_hosts))
    program = Alone(start(config, log, look=autopsy), log, outside)
    try:
        check_size(request, program.body_limit)
        response, failed = program.answer(request, autopsy)
    finally:
        program.close()
    show(response)
    return 1 if failed else 0
