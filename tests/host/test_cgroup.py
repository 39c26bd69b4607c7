"""Control groups: real ones where this machine lets us, and trees of files that look
like the other kind."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from skerry import cgroup

MB = 1 << 20
NAME = f"skerry-test-{os.getpid()}"
JOIN = f"""
import sys, threading
from skerry import cgroup
reason = cgroup.join({NAME!r}, {64 * MB}, 4)
"""


def python(code: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


@pytest.fixture
def real():
    """Removes the group at the end. Skips where this process may not make any."""
    said = python(JOIN + "sys.exit(reason)")
    cgroup.remove(NAME)
    if said.returncode:
        pytest.skip(said.stderr)
    yield
    cgroup.remove(NAME)


def test_a_process_in_its_group_has_so_many_threads(real) -> None:
    said = python(
        JOIN
        + """
release = threading.Event()
try:
    for count in range(1, 10):
        threading.Thread(target=release.wait).start()
except RuntimeError:
    print(count, open("/proc/self/cgroup").read())
release.set()
"""
    )
    count, _, groups = said.stdout.partition(" ")
    assert (count, said.stderr) == ("4", "")
    assert f"/{NAME}\n" in groups


def test_a_process_in_its_group_has_so_much_memory(real) -> None:
    assert python(JOIN + "sys.exit(reason)").returncode == 0
    files = [
        group / name
        for group in groups_named(NAME)
        for name in ("memory.limit_in_bytes", "memory.max")
        if (group / name).exists()
    ]
    assert [each.read_text() for each in files] == [f"{64 * MB}\n"]


def test_the_group_is_gone_when_it_was_removed(real) -> None:
    assert python(JOIN + "sys.exit(reason)").returncode == 0
    before = groups_named(NAME)
    cgroup.remove(NAME)
    assert before and not groups_named(NAME)


def groups_named(name: str) -> list[Path]:
    return [
        each.base / name
        for each in cgroup._hierarchies(Path("/proc"))
        if (each.base / name).exists()
    ]


# --- Trees of files: a kernel that has one hierarchy for all ---


@pytest.fixture
def unified(tmp_path):
    """unified(group, controllers): /proc, and the directory of the group's parent."""

    def make(group: str, controllers: str) -> tuple[Path, Path]:
        proc, mount = tmp_path / "proc" / "self", tmp_path / "cgroup"
        own = mount / group.lstrip("/")
        proc.mkdir(parents=True)
        own.mkdir(parents=True)
        (proc / "cgroup").write_text(f"0::{group}\n")
        (proc / "mountinfo").write_text(
            "22 1 8:1 / / rw - ext4 /dev/root rw\n"
            f"30 22 0:26 / {mount} rw shared:4 - cgroup2 cgroup2 rw\n"
        )
        for each in (own, own.parent):
            (each / "cgroup.controllers").write_text(controllers)
            (each / "cgroup.subtree_control").write_text("")
        return proc.parent, own.parent

    return make


def texts(directory: Path) -> dict[str, str]:
    return {each.name: each.read_text() for each in directory.iterdir()}


def test_a_delegated_service_has_groups_beside_its_supervisor(unified) -> None:
    proc, service = unified("/skerry.service/supervisor", "cpu memory pids\n")
    assert cgroup.join("worker-1", 64 * MB, 32, proc) is None
    assert (service / "cgroup.subtree_control").read_text() == "+memory +pids"
    assert texts(service / "worker-1") == {
        "memory.max": str(64 * MB),
        "pids.max": "32",
        "cgroup.procs": str(os.getpid()),
    }


def test_only_limits_that_are_set_are_written(unified) -> None:
    proc, service = unified("/skerry.service/supervisor", "cpu memory pids\n")
    assert cgroup.join("worker-1", pids_max=32, proc=proc) is None
    assert set(texts(service / "worker-1")) == {"pids.max", "cgroup.procs"}


def test_a_machine_without_the_controller_is_told(unified) -> None:
    proc, service = unified("/skerry.service/supervisor", "cpu pids\n")
    assert cgroup.join("worker-1", 64 * MB, 32, proc) == (
        "this process's control groups have no memory controller"
    )
    assert not (service / "worker-1").exists()


def test_a_group_that_cannot_be_made_is_told_and_left(unified) -> None:
    proc, service = unified("/skerry.service/supervisor", "memory pids\n")
    (service / "worker-1").write_text("in the way")
    reason = cgroup.join("worker-1", 64 * MB, 32, proc)
    assert reason == (
        f"{service}/worker-1: File exists; "
        "under systemd: Delegate=yes and DelegateSubgroup=supervisor"
    )
    moved = (service / "supervisor" / "cgroup.procs").read_text()
    assert moved == str(os.getpid())


def test_groups_that_a_killed_supervisor_left_are_swept_away(unified) -> None:
    proc, service = unified("/skerry.service/supervisor", "memory pids\n")
    (proc / "17").mkdir()
    for name in ("skerry-17", "skerry-18", "other-18"):
        (service / name).mkdir()
    cgroup.sweep(proc)
    assert not (service / "skerry-18").exists()
    assert (service / "skerry-17").exists()
    assert (service / "other-18").exists()
