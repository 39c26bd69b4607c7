"""skerry new: a directory with a program to begin with."""

import argparse
import shlex
import shutil
import sys
from pathlib import Path

from skerry.project import LANGUAGES, check_name, create, language


def add(parsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    known = ", ".join(LANGUAGES)
    parser = parsers.add_parser(
        "new",
        help="begin a program",
        description="Makes the directory NAME with a program that answers with a line "
        "of text, with what builds it by the language's own tool, and with a "
        "programs.json that serves it. Prints what to do next.",
    )
    parser.add_argument("language", metavar="LANG", help=f"one of {known}")
    parser.add_argument("name", metavar="NAME", help="of program and directory")
    parser.set_defaults(run=run)


def this_command() -> str:
    """What to type, in another directory, for the command that runs now."""
    found = shutil.which("skerry")
    if found is not None and Path(found).resolve() == Path(sys.argv[0]).resolve():
        return "skerry"
    return shlex.quote(str(Path(sys.argv[0]).absolute()))


def run(arguments: argparse.Namespace) -> int:
    name: str = arguments.name
    chosen = language(arguments.language)
    check_name(name)
    create(chosen, name, Path(name))
    print(f"cd {name}")
    print(f"{chosen.build} && {this_command()} serve programs.json")
    print(f"curl http://127.0.0.1:8080/{name}  # in another terminal")
    return 0
