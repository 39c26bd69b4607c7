"""Hostile programs and paths: every call that takes one is given those that lead out of
what a program may have, in requests, in storage and while it starts."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support import hostile
from support.attacks.paths import ATTACKS, WAYS
from support.client import wait_until
from support.guests import Guest

from skerry.allowed import Policy
from skerry.config import AllowedPath


def link(directory: Path, **to: str) -> None:
    for name, target in to.items():
        (directory / name).symlink_to(target)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory that is allowed, with links that lead out of it, and another one."""
    top = tmp_path_factory.mktemp("site")
    real, outside = top / "open", top / "outside"
    (real / "deep").mkdir(parents=True)
    (real / "inside").mkdir()
    outside.mkdir()
    (real / "file").write_text("allowed")
    (real / "inside" / "secret").write_text("allowed as well")
    (outside / "secret").write_text("SECRET")
    link(real, out="../outside", up="..", root="/", loop="loop", swap="inside")
    link(real, to_secret="../outside/secret", to_proc="/proc/self")
    return top


def options(site: Path) -> dict[str, object]:
    """Of a program that may read and write in the directory "open" of (site)."""
    outside = ["/etc/passwd", site, site / "outside", site / "outside" / "secret"]
    found = [os.stat(each) for each in outside]
    secrets = ",".join(f"{each.st_dev}:{each.st_ino}" for each in found)
    allowed = Policy((AllowedPath(site / "open", "/open", True, True),), "/open")
    environment = ("KVM_NAME=test", f"SECRETS={secrets}")
    return {"allowed": allowed, "environment": environment}


def openers() -> int:
    """Threads that open files for programs. They end when nobody can ask any more."""
    return sum(each.name == "opener" for each in threading.enumerate())


@pytest.fixture(scope="module")
def guest(site: Path) -> Iterator[Guest]:
    text = hostile.source(ATTACKS, WAYS, "find_calls();")
    more = {"limit": 120.0, "storage_time": 60.0}
    with hostile.nothing_left():
        before = openers()
        with hostile.start(text, **more, **options(site)) as held:
            yield held
        wait_until(lambda: openers() == before)


@contextmanager
def swapping(site: Path) -> Iterator[None]:
    """Meanwhile the link "swap" leads inside and outside by turns."""
    over = threading.Event()

    def swap() -> None:
        new, name = site / "open" / "new", site / "open" / "swap"
        while not over.is_set():
            for target in ("../outside", "inside"):
                new.symlink_to(target)
                new.rename(name)

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def everything(directory: Path) -> set[tuple[str, int]]:
    """What is in (directory), with its sizes."""
    return {(str(each), each.lstat().st_size) for each in directory.rglob("*")}


@pytest.mark.parametrize("way", WAYS)
def test_no_call_with_a_path_leads_out_of_what_is_allowed(guest, site, way):
    before = everything(site / "outside")
    with swapping(site):
        # In storage, after its start, no page can be closed behind a string.
        for place in "r" if way == "odd_strings" else "rs":
            hostile.attack(guest, place, way, WAYS[way])
    assert everything(site / "outside") == before


def test_a_program_that_looks_for_a_way_out_while_it_starts_finds_none(site):
    before = everything(site / "outside")
    given = options(site)
    given["environment"] += ("AT_START=1",)
    text = hostile.source(ATTACKS, WAYS, "find_calls();")
    with swapping(site), hostile.start(text, **given) as guest:
        assert guest.text("/r/nothing") == "wrong: "
    assert everything(site / "outside") == before
