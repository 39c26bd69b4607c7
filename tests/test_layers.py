"""A file uses only files on lower levels: the tables of ARCHITECTURE.md, held here.

An entry is a noun ("vm": vm.h and vm.c) or, where a header lies lower than what
implements it, one file ("vm.h"). A file may use its own header.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
NATIVE = ROOT / "native" / "src"
PACKAGE = ROOT / "host" / "skerry"

# native/src, lowest first. skerry.h is the API: any file may include it.
NATIVE_LEVELS = """
    abi error fields layout watchdog x86
    arena console kvm memory paging stubs
    dirty image process shm
    guestmem
    stack vm.h
    vcpu
    vm.c machine
    reply request run.h snapshot syscall
    sys_file sys_mem sys_proc sys_signal sys_time syscall_names hostcall.h
    call_http call_start call_storage hostcall.c
    run.c
    storage
    boot serve
    batch
    probe
"""

# host/skerry, lowest first. http is the package's face, its parts are below it.
PYTHON_LEVELS = """
    __init__ message problems http.limits http.clock router
    errors http.refusal http.shared http.writer paths
    http.rules jsonc native source
    http.reader log pool values
    http.protocol keys program.py
    entries http.server
    config http
    program
    app
    worker commands.check commands.doctor
    commands.run commands.serve
    commands
    cli
"""


def levels(table: str) -> dict[str, int]:
    """The level of each entry."""
    lines = [line.split() for line in table.split("\n") if line.strip()]
    return {name: level for level, names in enumerate(lines) for name in names}


def native_level(name: str) -> int | None:
    """The level of a file of native/src, or None when the table has it not."""
    table = levels(NATIVE_LEVELS)
    return table.get(name, table.get(name.partition(".")[0]))


def native_files() -> list[str]:
    return sorted(path.name for path in NATIVE.glob("*.[ch]"))


def included(name: str) -> list[str]:
    """What a file of native/src includes of ours."""
    text = (NATIVE / name).read_text()
    return re.findall(r'^\s*#\s*include\s*"([^"]+)"', text, re.MULTILINE)


def goes_up(name: str, used: str) -> bool:
    """Tells if a file of native/src must not include (used)."""
    own = used.partition(".")[0] == name.partition(".")[0]
    ours, theirs = native_level(name), native_level(used)
    return not own and (ours is None or theirs is None or theirs >= ours)
