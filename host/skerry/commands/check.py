"""skerry check: reads a configuration, and reports all that is wrong with it."""

import argparse
import json
from pathlib import Path

from skerry.config import load
from skerry.errors import ConfigError


def add(parsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = parsers.add_parser(
        "check",
        help="check a configuration file",
        description="Reports every problem of FILE at once, and starts nothing. "
        "Exit status 0: no problem, 1: some.",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="JSON configuration")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    try:
        config = load(arguments.file)
    except ConfigError as error:
        if not arguments.json:
            raise
        print(json.dumps({"problems": [str(each) for each in error.problems]}))
        return 1
    names = [program.name for program in config.programs]
    if arguments.json:
        print(json.dumps({"problems": [], "programs": names}))
    else:
        print(f"{arguments.file}: no problems; programs: {', '.join(names)}")
    return 0
