"""Python code run in a jail, in a process of its own."""

import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

from support.client import LONG

# call() makes a system call, whatever the C library thinks of it, and returns 0 or the
# negative errno; (wait) tells the test that it may look, and waits until it has.
BEFORE = """
import ctypes, errno, os, socket, sys, threading
from skerry import jail, native
from skerry.log import Log
libc = ctypes.CDLL(None, use_errno=True)

def call(number, *arguments):
    wide = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    result = libc.syscall(ctypes.c_long(number), *wide)
    return -ctypes.get_errno() if result == -1 else result

def wait():
    print("ready", flush=True)
    sys.stdin.readline()

jail.prepare()
"""
ENTER = "print('jailed:', jail.Jail({options}).enter())\n"
ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[1])}


def script(inside: str, before: str = "", options: str = "") -> list[str]:
    code = BEFORE + before + "\n" + ENTER.format(options=options) + inside
    return [sys.executable, "-c", code]


def jailed(
    inside: str, before: str = "", options: str = ""
) -> "subprocess.CompletedProcess[str]":
    """Runs (before), enters the jail, runs (inside)."""
    return subprocess.run(
        script(inside, before, options),
        capture_output=True,
        text=True,
        timeout=LONG,
        stdin=subprocess.DEVNULL,
        env=ENVIRONMENT,
    )


@contextmanager
def waiting(inside: str = "wait()", before: str = ""):
    """A process that has called wait() in its jail, as Popen."""
    with subprocess.Popen(
        script(inside, before),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    ) as process:
        try:
            lines = iter(process.stdout)
            assert any(line == "ready\n" for line in lines)
            yield process
        finally:
            process.kill()
