"""skerry status: what a running skerry serve does."""

import argparse

import msgspec

from skerry.commands.serve import DEFAULT, address
from skerry.supervise import door
from skerry.supervise.listen import place
from skerry.supervise.report import Report, text


def add(parsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = parsers.add_parser(
        "status",
        help="print what a running skerry serve does",
        description="Asks the skerry that serves HOST:PORT on this machine for its "
        "programs, its processes and what they have counted.",
    )
    parser.add_argument(
        "--listen",
        type=address,
        default=DEFAULT,
        metavar="HOST:PORT",
        help=f"where it listens, as told to skerry serve (default: {DEFAULT})",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    said = door.ask(place(*arguments.listen))
    if arguments.json:
        print(msgspec.json.format(said, indent=2).decode())
    else:
        print(text(msgspec.json.decode(said, type=Report)), end="")
    return 0
