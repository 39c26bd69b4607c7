"""The benchmarks' own guest programs: bench/NAME.c, built into build/bench/."""

import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
BUILD = ROOT / "build" / "bench"
EXAMPLES = ROOT / "guest" / "examples" / "build"


def build(name: str) -> Path:
    """The program, compiled anew: a new header means new programs."""
    BUILD.mkdir(parents=True, exist_ok=True)
    program = BUILD / name
    include = f"-I{ROOT / 'guest' / 'include'}"
    command = [
        "cc",
        "-static",
        "-O2",
        include,
        str(HERE / f"{name}.c"),
        "-o",
        str(program),
    ]
    subprocess.run(command, check=True)
    return program
