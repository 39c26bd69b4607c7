"""The programs of the crash test, and their configuration."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.guests import compile_guest

SOURCES = Path(__file__).parent / "programs"


@dataclass(frozen=True, slots=True)
class Program:
    """A program that keeps state: its source, its keys, and what its state outlives."""

    name: str
    source: str
    keys: dict[str, Any]
    durability: str = ""  # of the storage file; no file where it is empty

    @property
    def is_bank(self) -> bool:
        return self.source == "bank.c"


# The storage time is short, so that endless loops do not fill the test.
STORAGE = {"storage": True, "max_memory": 64, "max_storage_time": 0.25}
PROGRAMS = {
    each.name: each
    for each in (
        Program("counter", "counter.c", STORAGE),
        Program("scounter", "scounter.c", {"shared_memory": 2}),
        Program("bank", "bank.c", STORAGE),
        Program("counter-file", "counter.c", STORAGE, "process"),
        Program("bank-file", "bank.c", STORAGE, "process"),
        Program("bank-fsync", "bank.c", STORAGE, "fsync"),
    )
}
BYSTANDER = "bystander"  # changes with every reload


def compiled(source: str) -> str:
    """The program made from the file (source)."""
    text = (SOURCES / source).read_text()
    head = '#include "answer.h"\n'
    return str(compile_guest(text.replace(head, (SOURCES / "answer.h").read_text())))


class Site:
    """A configuration file in (directory), of which editions follow one another."""

    def __init__(self, directory: Path, programs: list[Program]) -> None:
        self.file = directory / "programs.json"
        self.edition = 0
        self._directory = directory
        self.programs = programs
        self.write()

    def write(self) -> None:
        """Writes the next edition: all programs change, and only in what their state
        does not depend on."""
        self.edition += 1
        entries = {each.name: self._entry(each) for each in self.programs}
        entries[BYSTANDER] = {
            "filename": compiled("bystander.c"),
            "environment": [f"EDITION={self.edition}"],
        }
        made = self.file.with_suffix(".new")
        made.write_text(json.dumps(entries, indent=1))
        made.rename(self.file)

    def _entry(self, program: Program) -> dict[str, Any]:
        entry = program.keys | {
            "filename": compiled(program.source),
            "concurrency": 3 + self.edition % 2,
        }
        if program.durability:
            entry["storage_file"] = str(self._directory / f"{program.name}.state")
            entry["durability"] = program.durability
        return entry
