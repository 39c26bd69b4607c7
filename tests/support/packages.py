"""Packages of a distribution whose programs and libraries tests use, and what is left
out without them."""

import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

# By its name in Debian, what shows that one is here: a command, or a library to link.
PACKAGES = {
    "bc": "bc",
    "bzip2": "bzip2",
    "default-jre-headless": "java",
    "gawk": "gawk",
    "jq": "jq",
    "liblua5.4-dev": "liblua5.4.a",
    "libsqlite3-dev": "libsqlite3.a",
    "lua5.4": "lua5.4",
    "mawk": "mawk",
    "musl-tools": "musl-gcc",
    "nodejs": "node",
    "perl": "perl",
    "python3": "/usr/bin/python3",
    "sqlite3": "sqlite3",
    "xz-utils": "xz",
    "zstd": "zstd",
}


@cache
def is_here(package: str) -> bool:
    """Whether (package), one of PACKAGES, is installed."""
    sign = PACKAGES[package]
    if not sign.endswith(".a"):
        return shutil.which(sign) is not None
    asked = ["gcc", f"-print-file-name={sign}"]
    found = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    return Path(found.strip()).is_absolute()


def need_package(*packages: str) -> None:
    """Skips the test if one of (packages) is not installed."""
    for each in packages:
        if not is_here(each):
            pytest.skip(f"{each} is not on this machine: make languages")


def packages_left_out() -> list[str]:
    """Those that are not installed."""
    return [each for each in PACKAGES if not is_here(each)]
