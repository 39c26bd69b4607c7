"""How soon skerry answers: after its start, and after its only worker was killed.

Each round starts a server of the examples and kills its worker once: one that dies
again and again is started later each time, which is not what is measured here. A
client that is already waiting is served by the next worker, so the first connection
after the kill tells.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

# Not this file's directory: its http.py would stand in for the stdlib's http.
sys.path.pop(0)
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from statistics import median

from bench import load, report, server
from bench.answer import ask

WITHIN = 30.0
PATH = "/hello"


def worker(port: int) -> int:
    """The pid of the only worker, as skerry status tells it."""
    command = (server.SKERRY[0], "status", "--json", "--listen", f"127.0.0.1:{port}")
    done = subprocess.run(command, capture_output=True, text=True, timeout=WITHIN)
    if done.returncode != 0:
        raise server.ServerError(f"skerry status: {done.stderr.strip()}")
    (only,) = json.loads(done.stdout)["workers"]
    return int(only["pid"])


def first_answer(port: int) -> None:
    """Returns when a connection is answered. One that the dying worker had accepted
    already ends without an answer: then the next."""
    end = time.monotonic() + WITHIN
    while True:
        try:
            ask(port, PATH)
            return
        except (OSError, load.LoadError):
            if time.monotonic() > end:
                raise


def since(begin: float) -> float:
    """Milliseconds."""
    return (time.perf_counter() - begin) * 1e3


def start_and_restart() -> tuple[float, float]:
    """Milliseconds from the start to the first answer, and from a kill to the next."""
    begin = time.perf_counter()
    command = (*server.SKERRY, "--workers", "1")
    with server.running(command, server.all_cpus()) as port:
        first_answer(port)
        start = since(begin)
        pid = worker(port)
        begin = time.perf_counter()
        os.kill(pid, signal.SIGKILL)
        first_answer(port)
        restart = since(begin)
        if worker(port) == pid:
            raise server.ServerError(f"worker {pid} has outlived its SIGKILL")
    return start, restart


def measure_all(rounds: int) -> None:
    """Both figures."""
    found = [start_and_restart() for _ in range(rounds)]
    figures = {
        "start_ms": median(start for start, _ in found),
        "restart_ms": median(restart for _, restart in found),
    }
    report.table(figures, sys.stdout)
    report.save(figures, {"start_and_restart_ms": found})


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--rounds", type=int, default=7, help="starts, with a kill each"
    )
    return parser.parse_args()


if __name__ == "__main__":
    try:
        measure_all(arguments().rounds)
    except (load.LoadError, server.ServerError, OSError) as error:
        sys.exit(f"bench/restart.py: {error}")
