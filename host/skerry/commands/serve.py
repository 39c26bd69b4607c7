"""skerry serve: programs from a file answer HTTP."""

import argparse
import re
from pathlib import Path

import uvloop

from skerry import worker
from skerry.config import load
from skerry.log import Log

_DEFAULT = "127.0.0.1:8080"
_ADDRESS = re.compile(r"(\[[^\[\]]+\]|[^:\[\]]*):([0-9]{1,5})")


def add(parsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = parsers.add_parser(
        "serve",
        help="serve the programs of a configuration file",
        description="Starts every program that FILE names and serves them over HTTP: "
        "/NAME and /NAME/... reach program NAME, and so does a Host header that "
        "equals NAME. SIGTERM or Ctrl-C stops it when what is in flight is done.",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="JSON configuration")
    parser.add_argument(
        "--listen",
        type=address,
        default=_DEFAULT,
        metavar="HOST:PORT",
        help=f"where to listen; port 0 is any free port (default: {_DEFAULT})",
    )
    parser.set_defaults(run=run)


def address(text: str) -> tuple[str, int]:
    """HOST:PORT as a pair; an IPv6 address stands in brackets."""
    found = _ADDRESS.fullmatch(text)
    if found is None or int(found[2]) > 65535:
        raise argparse.ArgumentTypeError(
            f"expected HOST:PORT such as {_DEFAULT}, found {text!r}"
        )
    return found[1].strip("[]") or "0.0.0.0", int(found[2])


def run(arguments: argparse.Namespace) -> int:
    config = load(arguments.file)
    host, port = arguments.listen
    uvloop.run(worker.serve(config, host, port, Log()))
    return 0
