"""Storage that several use: threads that take a call over, processes that die or stop,
and hosts that come later and find the state in a file."""

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from support.books import GATED, Worker, clone, configure, digest, text
from support.client import wait_until
from support.clones import ask

from skerry import native
from skerry.errors import ProgramError
from skerry.log import Log
from skerry.message import Request
from skerry.parcel import pack
from skerry.start import start
from skerry.started import Started

# Not for the emulated machine: other processes, each a Python, take too long there, and
# nothing here depends on the kind of KVM.
INLINE = 0.001


@pytest.fixture
def books() -> Iterator[Started]:
    """Books that have been started, with something in them."""
    with start(configure(), Log()) as started:
        with clone(started) as vm:
            assert text(vm, "good/1=10/2=20/3=30").startswith("8 ")
        yield started


@pytest.fixture
def vm(books: Started) -> Iterator[native.Vm]:
    with clone(books) as vm:
        yield vm


def begin(vm: native.Vm, path: str) -> None:
    """Serves a request that does not come to its end."""
    request = Request(b"GET", f"/books/{path}".encode(), b"", b"Host: test\r\n")
    assert vm.serve(request) is None
    assert vm.rare and vm.busy


def counts(books: Started) -> native.StorageCounts:
    assert books.storage
    return books.storage.counts()


def value(vm: native.Vm, key: int) -> int:
    return int(text(vm, "values").split()[key])


# --- Handed from thread to thread ---


def paused_inside(books: Started, vm: native.Vm, held: ExitStack) -> native.Vm:
    """A clone that has been handed back in the middle of its storage call."""
    for inline in (INLINE, 0.01, 0.1, 1, 10):  # as slow as the machine may be
        slow = held.enter_context(clone(books, inline=inline))
        begin(slow, f"{GATED}/5=50")
        if text(vm, "inside") == "1":
            return slow
        slow.close()
    raise AssertionError("it never got there")


def test_a_call_that_takes_long_is_handed_back_and_goes_on_in_another_thread(books, vm):
    with ExitStack() as held, ThreadPoolExecutor(1) as thread:
        slow = paused_inside(books, vm, held)
        answer = thread.submit(slow.resume)
        text(vm, "open")
        assert answer.result(60).body == f"8 {digest(vm)}".encode()
    assert (value(vm, 0), value(vm, 5)) == (1, 50)


def test_a_call_that_waits_for_another_is_handed_back_and_goes_on_elsewhere(books, vm):
    with ExitStack() as held, ThreadPoolExecutor(2) as threads:
        slow = paused_inside(books, vm, held)
        waits = held.enter_context(clone(books, inline=INLINE))
        begin(waits, "good/5=51")
        last = threads.submit(waits.resume)
        first = threads.submit(slow.resume)
        text(vm, "open")
        assert first.result(60).status == 200
        assert last.result(60).body == f"8 {digest(vm)}".encode()
    assert value(vm, 5) == 51


def test_a_clone_that_is_closed_in_the_middle_of_its_call_takes_it_back(books, vm):
    before = digest(vm)
    with ExitStack() as held:
        slow = paused_inside(books, vm, held)
        failed = counts(books).failed
        slow.close()
        assert counts(books).failed == failed + 1
    assert digest(vm) == before
    assert text(vm, "good/5=51") == f"8 {digest(vm)}"


def test_a_clone_that_is_closed_while_its_call_waits_leaves_no_trace(books, vm):
    with ExitStack() as held:
        slow = paused_inside(books, vm, held)
        calls = counts(books).calls
        with clone(books, inline=INLINE) as waits:
            begin(waits, "good/5=51")
        assert counts(books).calls == calls
        text(vm, "open")
        assert slow.resume().status == 200
    assert value(vm, 5) == 50


# --- Other processes ---


def test_two_holds_of_one_storage_add_up(books, vm):
    assert books.storage
    data, fds = books.storage.export()
    copies = [os.dup(fd) if fd >= 0 else -1 for fd in fds]
    other = native.Storage.attach(data, [*copies, -1], books.shared, books.console, 5.0)
    with other, native.Vm(books.snapshot, books.console, 60, 0.0, other) as twin:
        for number in range(30):
            user = twin if number % 2 else vm
            assert text(user, f"good/{number}=7").startswith("8 ")
            assert digest(vm) == digest(twin)
    assert counts(books).calls == 1 + 30 + 60


def test_what_processes_do_at_the_same_time_adds_up(books, vm):
    paths = ["good/0=1"] * 50
    with Worker(books, paths) as one, Worker(books, paths) as two:
        states = [text(vm, "good/9=9") for _ in range(50)]
        states += one.lines() + two.lines()
    assert len(set(states)) == 150, "each call finds another state"
    assert counts(books).failed == 0


def until_inside(vm: native.Vm) -> None:
    """Until a process is in the middle of a storage call."""
    wait_until(lambda: text(vm, "inside") == "1")


@pytest.mark.parametrize("times", [1, 3])
def test_a_process_that_is_killed_in_the_middle_of_its_call_has_not_called(
    books, vm, times
):
    before = digest(vm)
    for number in range(times):
        with Worker(books, [f"{GATED}/5=50"]) as worker:
            wait_until(lambda n=number: text(vm, "inside") == str(n + 1))
            worker.process.kill()
            worker.process.wait()
            assert digest(vm) == before
        assert counts(books).repaired == number + 1
    assert text(vm, "good/5=51") == f"8 {digest(vm)}"


def test_a_process_that_stops_in_its_call_holds_up_others_until_their_limit(books, vm):
    with Worker(books, [f"{GATED}/5=50"]) as worker:
        until_inside(vm)
        worker.process.send_signal(signal.SIGSTOP)
        with clone(books, limit=0.2) as hasty:
            assert ask(hasty, "/books/good/5=51").status == 500
            assert hasty.reason == "time limit reached"
        text(vm, "open")
        worker.process.send_signal(signal.SIGCONT)
        assert worker.lines() == [f"8 {digest(vm)}"]
    assert value(vm, 5) == 50
    assert counts(books).repaired == 0


# --- In a file ---


def started_with(path: Path, **values: Any) -> Started:
    return start(configure(storage_file=path, **values), Log())


@pytest.mark.parametrize("durability", ["process", "fsync"])
def test_all_kinds_of_memory_are_there_again_after_a_new_start(tmp_path, durability):
    path, before = tmp_path / "state", None
    for number in range(4):
        with (
            started_with(path, durability=durability) as books,
            clone(books) as vm,
        ):
            assert before in (None, digest(vm))
            for key in range(number, 200, 6):
                assert text(vm, f"good/{key}={key * 31}").startswith("8 ")
            text(vm, "wide")
            text(vm, "trap/1=1")
            before = digest(vm)


def test_with_fsync_an_answer_is_marked_until_what_it_tells_is_synced(tmp_path):
    path = tmp_path / "state"
    with started_with(path, durability="fsync") as books, clone(books) as vm:
        assert books.storage
        for _ in range(2):
            text(vm, "good/1=2")
            assert vm.rare and vm.unsynced
            digest(vm)
            assert vm.rare and vm.unsynced, "who has only read has seen it too"
            text(vm, "inside")
            assert not (vm.rare and vm.unsynced), "who has not called has not"
            books.storage.sync()
            digest(vm)
            assert not (vm.rare and vm.unsynced)
        text(vm, "trap/1=3")
        assert not (vm.rare and vm.unsynced)


def test_with_process_no_answer_is_marked(tmp_path):
    with started_with(tmp_path / "state") as books, clone(books) as vm:
        text(vm, "good/1=2")
        assert not (vm.rare and vm.unsynced)


@pytest.mark.parametrize(
    "other",
    [{"max_memory": 72}, {"main_arguments": ["else"]}, {"environment": ["A=b"]}],
)
def test_a_file_of_the_program_started_otherwise_is_refused(tmp_path, other):
    path = tmp_path / "state"
    started_with(path).close()
    whole = path.read_bytes()
    with pytest.raises(ProgramError, match=r"has the storage of books, .*, not of boo"):
        started_with(path, **other)
    assert path.read_bytes() == whole
    started_with(path).close()


def test_a_refused_file_tells_of_both_programs(tmp_path):
    path = tmp_path / "state"
    started_with(path).close()
    message = r"of books, .* 64 MB, .*, not of accounts, .* 72 MB, .*: choose"
    with pytest.raises(ProgramError, match=message):
        started_with(path, name="accounts", max_memory=72)


def test_a_file_that_a_running_program_has_is_refused(tmp_path):
    path = tmp_path / "state"
    with started_with(path):
        refused = pytest.raises(ProgramError, match="is used by another skerry")
        with refused:
            started_with(path)
    started_with(path).close()


@pytest.mark.parametrize(
    ("path", "reason"),
    [(".", "Is a directory"), ("missing/state", "No such file or directory")],
)
def test_a_path_where_no_file_can_be_is_refused(tmp_path, path, reason):
    with pytest.raises(ProgramError, match=f"storage file: .*: {reason}"):
        started_with(tmp_path / path)


def test_a_file_whose_end_is_missing_has_the_state_before_its_last_call(tmp_path):
    path = tmp_path / "state"
    with started_with(path) as books, clone(books) as vm:
        before = digest(vm)
        text(vm, "good/1=2")
    os.truncate(path, path.stat().st_size - 1)
    with started_with(path) as books, clone(books) as vm:
        assert digest(vm) == before
        text(vm, "good/1=2")


def test_a_file_that_lost_its_beginning_is_refused_as_damaged(tmp_path):
    path = tmp_path / "state"
    started_with(path).close()
    os.truncate(path, 9000)
    with pytest.raises(ProgramError, match="is damaged: bring a copy back"):
        started_with(path)


# --- A new start of the same program ---


@pytest.mark.parametrize("with_file", [False, True])
def test_state_lives_on_over_a_new_start(tmp_path, with_file):
    config = configure(storage_file=tmp_path / "state" if with_file else None)
    with ExitStack() as held:
        old = held.enter_context(start(config, Log()))
        new = held.enter_context(start(config, Log(), old=pack(old)))
        first, second = (held.enter_context(clone(each)) for each in (old, new))
        for number in range(6):
            user = second if number % 2 else first
            assert text(user, f"good/{number}=7").startswith("8 ")
            assert digest(first) == digest(second)
        first.close()
        old.close()
        assert text(second, "good/9=9") == f"8 {digest(second)}"
        after = digest(second)
    if with_file:
        with start(config, Log()) as started, clone(started) as vm:
            assert digest(vm) == after


def test_a_new_start_that_changes_what_state_depends_on_begins_anew_if_it_may():
    with start(configure(), Log()) as old, clone(old) as vm:
        fresh = digest(vm)
        text(vm, "good/1=2")
        other = configure(environment=["A=b"])
        with pytest.raises(ProgramError, match="its storage would be lost"):
            start(other, Log(), old=pack(old))
        other = configure(environment=["A=b"], live_update="fresh")
        with start(other, Log(), old=pack(old)) as new, clone(new) as its:
            assert digest(its) == fresh
            assert digest(vm) != fresh
