"""What processes take of the machine, and how much they may: by /proc and prlimit."""

import os
import re
import subprocess
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def with_descendants(pid: int) -> list[int]:
    """(pid), its children, their children, and so on."""
    found = [pid]
    for each in found:
        with suppress(FileNotFoundError):  # ended meanwhile
            for thread in os.listdir(f"/proc/{each}/task"):
                children = Path(f"/proc/{each}/task/{thread}/children").read_text()
                found += map(int, children.split())
    return found


def status(pid: int) -> dict[str, str]:
    """The lines of /proc/PID/status."""
    text = Path(f"/proc/{pid}/status").read_text()
    return dict(re.findall(r"^(\w+):[ \t]*(.*)$", text, re.MULTILINE))


def status_kb(pid: int, key: str) -> int:
    """A line of /proc/PID/status in kB, such as VmRSS."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition(f"\n{key}:")[2].split()[0])


def resident_kb(pids: Iterable[int]) -> int:
    """Memory of all (pids) together."""
    return sum(status_kb(pid, "VmRSS") for pid in pids)


def open_files(pids: Iterable[int]) -> int:
    """File descriptors of all (pids) together."""
    return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in pids)


def cpu_seconds(pids: Iterable[int]) -> float:
    """Processor time that all (pids) together have used."""
    fields = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2] for pid in pids]
    return sum(sum(map(int, each.split()[11:13])) for each in fields) / _TICKS


def limit_files(pids: Iterable[int], spare: int | None) -> None:
    """Lets each of (pids) open no descriptor above its highest, but (spare) more; with
    None, what it was allowed at first."""
    for pid in pids:
        highest = max(map(int, os.listdir(f"/proc/{pid}/fd")))
        soft = None if spare is None else highest + 1 + spare
        _limit(pid, "nofile", "Max open files", soft)


def limit_memory(pids: Iterable[int], spare_mb: int | None) -> None:
    """Lets each of (pids) map (spare_mb) more than now; with None, all that it may."""
    for pid in pids:
        now = status_kb(pid, "VmSize") << 10
        soft = None if spare_mb is None else now + (spare_mb << 20)
        _limit(pid, "as", "Max address space", soft)


def _limit(pid: int, option: str, row: str, soft: int | None) -> None:
    """Sets a soft limit of (pid), None as high as the hard one. As its own user: root
    may be without the right to do it to others, and a worker's user is nobody."""
    limits = Path(f"/proc/{pid}/limits").read_text()
    hard = limits.partition(f"\n{row}")[2].split()[1]
    own = Path(f"/proc/{pid}/status").read_text()
    user, group = (own.partition(f"\n{key}:")[2].split()[0] for key in ("Uid", "Gid"))
    as_user = ["setpriv", "--reuid", user, "--regid", group, "--clear-groups"]
    value = hard if soft is None else soft
    change = ["prlimit", "--pid", str(pid), f"--{option}={value}:"]
    subprocess.run([*as_user, *change], check=True)


def listening_port(pid: int) -> int | None:
    """The TCP port that (pid) or a descendant listens on; None if there is none yet."""
    links = set()
    for each in with_descendants(pid):
        with suppress(FileNotFoundError):  # ended meanwhile
            for name in os.listdir(f"/proc/{each}/fd"):
                with suppress(FileNotFoundError):  # closed meanwhile
                    links.add(os.readlink(f"/proc/{each}/fd/{name}"))
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] == "0A" and f"socket:[{fields[9]}]" in links:
            return int(fields[1].partition(":")[2], 16)
    return None
