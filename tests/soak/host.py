"""kitchen-sink, served, and what its processes hold."""

import json
import os
from pathlib import Path
from typing import Any

from support.guests import ROOT
from support.processes import with_descendants
from support.server import Server

from soak.asks import ARG, GREETING

BUILD = ROOT / "guest" / "examples" / "build"


def _sink(directory: Path, mode: str) -> dict[str, Any]:
    program = directory / f"sink-{mode}"
    if not program.exists():
        program.write_bytes((BUILD / "kitchen-sink").read_bytes())
    return {
        "filename": str(program),
        "main_arguments": [mode],
        "storage": True,
        "shared_memory": 2,
        "concurrency": 4,
        "max_queue": 1000,
        "arg": ARG,
        "allowed_paths": [{"real": str(directory / "data"), "virtual": "/data"}],
    }


def serve(directory: Path, workers: int) -> Server:
    """All three ways in which requests come to kitchen-sink, and hello, which it
    fetches from."""
    (directory / "data").mkdir()
    (directory / "data" / "greeting.txt").write_text(GREETING)
    programs = {
        "hello": {"filename": str(BUILD / "hello")},
        "sink": _sink(directory, "callbacks"),
        "sink-request": _sink(directory, "request"),
        "sink-paused": _sink(directory, "paused"),
    }
    file = directory / "programs.json"
    file.write_text(json.dumps(programs))
    return Server(file, workers=workers)


def holdings(server: Server) -> dict[str, tuple[int, int]]:
    """Descriptors and resident KB of every process, by what it is and its number."""
    found = {}
    for pid in with_descendants(server.process.pid):
        process = Path(f"/proc/{pid}")
        status = (process / "status").read_text()
        resident = int(status.partition("VmRSS:")[2].split()[0])
        found[str(pid)] = len(os.listdir(process / "fd")), resident
    return found
