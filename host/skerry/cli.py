"""The command line: skerry VERB ..."""

import argparse
import os
import sys
from collections.abc import Sequence

from skerry import __version__
from skerry.commands import (
    check,
    doctor,
    new,
    reload,
    run,
    schema,
    serve,
    status,
    syscalls,
    trace,
)
from skerry.errors import SkerryError


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="skerry",
        description="Compiled programs answer HTTP from KVM guests: a fresh machine "
        "for every request, at native speed.",
    )
    parser.add_argument("--version", action="version", version=f"skerry {__version__}")
    parsers = parser.add_subparsers(title="verbs", metavar="VERB", required=True)
    verbs = new, serve, status, reload, check, schema, run, trace, syscalls, doctor
    for verb in verbs:
        verb.add(parsers)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a verb. Returns the exit status; a user's mistake is a message, status 1."""
    arguments = make_parser().parse_args(argv)
    try:
        status: int = arguments.run(arguments)
        sys.stdout.flush()
    except SkerryError as error:
        print(error, file=sys.stderr)
        return 1
    except BrokenPipeError:
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, sys.stdout.fileno())  # for Python's own flush at its end
        return 1
    return status


if __name__ == "__main__":
    sys.exit(main())
