"""A problem in a configuration file: where it stands, and what to do about it."""

import difflib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

LONGEST_SHOWN = 40


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to mend in (file); (program) and (key) are "" when it has none.

    (line) and (column) count from 1; 0 means no particular one."""

    file: Path
    program: str
    key: str
    line: int
    message: str
    column: int = 0

    def __str__(self) -> str:
        """file:line: program.key: message, like a compiler, so editors can jump."""
        place = ":".join(
            str(part) for part in (self.file, self.line, self.column) if part
        )
        subject = ".".join(bare(part) for part in (self.program, self.key) if part)
        return ": ".join(part for part in (place, subject, self.message) if part)


class Problems:
    """Gathers the problems of one (file), so that all are reported at once."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.found: list[Problem] = []

    def add(self, line: int, message: str, program: str = "", key: str = "") -> None:
        self.found.append(Problem(self.file, program, key, line, message))

    def in_order(self) -> list[Problem]:
        """As someone meets them who reads the file from the top."""
        return sorted(self.found, key=lambda problem: problem.line)


def quote(text: str) -> str:
    """(text) in double quotes, shortened, and safe to print on a terminal."""
    if len(text) > LONGEST_SHOWN:
        text = text[: LONGEST_SHOWN - 3] + "..."
    return json.dumps(text, ensure_ascii=not text.isprintable())


def bare(text: str) -> str:
    """(text) as it is when that reads well, else quoted."""
    reads_well = text.isprintable() and " " not in text
    return text if reads_well and len(text) <= 2 * LONGEST_SHOWN else quote(text)


def nearest(word: str, known: Iterable[str]) -> str:
    """A hint for someone who wrote (word) where one of (known) was meant."""
    choices = list(known)
    near = difflib.get_close_matches(word.lower(), choices, 1)
    if near:
        return f"did you mean {bare(near[0])}?"
    return f"known: {', '.join(map(bare, choices))}"
