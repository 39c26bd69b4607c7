"""What skerry reload prints. The keys of the JSON are those of the classes here; they
are described in docs/operating.md."""

import msgspec


class Outcome(msgspec.Struct):
    """What has come of one program: "new", "changed", "removed", "as before" or
    "failed", and then why."""

    name: str
    outcome: str
    step: str = ""
    reason: str = ""


class Reloaded(msgspec.Struct):
    """(problems) are those of the configuration; with any, nothing has changed."""

    problems: list[str]
    programs: list[Outcome]

    @property
    def is_good(self) -> bool:
        """Whether all that was asked for is served."""
        return not self.problems and all(
            each.outcome != "failed" for each in self.programs
        )


def text(reloaded: Reloaded) -> str:
    """(reloaded) for a terminal."""
    lines = [*reloaded.problems]
    for each in reloaded.programs:
        why = f": {each.step}: {each.reason}" if each.step else ""
        lines.append(f"{each.name}: {each.outcome}{why}")
    return "".join(f"{line}\n" for line in lines)
