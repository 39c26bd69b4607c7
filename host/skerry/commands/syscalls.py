"""skerry syscalls: which system calls programs may make."""

import argparse
import json
from collections import Counter
from collections.abc import Iterator

from skerry.native.syscalls import Status, Syscall, syscalls

_INTRODUCTION = """\
# System calls

How far skerry serves each system call of Linux on x86-64. This page is printed by
`skerry syscalls --markdown`, from the table that programs are served by.

- **full**: as on Linux, as far as a program can see that has this machine for itself.
  Each is compared with the real one.
- **partial**: the note says what is missing.
- **refused**: it fails, and will; the note says why. The error is `ENOSYS` where the
  note names no other.
- **unknown**: `ENOSYS`; nobody has needed it yet.

`skerry trace PROGRAM` tells which of them a program makes.
"""


def add(parsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = parsers.add_parser(
        "syscalls",
        help="print which system calls programs may make",
        description="Prints every system call of x86-64 by number and name, and how "
        "far it is served: full, partial (and what is missing), refused (and why) or "
        "unknown. skerry trace tells which of them a program makes.",
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON")
    form.add_argument(
        "--markdown", action="store_true", help="print the page docs/syscalls.md"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    calls = list(syscalls().values())
    if arguments.json:
        print(json.dumps([as_json(each) for each in calls], indent=2))
    elif arguments.markdown:
        print("\n".join(markdown(calls)))
    else:
        for each in calls:
            line = f"{each.number:3}  {each.name:24} {each.status.value:8} {each.note}"
            print(line.rstrip())
    return 0


def as_json(call: Syscall) -> dict[str, int | str]:
    return {
        "number": call.number,
        "name": call.name,
        "status": call.status.value,
        "note": call.note,
    }


def markdown(calls: list[Syscall]) -> Iterator[str]:
    """The lines of docs/syscalls.md."""
    count = Counter(each.status for each in calls)
    yield _INTRODUCTION
    yield ", ".join(f"{count[each]} {each.value}" for each in Status) + "."
    yield ""
    yield "| number | call | status | note |"
    yield "|---|---|---|---|"
    for each in calls:
        row = f"| {each.number} | `{each.name}` | {each.status.value} | {each.note} |"
        yield row.replace("|  |", "| |")
