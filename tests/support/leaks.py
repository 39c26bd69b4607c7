"""What this process holds of its machine, to see that guests leave nothing there."""

import gc
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self

GUEST_MAPPINGS = ("/memfd:", "anon_inode:")  # guest memory; kvm_run and dirty rings
SLACK_LINES = 16  # of /proc/self/maps: what malloc and Python do on their own
SLACK_KB = 48 * 1024


def _mappings() -> list[str]:
    return Path("/proc/self/maps").read_text().splitlines()


def _resident_kb() -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0])


def descriptors() -> set[str]:
    """Those of this process, but for the one that lists them: when another thread
    closes some, that has another number each time."""
    return {each for each in os.listdir("/proc/self/fd") if _is_open(each)}


def _is_open(descriptor: str) -> bool:
    return os.path.lexists(f"/proc/self/fd/{descriptor}")


@dataclass(frozen=True)
class Held:
    """File descriptors, mappings of guests, all mappings, and resident memory, now."""

    descriptors: int
    guest_mappings: int
    mappings: int
    resident_kb: int

    @classmethod
    def now(cls) -> Self:
        gc.collect()
        lines = _mappings()
        guests = sum(any(mark in line for mark in GUEST_MAPPINGS) for line in lines)
        return cls(len(descriptors()), guests, len(lines), _resident_kb())

    def assert_same(self, before: Self) -> None:
        """Nothing of a guest has been added since (before)."""
        assert self.descriptors == before.descriptors
        assert self.guest_mappings == before.guest_mappings
        assert self.mappings <= before.mappings + SLACK_LINES
        assert self.resident_kb <= before.resident_kb + SLACK_KB
