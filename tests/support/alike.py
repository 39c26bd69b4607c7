"""Programs that do the same three times: natively, in a guest while it starts, and in
a guest for a request."""

import subprocess
from pathlib import Path

from support.client import LONG
from support.plain import outcome_in_guest
from support.server import Server, write_config


def check_alike(program: Path, data: Path, lines: int) -> None:
    """(program) DATA prints what it does, and ends; without an argument it waits and
    answers that. It may read directory (data). All three are the same, and have at
    least (lines) lines, so that it has not ended early."""
    native = subprocess.run(
        [program, data], capture_output=True, timeout=LONG, check=True
    ).stdout.decode()
    assert len(native.splitlines()) >= lines
    status, text = outcome_in_guest(program, data, paths=[data])
    assert (status, text.decode()) == (0, native)
    keys = {
        "filename": str(program),
        "main_arguments": [],
        "environment": [f"DATA={data}"],
        "allowed_paths": [str(data)],
        "max_request_time": LONG,
    }
    with Server(write_config(data.parent, {"alike": keys})) as server:
        for _ in range(2):
            answer = server.get("/alike")
            assert (answer.status, answer.body.decode()) == (200, native), server.log
        assert "is not there: ENOSYS" not in server.log


def fill(directory: Path) -> Path:
    """What the programs find: a directory with three files."""
    directory.mkdir()
    (directory / "one").write_text("first line\nsecond line\n")
    (directory / "two").write_bytes(bytes(range(256)) * 64)
    (directory / "empty").touch()
    return directory
