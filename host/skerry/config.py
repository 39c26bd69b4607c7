"""The configuration: a JSON file of programs -> frozen dataclasses.

The file is an object of named entries. An entry with none of group, uri and filename is
a group: its keys are defaults for the programs that name it. Nothing stops at the
first mistake: load() reads on, and reports every problem at once."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import msgspec

from skerry import jsonc, source
from skerry.entries import Entry, Field, read_entries
from skerry.errors import ConfigError
from skerry.keeping import Keeping
from skerry.keys import COMPUTE, KEYS
from skerry.paths import program_file
from skerry.places import Places
from skerry.problems import Problems, nearest, quote

Pairs = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FromHeader:
    """An arg that comes with each request, in the header of this name."""

    header: str


@dataclass(frozen=True, slots=True)
class Warmup:
    """Requests that a program gets before it is frozen; (headers) are whole fields."""

    num_requests: int
    url: str
    method: str
    headers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Download:
    """A file to be fetched, and its SHA-256 if that is known."""

    uri: str
    filename: Path
    sha256: str | None


@dataclass(frozen=True, slots=True)
class AllowedPath:
    """A file that the program sees as (virtual), or with (prefix) a directory and all
    below it; (writable) for storage and start-up."""

    real: Path
    virtual: str
    prefix: bool
    writable: bool


@dataclass(frozen=True, slots=True)
class Program:
    """One program as configured, with its group's defaults and ours filled in.

    Times are in seconds, memory is in MB, (address_space) in GB. (main_arguments) is
    None when nobody configured any; (environment) holds "KEY=VALUE" strings."""

    name: str
    group: str
    uri: str | None
    filename: Path
    sha256: str | None
    download: tuple[Download, ...]
    key: str | None
    storage: bool
    storage_file: Path | None
    durability: str
    live_update: str
    shared_memory: int
    max_boot_time: float
    max_request_time: float
    max_storage_time: float
    max_memory: int
    max_request_memory: int
    address_space: int
    concurrency: int
    max_queue: int
    main_arguments: tuple[str, ...] | None
    environment: tuple[str, ...]
    arg: str | FromHeader
    ephemeral: bool
    control_ephemeral: bool
    warmup: Warmup | None
    cold_start_file: Path | None
    hugepages: bool
    allowed_paths: tuple[AllowedPath, ...]
    current_working_directory: str
    allowed_hosts: tuple[str, ...]
    allow_debug: bool
    stdout: bool

    def for_guests(self) -> "Program":
        """What a process may know that runs guests: not the key."""
        return self if self.key is None else replace(self, key=None)


@dataclass(frozen=True, slots=True)
class Config:
    """The configuration in file (path): its programs, in the order of the file."""

    path: Path
    programs: tuple[Program, ...]


def load(path: Path) -> Config:
    """The configuration in file (path), or ConfigError with all its problems."""
    problems = Problems(path)
    tree = jsonc.parse(source.read_text(path), path)
    entries = read_entries(tree, problems)
    reader = Reader(path.absolute().parent, entries, problems)
    values = [reader.values(entry) for entry in entries if not entry.is_group]
    if not values and not problems.found:
        problems.add(0, "no program: expected an entry with a filename")
    if problems.found:
        raise ConfigError(problems.in_order())
    return Config(path.absolute(), tuple(map(make, values)))


def defaults(name: str, filename: Path) -> Program:
    """Program (name) in file (filename), as if nothing else were configured."""
    ours = {key: row.default for key, row in KEYS.items()}
    return make(ours | {"name": name, "filename": filename.absolute()})


def make(values: Mapping[str, object]) -> Program:
    return msgspec.convert(values, Program)


class Reader:
    """Entries -> the values of programs, in directory (base)."""

    def __init__(self, base: Path, entries: list[Entry], problems: Problems) -> None:
        self.base = base
        self.problems = problems
        self.keeping = Keeping(base, problems)
        self.places = Places(base, problems, self.keeping.claim)
        groups = {entry.name: entry for entry in entries if entry.is_group}
        self.groups = {COMPUTE: Entry(COMPUTE, 0)} | groups

    def values(self, entry: Entry) -> dict[str, object]:
        """All that (entry) means; fit for a Program if it added no problem."""
        fields = self.inherit(entry)
        values = {key: row.default for key, row in KEYS.items()}
        values |= {key: field.value for key, field in fields.items()}
        values["name"] = entry.name
        values["filename"] = self.filename(entry)
        values["storage_file"] = self.keeping.storage_file(entry, fields)
        values |= self.places.read(entry, fields)
        values["max_request_memory"] = self.request_memory(entry, fields)
        return values

    def inherit(self, entry: Entry) -> dict[str, Field]:
        """The fields of (entry) over those of its group."""
        group = self.group(entry)
        both = group.fields | entry.fields
        if "environment" in group.fields and "environment" in entry.fields:
            both["environment"] = joined(
                group.fields["environment"], entry.fields["environment"]
            )
        return both

    def group(self, entry: Entry) -> Entry:
        field = entry.fields.get("group", Field(COMPUTE, 0))
        if field.value is None:
            return Entry("", 0)
        name = str(field.value)
        if name not in self.groups:
            message = f"unknown group {quote(name)}; {nearest(name, self.groups)}"
            self.problems.add(field.line, message, entry.name, "group")
        return self.groups.get(name, Entry(name, 0))

    def filename(self, entry: Entry) -> Path | None:
        field = entry.fields.get("filename")
        if field is None:
            message = f"missing; expected the program's file{uri_hint(entry)}"
            self.problems.add(entry.line, message, entry.name, "filename")
            return None
        if field.value is None:
            return None
        uri = entry.fields.get("uri")
        try:
            if uri is None:
                return program_file(str(field.value), self.base)
            return self.places.fetched(str(field.value), str(uri.value))
        except ValueError as error:
            self.problems.add(field.line, str(error), entry.name, "filename")
            return None

    def request_memory(self, entry: Entry, fields: dict[str, Field]) -> int | None:
        """max_request_memory, which max_memory limits, and which follows it down."""
        limit = number(fields, "max_memory")
        memory = number(fields, "max_request_memory")
        if limit is None or memory is None or memory <= limit:
            return memory
        if field := fields.get("max_request_memory"):
            message = f"expected at most max_memory, {limit} (MB), found {memory}"
            self.problems.add(field.line, message, entry.name, "max_request_memory")
        return limit


def number(fields: dict[str, Field], key: str) -> int | None:
    """What (fields) say about (key), or its default; None if they are wrong."""
    default = Field(KEYS[key].default, 0)
    return cast(int | None, fields.get(key, default).value)


def joined(group: Field, program: Field) -> Field:
    """The environment of a program in a group. A variable that both set is the
    program's: a guest's getenv() would find the group's, which comes first."""
    ours = cast(Pairs, program.value or ())
    names = {pair.partition("=")[0] for pair in ours}
    theirs = cast(Pairs, group.value or ())
    kept = tuple(pair for pair in theirs if pair.partition("=")[0] not in names)
    return Field(kept + ours, program.line)


def uri_hint(entry: Entry) -> str:
    return " (where uri's is kept)" if "uri" in entry.fields else ""
