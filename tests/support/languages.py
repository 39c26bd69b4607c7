"""The tools of languages other than C, and what is left out without them."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TOOLS = {
    "c": "make",
    "c++": "make",
    "go": "go",
    "nim": "nim",
    "rust": "cargo",
    "zig": "zig",
}
LONGEST = 600  # seconds that a compiler may take on a busy machine


def has_tool(language: str) -> bool:
    """Whether programs in (language) can be built here; Zig may come from PyPI."""
    from_pypi = language == "zig" and importlib.util.find_spec("ziglang") is not None
    return from_pypi or shutil.which(TOOLS[language]) is not None


def need(language: str) -> None:
    """Skips the test if programs in (language) cannot be built here."""
    if not has_tool(language):
        pytest.skip(f"{TOOLS[language]} is not on this machine: make languages")


def left_out() -> list[str]:
    """The languages that cannot be built here."""
    return [each for each in TOOLS if not has_tool(each)]


def build(command: str, directory: Path, scratch: Path) -> None:
    """Runs a shell (command) in (directory); zig is there from wherever it came."""
    environment = dict(os.environ)
    if shutil.which("zig") is None and has_tool("zig"):
        zig = scratch / "zig"
        zig.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m ziglang "$@"\n')
        zig.chmod(0o755)
        environment["PATH"] = f"{scratch}:{environment['PATH']}"
    done = subprocess.run(
        ["sh", "-c", command],
        cwd=directory,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=LONGEST,
    )
    assert done.returncode == 0, done.stdout.decode(errors="replace")
