"""skerry trace: what a program calls, and what of that skerry serves."""

import argparse
import json
import os
import shutil
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import TextIO

from skerry.errors import SkerryError
from skerry.native.syscalls import syscalls
from skerry.tracing.decode import CUT, Call
from skerry.tracing.summary import lacks, tell

_NEEDED = "skerry trace needs python-ptrace: pip install 'skerry[trace]'"


def add(parsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = parsers.add_parser(
        "trace",
        help="run a program natively, and tell which of its calls skerry serves",
        description="Runs PROGRAM on this machine, not in a guest, and prints the "
        "system calls that it makes, with all its threads and processes; at the end, "
        "those that skerry does not serve, or serves in part, and why. A program for "
        "skerry stops at its first host call: then skerry run --trace shows the rest. "
        "Exit status: that of PROGRAM; 0 if it was stopped.",
    )
    parser.add_argument("program", metavar="PROGRAM", help="an executable")
    parser.add_argument(
        "arguments", nargs=argparse.REMAINDER, metavar="ARG", help="its arguments"
    )
    parser.add_argument(
        "--seconds",
        type=seconds,
        metavar="N",
        help="end it after so long, if it still runs (Ctrl-C ends it at any time)",
    )
    parser.add_argument(
        "--quiet", action="store_true", help="print only what skerry does not serve"
    )
    parser.add_argument(
        "--json", action="store_true", help="print all as one JSON object"
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help="where to print (default: standard error, beside what PROGRAM prints)",
    )
    parser.add_argument(
        "--cut",
        type=int,
        default=CUT,
        metavar="N",
        help="bytes of a buffer that are shown (default: 32)",
    )
    parser.set_defaults(run=run)


def seconds(text: str) -> float:
    value = float(text)
    if not 0 < value <= 1e6:
        raise argparse.ArgumentTypeError(f"expected seconds above 0, found {text!r}")
    return value


class _Notes:
    """What has been seen."""

    def __init__(self, arguments: argparse.Namespace, out: TextIO) -> None:
        self._shows = not (arguments.quiet or arguments.json)
        self._keeps = arguments.json
        self._out = out
        self._calls: list[dict[str, object]] = []
        self._made: Counter[int] = Counter()

    def take(self, call: Call) -> None:
        self._made[call.number] += 1
        if self._keeps:
            self._calls.append(call.as_json())
        if self._shows:
            print(call.line(), file=self._out, flush=True)

    def conclude(self, ending: str) -> None:
        """Tells how it has ended, and what is not served."""
        if self._keeps:
            found = [each.as_json() for each in lacks(self._made)]
            whole = {"calls": self._calls, "ending": ending, "not_in_full": found}
            print(json.dumps(whole, indent=1), file=self._out)
            return
        print(f"--- {ending}", file=self._out)
        for line in tell(self._made):
            print(line, file=self._out)


def run(arguments: argparse.Namespace) -> int:
    path = find(arguments.program)
    if path is None:
        raise SkerryError(f"{arguments.program}: there is no such program")
    if arguments.output is None:
        return trace(path, arguments, sys.stderr)
    try:
        with arguments.output.open("w") as out:
            return trace(path, arguments, out)
    except OSError as error:
        raise SkerryError(f"{arguments.output}: {error.strerror}") from None


def find(name: str) -> str | None:
    """The program: a file, or what a shell would find."""
    return os.path.abspath(name) if os.path.isfile(name) else shutil.which(name)


def trace(path: str, arguments: argparse.Namespace, out: TextIO) -> int:
    try:
        from skerry.tracing.tracee import Tracee
    except ImportError:
        raise SkerryError(_NEEDED) from None
    notes, names = _Notes(arguments, out), {n: c.name for n, c in syscalls().items()}
    tracee = Tracee(
        path, [path, *arguments.arguments], names, notes.take, arguments.cut
    )
    status, ending = 0, "stopped"
    before = signal.signal(signal.SIGALRM, _end)
    try:
        signal.setitimer(signal.ITIMER_REAL, arguments.seconds or 0)
        ended = tracee.run()
        status, ending = ended.status, ended.text
    except (KeyboardInterrupt, TimeoutError):
        pass
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        tracee.kill()
    if tracee.host_call:
        status = 0
        ending = (
            f"its first host call, {tracee.host_call}: only a guest can go on from "
            f"here; see skerry run --trace {os.path.relpath(path)}"
        )
    notes.conclude(ending)
    return status


def _end(*unused: object) -> None:
    raise TimeoutError
