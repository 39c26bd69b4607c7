"""skerry schema: prints the JSON Schema of the configuration."""

import argparse
import json

from skerry.schema import schema


def add(parsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = parsers.add_parser(
        "schema",
        help="print a JSON Schema of the configuration",
        description="Prints the JSON Schema of a configuration file, for editors that "
        "complete and check while one types. skerry check knows more: what keys need "
        "of each other and of the files that they name.",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    print(json.dumps(schema(), indent=2))
    return 0
