"""skerry check: reads configurations and programs, and reports what is wrong."""

import argparse
import json
import sys
from dataclasses import dataclass, field
from pathlib import Path

from skerry.config import Program, defaults, load
from skerry.errors import ConfigError, SkerryError
from skerry.options import MB

_ELF = b"\x7fELF"


@dataclass(slots=True)
class _Report:
    """Of all files: lines, each with its place."""

    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    programs: list[str] = field(default_factory=list)
    fine: list[str] = field(default_factory=list)  # what is said of good files


def add(parsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = parsers.add_parser(
        "check",
        help="check configuration files, and programs",
        description="Reports every problem of each FILE at once, and starts nothing. "
        "FILE is a configuration, whose programs are looked at too, or a program: "
        "whether it can be loaded, needs libraries or instructions that this machine "
        "lacks, or waits for requests at all. Exit status 0: no problem (there may be "
        "warnings), 1: some.",
    )
    parser.add_argument(
        "file",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="JSON configuration, or ELF program",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    report = _Report()
    for file in arguments.file:
        _check(file, report)
    if arguments.json:
        parts = {"problems": report.problems, "warnings": report.warnings}
        print(json.dumps(parts | {"programs": report.programs}))
    elif report.problems:
        raise SkerryError("\n".join(report.problems + report.warnings))
    else:
        print("".join(f"{line}\n" for line in report.warnings), end="", file=sys.stderr)
        print("\n".join(report.fine))
    return 1 if report.problems else 0


def _check(file: Path, report: _Report) -> None:
    if _is_program(file):
        before = len(report.problems)
        _look(file.name, str(file), defaults(file.name, file), report)
        if len(report.problems) == before:
            report.fine.append(f"{file}: no problems")
        return
    try:
        config = load(file)
    except ConfigError as error:
        report.problems += map(str, error.problems)
        return
    for program in config.programs:
        _look(program.name, f"{file}: {program.name}", program, report)
    names = [program.name for program in config.programs]
    report.fine.append(f"{file}: no problems; programs: {', '.join(names)}")


def _is_program(file: Path) -> bool:
    try:
        with file.open("rb") as content:
            return content.read(len(_ELF)) == _ELF
    except OSError:
        return False  # load() says what is wrong with it


def _look(name: str, place: str, program: Program, report: _Report) -> None:
    """Notes what is told of (program); its file may be fetched later."""
    from skerry.inspection import inspect  # takes long, and others do not need it

    report.programs.append(name)
    try:
        data = program.filename.read_bytes()
    except OSError:
        return
    found = inspect(program.filename, data, program.max_memory * MB)
    report.problems += [f"{place}: {each}" for each in found.problems]
    report.warnings += [f"{place}: warning: {each}" for each in found.warnings]
