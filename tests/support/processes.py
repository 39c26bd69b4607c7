"""What processes take of the machine, and how much they may: by /proc and prlimit."""

import os
import resource
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def with_descendants(pid: int) -> list[int]:
    """(pid), its children, their children, and so on."""
    found = [pid]
    for each in found:
        for thread in os.listdir(f"/proc/{each}/task"):
            with suppress(FileNotFoundError):  # ended meanwhile
                children = Path(f"/proc/{each}/task/{thread}/children").read_text()
                found += map(int, children.split())
    return found


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
        _, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        highest = max(map(int, os.listdir(f"/proc/{pid}/fd")))
        soft = hard if spare is None else highest + 1 + spare
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))


def limit_memory(pids: Iterable[int], spare_mb: int | None) -> None:
    """Lets each of (pids) map (spare_mb) more than now; with None, all that it may."""
    for pid in pids:
        _, hard = resource.prlimit(pid, resource.RLIMIT_AS)
        now = status_kb(pid, "VmSize") << 10
        soft = hard if spare_mb is None else now + (spare_mb << 20)
        resource.prlimit(pid, resource.RLIMIT_AS, (soft, hard))


def listening_port(pid: int) -> int | None:
    """The TCP port that (pid) or a descendant listens on; None if there is none yet."""
    links = set()
    for each in with_descendants(pid):
        for name in os.listdir(f"/proc/{each}/fd"):
            with suppress(FileNotFoundError):  # closed meanwhile
                links.add(os.readlink(f"/proc/{each}/fd/{name}"))
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] == "0A" and f"socket:[{fields[9]}]" in links:
            return int(fields[1].partition(":")[2], 16)
    return None
