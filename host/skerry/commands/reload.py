"""skerry reload: a running skerry serve loads its configuration again."""

import argparse

import msgspec

from skerry.commands.asking import add_options, as_json, ask
from skerry.supervise import door
from skerry.supervise.reloaded import Reloaded, text


def add(parsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = parsers.add_parser(
        "reload",
        help="have a running skerry serve load its configuration again",
        description="Has the skerry that serves HOST:PORT on this machine load its "
        "configuration again, waits until all workers serve what it says, and prints "
        "what has come of it. Exit status 1 if anything failed: then what was served "
        "in its place is served on.",
    )
    add_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    said = ask(arguments, door.RELOAD)
    reloaded = msgspec.json.decode(said, type=Reloaded)
    if arguments.json:
        print(as_json(said))
    else:
        print(text(reloaded), end="")
    return 0 if reloaded.is_good else 1
