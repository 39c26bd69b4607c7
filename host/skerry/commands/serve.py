"""skerry serve: programs from a file answer HTTP."""

import argparse
import asyncio
import os
import re
from pathlib import Path

from skerry.config import Config, load
from skerry.log import Log
from skerry.supervise.supervisor import Options, Supervisor

DEFAULT = "127.0.0.1:8080"
DRAIN = 30.0  # seconds
_MOST = 60  # workers: each may have two seats at the lock of a storage, of 126
_ADDRESS = re.compile(r"(\[[^\[\]]+\]|[^:\[\]]*):([0-9]{1,5})")


def add(parsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = parsers.add_parser(
        "serve",
        help="serve the programs of a configuration file",
        description="Starts every program that FILE names and serves them over HTTP: "
        "/NAME and /NAME/... reach program NAME, and so does a Host header that "
        "equals NAME. SIGTERM or Ctrl-C stops it when what is in flight is done; "
        "SIGHUP and skerry reload load the configuration again.",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="JSON configuration")
    parser.add_argument(
        "--listen",
        type=address,
        default=DEFAULT,
        metavar="HOST:PORT",
        help=f"where to listen; port 0 is any free port (default: {DEFAULT})",
    )
    parser.add_argument(
        "--workers",
        type=workers,
        default=min(len(os.sched_getaffinity(0)), _MOST),
        metavar="N",
        help=f"processes that serve, 1 to {_MOST} (default: one for each core)",
    )
    parser.add_argument(
        "--drain",
        type=seconds,
        default=DRAIN,
        metavar="SECONDS",
        help="what requests in flight get when it stops "
        f"(default: {DRAIN:g}); a second SIGTERM ends it at once",
    )
    parser.add_argument(
        "--admin",
        type=address,
        metavar="HOST:PORT",
        help="where other builds of programs may be uploaded, by who knows their key; "
        "port 0 is any free port (default: nowhere)",
    )
    parser.set_defaults(run=run)


def address(text: str) -> tuple[str, int]:
    """HOST:PORT as a pair; an IPv6 address stands in brackets."""
    found = _ADDRESS.fullmatch(text)
    if found is None or int(found[2]) > 65535:
        raise argparse.ArgumentTypeError(
            f"expected HOST:PORT such as {DEFAULT}, found {text!r}"
        )
    return found[1].strip("[]") or "0.0.0.0", int(found[2])


def workers(text: str) -> int:
    """How many processes."""
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= _MOST:
        raise argparse.ArgumentTypeError(f"expected 1 to {_MOST}, found {text!r}")
    return int(text)


def seconds(text: str) -> float:
    """A time that is not negative, and not for ever."""
    if re.fullmatch(r"[0-9]{1,6}(\.[0-9]*)?", text) is None:
        raise argparse.ArgumentTypeError(
            f"expected seconds such as {DRAIN:g}, found {text!r}"
        )
    return float(text)


def run(arguments: argparse.Namespace) -> int:
    config = load(arguments.file)
    host, port = arguments.listen
    options = Options(host, port, arguments.workers, arguments.drain, arguments.admin)
    asyncio.run(_serve(config, options))
    return 0


async def _serve(config: Config, options: Options) -> None:
    await Supervisor(config, options, Log()).run()
