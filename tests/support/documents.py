"""Documents whose code blocks are run. The first word of a block says what it is:

```c hello.c     a file; so are cpp, json and txt with a name
```sh            commands; they must succeed
```console       "$ command" lines, each with what it prints; ... is any text
```text          for the eye: drawings, syntax
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

ROOT = Path(__file__).resolve().parents[2]
FILES = frozenset({"c", "cpp", "json", "txt"})
BLOCK = re.compile(r"^```(\S+) ?(\S*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
ADDRESS = "127.0.0.1:8080"  # in the text; a free port takes its place
ADMIN = "127.0.0.1:9000"  # and here
LISTENING = re.compile(r"listening on (127\.0\.0\.1:\d+)")
ADMINISTERED = re.compile(r"administered on (127\.0\.0\.1:\d+)")
FREE = "127.0.0.1:0"
SERVE = ".venv/bin/skerry serve"
MAKE_SERVE = f"{SERVE} guest/examples/examples.json"


@dataclass(frozen=True)
class Block:
    """A fenced block that begins in line (line): its kind, file name and text."""

    line: int
    kind: str
    name: str
    text: str


def blocks(document: Path) -> list[Block]:
    """All of (document)'s fenced blocks, in order."""
    text = document.read_text()
    return [
        Block(text.count("\n", 0, found.start()) + 1, *found.groups())
        for found in BLOCK.finditer(text)
    ]


def steps(console: str) -> Iterator[tuple[str, str]]:
    """(command, what it should print) for every "$ command" of a block; a command goes
    on behind a line that ends in a backslash."""
    for step in re.split(r"^\$ ", console, flags=re.MULTILINE)[1:]:
        command, _, output = re.sub(r"\\\n +", "", step).partition("\n")
        yield command, output


def pattern(expected: str) -> re.Pattern[str]:
    """(expected) as a pattern; "..." stands for any text."""
    escaped = re.escape(expected.strip()).replace(re.escape("..."), ".*")
    return re.compile(escaped, re.DOTALL)


class Session:
    """Runs blocks in (directory), as if it were the top of the project. A context
    manager: a server that a block has started is stopped at its end."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._server: subprocess.Popen[str] | None = None
        self._addresses: dict[str, str] = {}  # in the text: those that serve
        (directory / "guest").symlink_to(ROOT / "guest")
        (directory / ".venv").symlink_to(sys.prefix)

    def run(self, block: Block) -> None:
        """Writes the file or runs the commands of (block)."""
        if block.kind in FILES:
            (self.directory / block.name).write_text(block.text)
        elif block.kind == "sh":
            self._shell(f"set -e\n{block.text}")
        elif block.kind == "console":
            for command, expected in steps(block.text):
                self._step(command, expected)

    def _step(self, command: str, expected: str) -> None:
        if command.split("  #")[0] == "make serve":
            command = MAKE_SERVE
        if command.startswith(SERVE):
            return self._serve(command, expected)
        if command.startswith("curl") and not shutil.which("curl"):
            return None
        printed = self._shell(command, check=False)
        assert pattern(expected).fullmatch(printed.strip()), f"{command}:\n{printed}"
        return None

    def _shell(self, commands: str, check: bool = True) -> str:
        done = subprocess.run(
            ["bash", "-c", self._placed(commands)],
            cwd=self.directory,
            env={**os.environ, "LC_ALL": "C"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0 or not check, f"{commands}:\n{done.stdout}"
        return self._as_told(done.stdout.replace("\r", ""))

    def _placed(self, commands: str) -> str:
        """(commands) with the addresses that serve."""
        for told, served in self._addresses.items():
            commands = commands.replace(told, served)
        return commands

    def _as_told(self, printed: str) -> str:
        """What was (printed), with the addresses of the text."""
        for told, served in self._addresses.items():
            printed = printed.replace(served, told)
        return printed

    def _serve(self, command: str, expected: str) -> None:
        self.stop()
        self._server = subprocess.Popen(
            [*command.replace(ADMIN, FREE).split(), "--listen", FREE],
            cwd=self.directory,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        printed = self._until_ready()
        for line in filter(None, expected.splitlines()):
            assert any(map(pattern(line).fullmatch, printed)), f"{line}:\n{printed}"

    def _until_ready(self) -> list[str]:
        """What the server prints until it listens. Programs start in any order."""
        assert self._server is not None and self._server.stdout is not None
        lines = []
        for line in self._server.stdout:
            if found := ADMINISTERED.search(line):
                self._addresses[ADMIN] = found[1]
            if found := LISTENING.search(line):
                self._addresses[ADDRESS] = found[1]
                return [*lines, f"listening on {ADDRESS}"]
            lines.append(line.rstrip("\n"))
        raise AssertionError("the server ended:\n" + "\n".join(lines))

    def stop(self) -> None:
        """Stops the server, if one runs; it must end well."""
        if self._server is not None:
            self._server.terminate()
            self._server.communicate(timeout=30)
            assert self._server.returncode == 0
            self._server = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *unused: object) -> None:
        self.stop()
