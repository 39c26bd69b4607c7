"""hugepages: the kernel is asked for huge pages while a program starts."""

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support.client import wait_until

from skerry.native import NativeError

MAPPING = re.compile(
    r"^[0-9a-f]+-[0-9a-f]+ .*?(?=^[0-9a-f]+-[0-9a-f]+ |\Z)", re.DOTALL | re.MULTILINE
)


def flags_of_starting_machines() -> set[str]:
    """VmFlags (proc(5)) of the mappings of a machine named "spinning"."""
    text = Path("/proc/self/smaps").read_text()
    found = (each for each in MAPPING.findall(text) if "/memfd:spinning" in each)
    return {flag for each in found for flag in each.partition("VmFlags:")[2].split()}


@pytest.mark.parametrize("hugepages", [True, False])
def test_huge_pages_are_asked_for_where_they_are_configured(guest, hugepages):
    spinning = "START { for (;;); } HANDLE {}"
    with ThreadPoolExecutor(1) as threads:
        started = threads.submit(
            guest, spinning, name="spinning", boot_time=5.0, hugepages=hugepages
        )
        wait_until(lambda: flags_of_starting_machines() or started.done())
        if hugepages:
            wait_until(lambda: "hg" in flags_of_starting_machines())
        else:
            assert "hg" not in flags_of_starting_machines()
        with pytest.raises(NativeError, match="did not reach wait_for_requests"):
            started.result()


def test_a_program_with_huge_pages_serves(guest):
    program = guest('START {} HANDLE { reply("hello"); }', hugepages=True)
    assert [program.text() for _ in range(3)] == ["hello"] * 3
