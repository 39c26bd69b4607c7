"""The keys that name further files of a program: paths, once they are checked."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from skerry.entries import Entry, Field
from skerry.paths import expand, fetched_file, storage_file
from skerry.problems import Problems, quote

_Item = str | dict[str, Any]


class Places:
    """Checks the programs of one configuration, which is in directory (base). (claim)
    raises ValueError when a file belongs to another program."""

    def __init__(
        self, base: Path, problems: Problems, claim: Callable[[Path, Entry], None]
    ) -> None:
        self.base = base
        self.claim = claim
        self.problems = problems
        self.sources: dict[Path, str] = {}  # of files that are fetched: URIs

    def read(self, entry: Entry, fields: dict[str, Field]) -> dict[str, object]:
        """The values of those keys that (entry), which means (fields), has."""
        found: dict[str, object] = {}
        self.check_state(entry, fields)
        for key, find in (
            ("cold_start_file", self.cold_start),
            ("allowed_paths", self.allowed),
            ("download", self.downloads),
        ):
            field = fields.get(key)
            if field is None or field.value is None:
                continue
            try:
                found[key] = find(cast(Any, field.value))
                if key == "cold_start_file":
                    self.claim(cast(Path, found[key]), entry)
            except ValueError as error:
                self.problems.add(field.line, str(error), entry.name, key)
                found[key] = None
        return found

    def cold_start(self, text: str) -> Path:
        return storage_file(text, self.base)

    def check_state(self, entry: Entry, fields: dict[str, Field]) -> None:
        """What storage keeps is newer than any frozen machine."""
        field = fields.get("cold_start_file")
        if field and fields.get("storage_file"):
            message = "expected no storage_file beside it"
            self.problems.add(field.line, message, entry.name, "cold_start_file")

    def downloads(self, items: tuple[dict[str, Any], ...]) -> list[dict[str, Any]]:
        return [
            each | {"filename": self.fetched(each["filename"], each["uri"])}
            for each in items
        ]

    def fetched(self, text: str, uri: str) -> Path:
        """Where what (uri) names is kept. Raises ValueError if (text) is no such place,
        or is that of something else."""
        path = fetched_file(text, self.base)
        other = self.sources.setdefault(path.resolve(), uri)
        if other != uri:
            message = f"expected a file of its own: {path} is that of {quote(other)}"
            raise ValueError(message)
        return path

    def allowed(self, items: tuple[_Item, ...]) -> list[dict[str, object]]:
        return [self.allowed_path(each) for each in items]

    def allowed_path(self, item: _Item) -> dict[str, object]:
        """A string is seen under the same path; without "prefix", whether it is a
        directory decides."""
        each = {"real": item} if isinstance(item, str) else item
        real = self.base / expand(each["real"])
        if not real.exists():
            raise ValueError(f"expected a file or a directory that exists: {real}")
        virtual = each.get("virtual") or str(real)
        prefix = each.get("prefix")
        return {
            "real": real,
            "virtual": virtual,
            "prefix": real.is_dir() if prefix is None else prefix,
            "writable": each.get("writable", False),
        }
