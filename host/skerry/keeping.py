"""The keys that keep storage in a file: what they need of each other."""

from pathlib import Path

from skerry.entries import Entry, Field
from skerry.paths import storage_file
from skerry.problems import Problems, quote


class Keeping:
    """Checks the programs of one configuration, which is in directory (base)."""

    def __init__(self, base: Path, problems: Problems) -> None:
        self.base = base
        self.problems = problems
        self.owners: dict[Path, str] = {}  # of storage files: programs

    def storage_file(self, entry: Entry, fields: dict[str, Field]) -> Path | None:
        """Where (entry), which means (fields), keeps its storage."""
        field = fields.get("storage_file")
        if field is None:
            self.check_durability(entry)
            return None
        self.check_storage(entry, fields, field)
        if field.value is None:
            return None
        try:
            path = storage_file(str(field.value), self.base)
            self.claim(path, entry)
        except ValueError as error:
            self.problems.add(field.line, str(error), entry.name, "storage_file")
            return None
        return path

    def check_durability(self, entry: Entry) -> None:
        """A group may have it as a default for those of its programs that need it."""
        field = entry.fields.get("durability")
        if field and field.value is not None:
            message = "expected a storage_file beside it"
            self.problems.add(field.line, message, entry.name, "durability")

    def check_storage(
        self, entry: Entry, fields: dict[str, Field], file: Field
    ) -> None:
        if fields.get("storage", Field(False, 0)).value is False:
            message = 'expected "storage": true beside it'
            self.problems.add(file.line, message, entry.name, "storage_file")

    def claim(self, path: Path, entry: Entry) -> None:
        """Raises ValueError if (path), by whatever name, belongs to another program."""
        owner = self.owners.setdefault(path.resolve(), entry.name)
        if owner != entry.name:
            raise ValueError(
                f"expected a file of its own: {path} is that of {quote(owner)}"
            )
