"""A control group of its own for a worker: how much memory and how many threads it may
have. Both kinds are known: one hierarchy for all (v2), or one a controller (v1)."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_PREFIX = "skerry-"
_LEAF = "supervisor"  # where systemd puts the service's own process, if it is told to
_ADVICE = "under systemd: Delegate=yes and DelegateSubgroup=supervisor"


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """A tree of groups: (own) is this process's; (controllers) are to be used here."""

    own: Path
    controllers: tuple[str, ...]
    unified: bool

    @property
    def base(self) -> Path:
        """Where new groups go: into its own, or beside it if that was made a leaf, as
        groups with processes cannot hand controllers down."""
        leaf = self.unified and self.own.name == _LEAF
        return self.own.parent if leaf else self.own


def join(
    name: str, memory_max: int = 0, pids_max: int = 0, proc: Path = _PROC
) -> str | None:
    """Puts this process into a group (name), made if it is missing, of at most
    (memory_max) bytes and (pids_max) threads; 0 is no limit. Call it before the jail:
    it takes root, or a group that was delegated.

    Returns None, or why there is no such group: then the process is where it was."""
    limits = {"memory": memory_max, "pids": pids_max}
    limits = {controller: most for controller, most in limits.items() if most}
    found: list[Hierarchy] = []
    try:
        found = _having(tuple(limits), proc)
        for each in found:
            _make(each, name, limits)
        for each in found:
            _move(each.base / name)
    except OSError as error:
        _leave(found, name)
        return f"{error.filename or name}: {error.strerror}; {_ADVICE}"
    except LookupError as error:
        return str(error.args[0])
    return None


def name_of(pid: int) -> str:
    """The group of our process (pid)."""
    return f"{_PREFIX}{pid}"


def sweep(proc: Path = _PROC) -> None:
    """Removes the groups of processes that have ended, where nobody could do it because
    their supervisor was killed."""
    with contextlib.suppress(OSError):
        for each in _hierarchies(proc):
            for group in each.base.glob(f"{_PREFIX}[0-9]*"):
                if not (proc / group.name.removeprefix(_PREFIX)).exists():
                    _remove(group)


def remove(name: str, proc: Path = _PROC) -> None:
    """Removes the group (name), where it exists and nobody is in it."""
    with contextlib.suppress(OSError):
        for each in _hierarchies(proc):
            _remove(each.base / name)


def _make(place: Hierarchy, name: str, limits: dict[str, int]) -> None:
    if place.unified:
        _hand_down(place)
    group = place.base / name
    group.mkdir(exist_ok=True)
    for each in place.controllers:
        (group / _limit_file(each, place.unified)).write_text(str(limits[each]))


def _limit_file(controller: str, unified: bool) -> str:
    old = controller == "memory" and not unified
    return "memory.limit_in_bytes" if old else f"{controller}.max"


def _hand_down(place: Hierarchy) -> None:
    control = place.base / "cgroup.subtree_control"
    missing = set(place.controllers) - set(control.read_text().split())
    if missing:
        control.write_text(" ".join(f"+{each}" for each in sorted(missing)))


def _move(group: Path) -> None:
    (group / "cgroup.procs").write_text(str(os.getpid()))


def _leave(places: list[Hierarchy], name: str) -> None:
    for each in places:
        with contextlib.suppress(OSError):
            _move(each.own)
        _remove(each.base / name)


def _remove(group: Path) -> None:
    with contextlib.suppress(OSError):  # not made, or somebody is in it
        group.rmdir()


def _having(wanted: tuple[str, ...], proc: Path) -> list[Hierarchy]:
    """The hierarchies that have the controllers (wanted); LookupError: none has one."""
    found = [
        Hierarchy(each.own, used, each.unified)
        for each in _hierarchies(proc)
        if (used := tuple(name for name in wanted if name in each.controllers))
    ]
    there = {name for each in found for name in each.controllers}
    for name in wanted:
        if name not in there:
            raise LookupError(
                f"this process's control groups have no {name} controller"
            )
    return found


def _hierarchies(proc: Path) -> Iterator[Hierarchy]:
    """All that are mounted, with all their controllers. cgroups(7), proc(5)."""
    groups = dict(_groups(proc))
    for line in (proc / "self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        root, where = before.split()[3:5]
        kind, _, options = after.split(" ", 2)
        for key, group in groups.items():
            own = Path(where) / group.removeprefix(root).lstrip("/")
            if kind == "cgroup2" and not key:
                known = (own / "cgroup.controllers").read_text().split()
                yield Hierarchy(own, tuple(known), True)
            if (
                kind == "cgroup"
                and key
                and set(key.split(",")) <= {*options.split(",")}
            ):
                yield Hierarchy(own, tuple(key.split(",")), False)


def _groups(proc: Path) -> Iterator[tuple[str, str]]:
    """(controllers, group) of this process; 0::/group is in the unified hierarchy."""
    for line in (proc / "self/cgroup").read_text().splitlines():
        _, controllers, group = line.split(":", 2)
        yield controllers, group
