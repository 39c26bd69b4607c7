"""The compilers of this machine, and programs made with them from a few lines."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
INCLUDES = (f"-I{ROOT / 'guest' / 'include'}", f"-I{Path(__file__).parent}")

# language -> compiler -> standards
COMPILERS = {
    "c": {name: ("gnu99", "gnu11", "c11") for name in ("gcc", "clang", "musl-gcc")},
    "c++": {name: ("c++11", "c++17", "c++20") for name in ("g++", "clang++")},
}
MATRIX = [
    pytest.param(
        (language, compiler, standard),
        id=f"{compiler}-{standard}",
        marks=pytest.mark.skipif(not shutil.which(compiler), reason="not installed"),
    )
    for language, compilers in COMPILERS.items()
    for compiler, standards in compilers.items()
    for standard in standards
]


@pytest.fixture(params=MATRIX)
def dialect(request: pytest.FixtureRequest) -> tuple[str, str, str]:
    """Every (language, compiler, standard) there is here."""
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def compile(tmp_path: Path) -> Callable[..., None]:
    """compile(dialect, *sources, flags): fails with the messages, if there are any."""

    def run(dialect: tuple[str, str, str], *sources: str | Path, flags: str) -> None:
        language, compiler, standard = dialect
        files = [_file(tmp_path, n, source) for n, source in enumerate(sources)]
        command = [compiler, "-x", language, f"-std={standard}", *INCLUDES]
        command += ["-Werror", *flags.split(), *map(str, files)]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    return run


@pytest.fixture
def native(compile: Callable[..., None], tmp_path: Path) -> Callable[..., str]:
    """native(*sources): what the program made of them prints on this very machine."""

    def run(
        *sources: str, language: str = "c", flags: str = "-O2", argv0: str = "program"
    ) -> str:
        dialect = ("c", "gcc", "gnu11") if language == "c" else ("c++", "g++", "c++17")
        compile(dialect, *sources, flags=f"{flags} -o program")
        program = str(tmp_path / "program")
        done = subprocess.run(
            [argv0], executable=program, capture_output=True, text=True, timeout=30
        )
        assert done.returncode == 0, f"{done.returncode}: {done.stdout}{done.stderr}"
        return done.stdout

    return run


def _file(directory: Path, number: int, source: str | Path) -> Path:
    if isinstance(source, Path):
        return source
    file = directory / f"source{number}.txt"
    file.write_text(source)
    return file
