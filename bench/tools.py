"""The examples of guest/, built by the tools of their languages."""

import importlib.util
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from bench.guests import ROOT

GUEST = ROOT / "guest"


@dataclass(frozen=True, slots=True)
class Tool:
    """How the examples of a language are built: where, by what, and to where."""

    directory: str
    command: str
    built: str

    def example(self, name: str) -> Path:
        """The program (name), once it is built."""
        return GUEST / self.directory / self.built / name


TOOLS = {
    "c": Tool("examples", "make -s hello flatten", "build"),
    "rust": Tool(
        "rust",
        "cargo build -q --release --examples",
        "target/x86_64-unknown-linux-gnu/release/examples",
    ),
    "go": Tool("go", "CGO_ENABLED=0 go build -o build/ ./...", "build"),
    "zig": Tool("zig", "make -s", "build"),
}


def missing(language: str) -> str | None:
    """The tool that is not on this machine, or None: then the language can be built."""
    word = next(each for each in TOOLS[language].command.split() if "=" not in each)
    if language == "zig":
        return None if _zig() else "zig"
    return None if shutil.which(word) else word


def build(language: str) -> Tool:
    """Builds the examples of (language), whose tool must be there."""
    tool = TOOLS[language]
    command = tool.command
    if language == "zig":
        command += f' ZIG="{_zig()}"'
    subprocess.run(
        ["sh", "-c", command],
        cwd=GUEST / tool.directory,
        stdin=subprocess.DEVNULL,
        check=True,
    )
    return tool


def _zig() -> str | None:
    """The command that is Zig, which may come from PyPI."""
    if shutil.which("zig"):
        return "zig"
    if importlib.util.find_spec("ziglang"):
        return f"{sys.executable} -m ziglang"
    return None
