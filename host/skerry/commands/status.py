"""skerry status: what a running skerry serve does."""

import argparse

import msgspec

from skerry.commands.asking import add_options, as_json, ask
from skerry.supervise.report import Report, text


def add(parsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = parsers.add_parser(
        "status",
        help="print what a running skerry serve does",
        description="Asks the skerry that serves HOST:PORT on this machine for its "
        "programs, its processes and what they have counted.",
    )
    add_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    said = ask(arguments)
    if arguments.json:
        print(as_json(said))
    else:
        print(text(msgspec.json.decode(said, type=Report)), end="")
    return 0
