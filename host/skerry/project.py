"""New projects: a directory with a program, what builds it, and what serves it."""

import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from skerry.errors import SkerryError
from skerry.problems import nearest, quote

# What authors of programs get: in the repository a link to guest/, in a package a copy.
SDK = Path(__file__).with_name("sdk")
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
# The name of the library, and directories that cargo makes beside the program.
TAKEN = ("skerry", "build", "deps", "examples", "incremental")


@dataclass(frozen=True, slots=True)
class Language:
    """How a project is made and built: its template's directory, the command that
    builds it, and what of SDK is copied into it, so that it needs nothing but itself.

    (library) maps places in the project to patterns of files in SDK.
    """

    template: str
    build: str
    library: Mapping[str, str]


LANGUAGES = {
    "c": Language("c", "make", {"include": "include/kvm_api.h"}),
    "c++": Language("cpp", "make", {"include": "include/kvm_api.h"}),
    "go": Language(
        "go",
        "CGO_ENABLED=0 go build -o build/program",
        {"skerry": "go/skerry/*.*", "skerry/nethttp": "go/skerry/nethttp/*.go"},
    ),
    "nim": Language(
        "nim",
        "nim c main.nim",
        {"skerry": "nim/*.nim", "include": "include/kvm_api.h"},
    ),
    "rust": Language(
        "rust",
        "cargo build --release",
        {"skerry": "rust/Cargo.toml", "skerry/src": "rust/src/*.rs"},
    ),
    "zig": Language("zig", "zig build-exe @program.args", {"skerry": "zig/*.zig"}),
}
OTHER_NAMES = {"cpp": "c++", "cxx": "c++", "golang": "go", "rs": "rust"}


def language(word: str) -> Language:
    """The language that (word) means, in any case. Raises SkerryError for none."""
    low = word.lower()
    known = OTHER_NAMES.get(low, low)
    if known not in LANGUAGES:
        hint = nearest(word, LANGUAGES)
        raise SkerryError(f"no language {quote(word)}; {hint}")
    return LANGUAGES[known]


def check_name(name: str) -> None:
    """Raises SkerryError if a program may not have this name in all languages."""
    if not NAME.fullmatch(name):
        raise SkerryError(
            "expected a name of 1 to 64 letters, digits, '_' and '-' that begins with "
            f"a letter, found {quote(name)}"
        )
    if name in TAKEN:
        raise SkerryError(f"expected another name: {quote(name)} is taken")


def files(chosen: Language) -> Iterator[tuple[str, Path]]:
    """The files of a project: where they go, and where they come from."""
    template = SDK / "templates" / chosen.template
    for path in sorted(each for each in template.rglob("*") if each.is_file()):
        yield re.sub(r"\bdot-", ".", str(path.relative_to(template))), path
    for place, pattern in chosen.library.items():
        for path in sorted(SDK.glob(pattern)):
            yield f"{place}/{path.name}", path


def create(chosen: Language, name: str, directory: Path) -> None:
    """Makes (directory), which must not exist, with a project for program (name).

    Raises SkerryError, and leaves nothing behind, if it cannot be made.
    """
    try:
        directory.mkdir()
    except FileExistsError:
        message = "exists already; choose another name, or remove it first"
        raise SkerryError(f"{directory}: {message}") from None
    except OSError as error:
        raise SkerryError(f"{directory}: {error.strerror}") from None
    try:
        _fill(chosen, name, directory)
    except OSError as error:
        shutil.rmtree(directory, ignore_errors=True)
        raise SkerryError(f"{error.filename or directory}: {error.strerror}") from None


def _fill(chosen: Language, name: str, directory: Path) -> None:
    for place, source in files(chosen):
        target = directory / place
        target.parent.mkdir(parents=True, exist_ok=True)
        text = source.read_text(encoding="utf-8")
        target.write_text(text.replace("{{name}}", name), encoding="utf-8")
