"""A command run as a user without any right, where only root may do what that takes:
seen by him alone, /dev/kvm is another node of the device, which anybody may open, and
Python lies in directories that anybody may enter."""

import os
import shlex
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

from support.guests import ROOT

NOBODY = 65534
_WHO = f"setpriv --reuid {NOBODY} --regid {NOBODY} --clear-groups --pdeathsig KILL"


def as_nobody(directory: Path) -> list[str]:
    """For root: what runs a command so. (directory) becomes his, with ways to it."""
    for each in (directory, *directory.parents):
        if not _may_enter(each):  # pytest's own are closed to others
            each.chmod(0o755)
    mounts = [(_make_node(directory), Path("/dev/kvm")), *_ways(directory)]
    os.chown(directory, NOBODY, NOBODY)
    steps = [shlex.join(["mount", "--rbind", str(a), str(b)]) for a, b in mounts]
    script = " && ".join([*steps, f'exec {_WHO} "$@"'])
    return ["unshare", "--mount", "sh", "-c", script, "sh"]


def _may_enter(directory: Path) -> bool:
    return directory.stat().st_mode & 0o005 == 0o005


def _make_node(directory: Path) -> Path:
    node = directory / "kvm"
    os.mknod(node, stat.S_IFCHR, Path("/dev/kvm").stat().st_rdev)
    node.chmod(0o666)
    return node


def _ways(directory: Path) -> Iterator[tuple[Path, Path]]:
    """What to mount where, so that Python and skerry can be reached."""
    copies: dict[Path, Path] = {}
    for wanted in {Path(sys.base_prefix), ROOT}:
        closed = [each for each in wanted.parents if not _may_enter(each)]
        if closed:
            outermost = closed[-1]
            copy = copies.setdefault(outermost, directory / f"way{len(copies)}")
            inside = copy / wanted.relative_to(outermost)
            inside.mkdir(parents=True)
            yield wanted, inside
    for closed_one, copy in copies.items():
        yield copy, closed_one
