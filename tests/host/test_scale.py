"""What a thousand clones of one program cost the process that has them."""

import contextlib
import resource
from pathlib import Path

import pytest
from support import leaks
from support.programs import HELLO

from skerry.message import Request
from skerry.native import Vm

CLONES = 1000
DESCRIPTORS = 2  # a clone's: its VM, its vCPU
ALLOWED_KIB = 512 << 10
REQUEST = Request(b"GET", b"/", b"test", b"Host: test\r\n")


@pytest.fixture
def descriptors():
    """This process may open as many files as the clones need."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    need = CLONES * DESCRIPTORS + 256
    assert need <= hard, f"raise the hard limit of open files to {need} (ulimit -Hn)"
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, need), hard))
    yield lambda: len(leaks.descriptors())
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def kib(path, *names):
    """The sum of these lines of (path), which count in KiB."""
    lines = (line.split() for line in Path(path).read_text().splitlines())
    found = {line[0]: int(line[1]) for line in lines if line[0] in names}
    assert len(found) == len(names)
    return sum(found.values())


def private_kib():
    """Pages that this process alone has, and the tables that map its pages. Not what
    KVM has for it in the kernel: no process is told that."""
    pages = kib("/proc/self/smaps_rollup", "Private_Clean:", "Private_Dirty:")
    return pages + kib("/proc/self/status", "VmPTE:")


def test_a_thousand_clones_serve_in_512_mb_and_two_descriptors_each(guest, descriptors):
    with (
        guest(HELLO["source"], max_memory=256) as program,
        contextlib.ExitStack() as own,
    ):
        program.text()
        files, memory = descriptors(), private_kib()
        at, console = program.snapshot, program.console
        clones = [own.enter_context(Vm(at, console, 60.0)) for _ in range(CLONES)]
        for clone in clones:
            assert clone.serve(REQUEST).body == b"Hello World!"
        assert private_kib() - memory < ALLOWED_KIB
        assert descriptors() - files == CLONES * DESCRIPTORS
        own.close()
        assert descriptors() == files
