"""Programs that do their work in main: natively, and by skerry run --plain."""

import subprocess
from collections.abc import Sequence

from support.client import LONG
from support.server import SKERRY


def outcome(*command: object, limit: float = LONG) -> tuple[int, bytes]:
    """The exit status of (command), and its standard output. Its input is empty."""
    done = subprocess.run(
        [str(each) for each in command],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=limit,
    )
    return done.returncode, done.stdout


def outcome_in_guest(
    *command: object, paths: Sequence[object] = (), options: Sequence[object] = ()
) -> tuple[int, bytes]:
    """The same in a guest, which finds (paths)."""
    allowed = [text for each in paths for text in ("--path", each)]
    return outcome(SKERRY, "run", "--plain", *allowed, *options, "--", *command)
