"""The errors that skerry raises; every one of them is a SkerryError."""

from collections.abc import Iterable

from skerry.problems import Problem


class SkerryError(Exception):
    """Something that its reader can act on; str() is a message for a human."""


class ConfigError(SkerryError):
    """A configuration file that cannot be used, with all (problems) found in it."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__(self.problems)

    def __str__(self) -> str:
        return "\n".join(map(str, self.problems))


class ProgramError(SkerryError):
    """Program (name) did not start: (step) failed, because of (reason)."""

    def __init__(self, name: str, step: str, reason: str) -> None:
        self.name = name
        self.step = step
        self.reason = reason
        super().__init__(name, step, reason)

    def __str__(self) -> str:
        return f"{self.name}: {self.step}: {self.reason}"
