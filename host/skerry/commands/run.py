"""skerry run: one program, one request, without a server."""

import argparse
import json
import re
import sys
from contextlib import ExitStack
from pathlib import Path

from skerry.alone import Alone
from skerry.config import AllowedPath, defaults
from skerry.config import Program as Config
from skerry.connector import open_connector
from skerry.egress import Policy, parse_entry
from skerry.errors import SkerryError
from skerry.keys import Host
from skerry.log import Log
from skerry.machine import check_machine
from skerry.message import Request, Response
from skerry.native import use_connector
from skerry.plain import run_plain
from skerry.start import start
from skerry.tracing.decode import CUT, Call
from skerry.tracing.overheard import Overheard
from skerry.wanted import Fetched, Wanted


def add(parsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = parsers.add_parser(
        "run",
        help="start one program, make one request, print the response",
        description="Starts PROGRAM, with storage and 2 MB of shared memory in case it "
        "uses them, makes one request and prints the response; what the program "
        "itself prints goes to standard error. Exit status 1 if the program fails: "
        "then standard error has a backtrace too. With --plain there is no request: "
        "PROGRAM does its work in main and ends, as in a terminal.",
    )
    parser.add_argument("program", type=Path, metavar="PROGRAM", help="an ELF program")
    parser.add_argument(
        "arguments",
        nargs="*",
        metavar="ARG",
        help="what its main gets (default: state file and kind; with --plain nothing); "
        "behind -- if one begins with -",
    )
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
        help="a host that sys_fetch and sockets may reach, as in allowed_hosts; may be "
        "repeated",
    )
    parser.add_argument(
        "--core",
        type=Path,
        metavar="FILE",
        help="if the program fails, write this core file for gdb PROGRAM FILE",
    )
    parser.add_argument(
        "--path",
        type=Path,
        action="append",
        default=[],
        metavar="PATH",
        help="a file or directory that the program finds under its own name, to read; "
        "may be repeated",
    )
    parser.add_argument(
        "--writable",
        type=Path,
        action="append",
        default=[],
        metavar="PATH",
        help="the same, to read and, in start-up and storage, to write",
    )
    parser.add_argument(
        "--plain",
        action="store_true",
        help="run a program that never waits for requests: its output is ours, and so "
        "is its exit status; standard input is empty",
    )
    parser.add_argument(
        "--trace",
        action="store_true",
        help="print each system call and host call of the program to standard error",
    )
    parser.add_argument(
        "--trace-json",
        type=Path,
        metavar="FILE",
        help="write them to FILE as JSON, one object a line",
    )
    parser.add_argument(
        "--cut",
        type=int,
        default=CUT,
        metavar="N",
        help="bytes of a buffer that a trace shows (at most 512; default: 32)",
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


def configure(arguments: argparse.Namespace) -> Config:
    """The program under its file's name, with everything that it may use."""
    path: Path = arguments.program
    name = re.sub(r"[^A-Za-z0-9_.-]", "-", path.name).lstrip(".") or "program"
    values = defaults(name, path)
    fields = {key: getattr(values, key) for key in Config.__slots__}
    more = {
        "storage": not arguments.plain,
        "shared_memory": 2,
        "allowed_hosts": tuple(arguments.allow),
        "allowed_paths": tuple(
            AllowedPath(each.absolute(), str(each.absolute()), True, writable)
            for given, writable in (
                (arguments.path, False),
                (arguments.writable, True),
            )
            for each in given
        ),
    }
    if arguments.arguments or arguments.plain:
        more["main_arguments"] = tuple(arguments.arguments)
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


def listen(arguments: argparse.Namespace, held: ExitStack) -> int:
    """Where the program's calls are told, as the options ask; 0: nobody wants them."""
    if arguments.trace_json:
        try:
            file = held.enter_context(arguments.trace_json.open("w"))
        except OSError as error:
            why = f"cannot write {arguments.trace_json}: {error.strerror}"
            raise SkerryError(f"--trace-json: {why}") from None

    def show(call: Call) -> None:
        if arguments.trace:
            print(call.line(), file=sys.stderr, flush=True)
        if arguments.trace_json:
            print(json.dumps(call.as_json()), file=file)

    if not (arguments.trace or arguments.trace_json):
        return 0
    return held.enter_context(Overheard(show, arguments.cut)).fd


def run(arguments: argparse.Namespace) -> int:
    check_machine()
    with ExitStack() as held:
        trace = listen(arguments, held)
        if arguments.plain:
            return run_plain(configure(arguments), trace)
        return run_request(arguments, trace)


def run_request(arguments: argparse.Namespace, trace: int) -> int:
    """Starts the program, whose calls go to (trace), and makes one request."""
    from skerry.autopsy import Autopsy  # takes other commands 0.1 s for nothing

    request = make_request(arguments)
    log, config = Log(sys.stderr), configure(arguments)
    autopsy = Autopsy(arguments.program, arguments.core, log)
    policy = Policy(config.allowed_hosts)
    use_connector(open_connector(policy))
    outside = _Direct(policy)
    program = Alone(start(config, log, look=autopsy, trace=trace), log, outside)
    try:
        check_size(request, program.body_limit)
        response, failed = program.answer(request, autopsy)
    finally:
        program.close()
    show(response)
    return 1 if failed else 0
