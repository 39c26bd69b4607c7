"""What the commands share that ask a running skerry serve."""

import argparse

import msgspec

from skerry.commands.serve import DEFAULT, address
from skerry.supervise import door
from skerry.supervise.listen import place


def add_options(parser: argparse.ArgumentParser) -> None:
    """Whom to ask, and how to print the answer."""
    parser.add_argument(
        "--listen",
        type=address,
        default=DEFAULT,
        metavar="HOST:PORT",
        help=f"where it listens, as told to skerry serve (default: {DEFAULT})",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def ask(arguments: argparse.Namespace, word: bytes = door.STATUS) -> bytes:
    """What it says to (word)."""
    return door.ask(place(*arguments.listen), word)


def as_json(said: bytes) -> str:
    """(said), an answer, as --json prints it."""
    return msgspec.json.format(said, indent=2).decode()
