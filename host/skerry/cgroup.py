"""A control group of its own for a worker: how much memory and how many threads it may
have. Both kinds of hierarchy are known: one for all (v2), or one a controller (v1)."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_LEAF = "supervisor"  # where systemd puts the service's own process, if it is told to
_ADVICE = "under systemd: Delegate=yes and DelegateSubgroup=supervisor"


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """A place where this process may have (controllers): below (directory)."""

    directory: Path
    controllers: tuple[str, ...]
    unified: bool


def join(
    name: str, memory_max: int = 0, pids_max: int = 0, proc: Path = _PROC
) -> str | None:
    """Puts this process into a group (name), made if it is missing, of at most
    (memory_max) bytes and (pids_max) threads; 0 is no limit. Threads of this process
    come along. Returns None, or the reason why there is no such group: then nothing has
    changed. Needs root, or a group that was delegated; so call it before the jail."""
    limits = {"memory": memory_max, "pids": pids_max}
    wanted = {each: limit for each, limit in limits.items() if limit}
    try:
        found = _hierarchies(tuple(wanted), proc)
        for each in found:
            _enter(each, name, wanted)
    except OSError as error:
        remove(name, proc)
        return f"{error.filename or name}: {error.strerror}; {_ADVICE}"
    except LookupError as error:
        return str(error.args[0])
    return None


def remove(name: str, proc: Path = _PROC) -> None:
    """Removes the group (name) where it exists and nobody is in it."""
    try:
        found = _hierarchies((), proc)
    except (OSError, LookupError):
        return
    for each in found:
        try:
            (each.directory / name).rmdir()
        except OSError:
            continue  # it was never made here, or who is in it has to end first


def _enter(place: Hierarchy, name: str, limits: dict[str, int]) -> None:
    if place.unified:
        _hand_down(place)
    group = place.directory / name
    group.mkdir(exist_ok=True)
    for each in place.controllers:
        (group / _limit_file(each, place.unified)).write_text(str(limits[each]))
    (group / "cgroup.procs").write_text(str(os.getpid()))


def _limit_file(controller: str, unified: bool) -> str:
    if controller == "memory" and not unified:
        return "memory.limit_in_bytes"
    return f"{controller}.max"


def _hand_down(place: Hierarchy) -> None:
    """Groups below (place) get its controllers: not while processes are in it."""
    control = place.directory / "cgroup.subtree_control"
    missing = set(place.controllers) - set(control.read_text().split())
    if missing:
        control.write_text(" ".join(f"+{each}" for each in sorted(missing)))


def _hierarchies(wanted: tuple[str, ...], proc: Path) -> list[Hierarchy]:
    """The fewest hierarchies that have the controllers (wanted), all of them if it is
    empty; LookupError if one has none."""
    own = dict(_own_groups(proc))
    found = [
        Hierarchy(
            _base(mount, own[key], not key),
            _offered(mount, key, wanted),
            unified=not key,
        )
        for key, mount in _mounts(proc)
        if key in own
    ]
    if not wanted:
        return found
    having = {name for each in found for name in each.controllers}
    for name in wanted:
        if name not in having:
            raise LookupError(
                f"this machine's control groups have no {name} controller"
            )
    return [each for each in found if each.controllers]


def _offered(mount: Path, key: str, wanted: tuple[str, ...]) -> tuple[str, ...]:
    """Which of (wanted) a hierarchy has; (key) is its list, "" for the unified one."""
    names = key.split(",") if key else _unified_controllers(mount)
    return tuple(each for each in wanted if each in names)


def _unified_controllers(mount: Path) -> list[str]:
    return (mount / "cgroup.controllers").read_text().split()


def _own_groups(proc: Path) -> Iterator[tuple[str, str]]:
    """(controllers, group) of this process, cgroups(7): 0::/group is the unified one."""
    for line in (proc / "self/cgroup").read_text().splitlines():
        _, controllers, group = line.split(":", 2)
        yield controllers, group


def _mounts(proc: Path) -> Iterator[tuple[str, Path]]:
    """(controllers, where) of the hierarchies that are mounted. proc(5), mountinfo."""
    known = {controllers for controllers, _ in _own_groups(proc)}
    for line in (proc / "self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        where = Path(before.split()[4])
        kind, _, options = after.split(" ", 2)
        if kind == "cgroup2":
            yield "", where
        elif kind == "cgroup":
            given = set(options.split(","))
            yield from (
                (key, where) for key in known if key and set(key.split(",")) <= given
            )


def _base(mount: Path, group: str, unified: bool) -> Path:
    """Where this process's groups go: into its own, or beside it where it is a leaf
    that was made so that there are no processes above it."""
    own = mount / group.lstrip("/")
    return own.parent if unified and own.name == _LEAF else own
