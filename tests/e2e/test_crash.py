"""Nothing that was acknowledged is lost, whatever dies: a minute of the crash test.

`make crash SECONDS=3600` runs it for longer, with other seeds.
"""

import subprocess
import sys

import pytest
from support.guests import ROOT

SECONDS = 5.0  # of killing; all ways to kill have their turn, which takes longer
GIVEN_UP = 600.0  # seconds after which it hangs, on any machine


@pytest.mark.parametrize(("seed", "workers"), [(1, 1), (2, 3)])
def test_nothing_acknowledged_is_lost_whatever_dies(seed, workers):
    command = [sys.executable, "-m", "tests.crash", "--seconds", SECONDS]
    command += ["--seed", seed, "--workers", workers]
    done = subprocess.run(
        [*map(str, command)], cwd=ROOT, capture_output=True, text=True, timeout=GIVEN_UP
    )
    assert done.returncode == 0, done.stdout + done.stderr
