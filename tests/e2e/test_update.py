"""Live update: another build of a program takes over while everything is served."""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest
from support.client import Raw, wait_until
from support.guests import PRELUDE, compile_guest
from support.processes import with_descendants
from support.programs import COUNT, GATE, HELLO, enter
from support.server import Server, skerry, write_config
from support.updates import Crowd, build

from skerry.supervise import door
from skerry.supervise.reloaded import Reloaded

CRASH = "*(volatile int *)0;"


class Site:
    """A server of programs that change, with two workers."""

    def __init__(self, directory: Path, **programs) -> None:
        self.directory = directory
        self.server = Server(write_config(directory, programs), workers=2)

    @property
    def place(self):
        return f"127.0.0.1:{self.server.port}"

    def reload(self, is_good=True, **programs):
        """Serves these instead; what skerry reload is told of each, by name."""
        write_config(self.directory, programs)
        said = msgspec.json.decode(door.ask(self.place, door.RELOAD), type=Reloaded)
        assert said.is_good == is_good, said
        return {each.name: each for each in said.programs}

    def ask(self, path="/one"):
        return self.server.get(path).body.decode()


@pytest.fixture
def site(tmp_path):
    """site(name={...}, ...): a Site of these programs."""
    made = []

    def start(**programs):
        made.append(Site(tmp_path, **programs))
        return made[-1]

    yield start
    for each in made:
        assert each.server.stop() == 0
        assert "Traceback" not in each.server.log


def one(*arguments, **keys):
    """A program "one" of a build, with further keys."""
    return {"one": {"storage": True, "source": build(*arguments), **keys}}


def test_a_dynamically_linked_build_takes_over_and_is_followed(site):
    made = site(**one(0))
    assert made.ask() == "0 1"
    for version in (1, 2):
        program = compile_guest(PRELUDE + build(version), flags=())
        said = made.reload(one={"storage": True, "filename": str(program)})
        assert said["one"].outcome == "changed"
        assert made.ask() == f"{version} {version + 1}"


def test_twenty_updates_under_load_fail_no_request_and_lose_no_count(site):
    made = site(**one(0))
    crowd = Crowd(made.server, "/one", clients=4)
    with crowd.asking():
        for version in range(1, 21):
            said = made.reload(**one(version))
            assert said["one"].outcome == "changed"
    assert not crowd.failures
    assert {each.status for each in crowd.answers} == {200}
    found = [tuple(map(int, each.body.split())) for each in crowd.answers]
    assert {version for version, _ in found} == set(range(21))
    counts = sorted(count for _, count in found)
    assert counts == list(range(1, len(counts) + 1))
    assert made.ask() == f"20 {len(counts) + 1}"


def test_only_what_has_changed_is_replaced(site):
    made = site(stays=COUNT, **one(1))
    assert made.ask("/stays") == "0"
    said = made.reload(stays=COUNT, **one(2))
    assert said["stays"].outcome == "as before"
    assert said["one"].outcome == "changed"
    assert made.ask("/stays") == "1"
    assert made.ask() == "2 1"


def test_what_is_in_flight_is_answered_by_the_build_that_began_it(site):
    made = site(gate=GATE)
    again = GATE | {"source": "/* another build */" + GATE["source"]}
    with Raw(made.server.port) as slow:
        enter(slow, made.server)
        made.reload(gate=again)
        assert slow.is_silent()
        assert made.ask("/gate/open") == "done"
        assert slow.answer().body == b"through"


# --- What cannot be done leaves all as it was ---


def fails(made, step, reason, **program):
    """An update to (program) fails so; what served serves on, and counts on."""
    version, count = made.ask().split()
    said = made.reload(False, one={"storage": True} | program)["one"]
    assert (said.outcome, said.step) == ("failed", step)
    assert reason in said.reason
    assert made.ask() == f"{version} {int(count) + 1}"


def test_a_build_that_does_not_take_over_leaves_the_old_one_and_says_why(site):
    made = site(**one(1))
    fails(made, "start-up", "page fault", source=f"START {{ {CRASH} }} HANDLE {{}}")
    small = build(2, enter="storage_return(&count, len - 1);")
    fails(made, "on_live_restore", "a buffer of 3 bytes for 4", source=small)
    fails(made, "live update", "no on_live_restore", source=build(2, enter=""))
    (program,) = made.server.status()["programs"]
    assert "no on_live_restore" in program["reason"]
    assert made.reload(**one(3))["one"].outcome == "changed"
    assert made.ask() == "3 7"


@pytest.mark.parametrize(
    ("leave", "step", "reason"),
    [
        (CRASH, "on_live_update", "page fault"),
        ("return;", "on_live_update", "it handed nothing over"),
        ("", "live update", "no on_live_update"),
    ],
)
def test_a_build_that_does_not_hand_over_serves_on(site, leave, step, reason):
    made = site(**one(1, leave))
    fails(made, step, reason, source=build(2))


def test_a_file_that_is_no_program_leaves_the_old_build(site, tmp_path):
    made = site(**one(1))
    other = tmp_path / "no-program"
    other.write_text("#!/bin/sh\n")
    fails(made, "load", "not an ELF file", filename=str(other))


def test_a_bad_configuration_is_exit_status_1_with_all_its_problems(site, tmp_path):
    made = site(hello=HELLO)
    (tmp_path / "programs.json").write_text('{"bad": {"filename": "x", "memry": 5}}')
    done = skerry("reload", "--listen", made.place)
    assert done.returncode == 1
    said = done.stdout.decode()
    assert ": bad.filename: " in said
    assert ": bad.memry: " in said
    assert made.ask("/hello") == "Hello World!"


def test_reload_prints_a_line_for_each_program(site, tmp_path):
    made = site(hello=HELLO, gone=HELLO)
    write_config(tmp_path, {"hello": HELLO, "count": COUNT})
    done = skerry("reload", "--listen", made.place)
    assert done.returncode == 0
    assert done.stdout.decode().splitlines() == [
        "hello: as before",
        "count: new",
        "gone: removed",
    ]


def test_reload_where_nobody_serves_says_so():
    done = skerry("reload", "--listen", "127.0.0.1:1")
    assert done.returncode == 1
    assert b"no skerry serves 127.0.0.1:1" in done.stderr


def test_whenever_the_boot_process_dies_one_of_the_builds_has_all_counts(site):
    made = site(**one(0))
    for version in range(1, 6):
        write_config(made.directory, one(version))
        made.server.forget()
        made.server.process.send_signal(signal.SIGHUP)
        wait_until(lambda: made.server.all_of("skerry.booter"))
        (booter,) = made.server.all_of("skerry.booter")
        time.sleep(0.1 * version)
        with suppress(ProcessLookupError):  # it had done its work
            os.kill(booter, signal.SIGKILL)
        made.server.wait_for("configuration loaded again")
        assert made.ask().split()[1] == str(version)


# --- Storage that begins anew, and storage that is kept in a file ---


def test_storage_that_is_not_handed_over_may_begin_anew(site):
    made = site(**one(1, ""))
    assert made.ask() == "1 1"
    said = made.reload(**one(2, live_update="fresh"))
    assert said["one"].outcome == "changed"
    assert made.ask() == "2 1"


def restart(made):
    """Another host, after the first was killed with all its processes."""
    pids = with_descendants(made.server.process.pid)
    made.server.stop(signal.SIGKILL)
    wait_until(lambda: not any(Path(f"/proc/{each}").exists() for each in pids))
    made.server = Server(made.directory / "programs.json", workers=2)


def test_a_storage_file_goes_over_to_the_new_build(site, tmp_path):
    file = tmp_path / "kept"
    made = site(**one(1, storage_file=str(file)))
    assert made.ask() == "1 1"
    made.reload(**one(2, storage_file=str(file)))
    assert made.ask() == "2 2"
    restart(made)
    assert made.ask() == "2 3"
    assert {each.name for each in tmp_path.glob("kept*")} == {"kept"}


@pytest.mark.parametrize("delay", [0.0, 0.3, 0.6, 0.9])
def test_whenever_all_is_killed_one_build_has_the_whole_state(site, tmp_path, delay):
    kept = {"storage_file": str(tmp_path / "kept")}
    made = site(**one(1, **kept))
    assert [made.ask() for _ in range(3)] == ["1 1", "1 2", "1 3"]
    write_config(tmp_path, one(2, **kept))
    made.server.process.send_signal(signal.SIGHUP)
    wait_until(lambda: made.server.all_of("skerry.booter"))
    time.sleep(delay)
    restart(made)
    (program,) = made.server.status()["programs"]
    if program["state"] == "failed":  # the file is still the old build's
        write_config(tmp_path, one(1, **kept))
        restart(made)
    assert made.ask() in ("1 4", "2 4")


def test_an_update_that_fails_leaves_the_storage_file_to_the_old_build(site, tmp_path):
    kept = {"storage_file": str(tmp_path / "kept")}
    made = site(**one(1, **kept))
    assert made.ask() == "1 1"
    made.reload(False, one=one(2)["one"] | kept | {"source": build(2, enter=CRASH)})
    assert made.ask() == "1 2"
    write_config(tmp_path, one(1, **kept))
    restart(made)
    assert made.ask() == "1 3"
    assert {each.name for each in tmp_path.glob("kept*")} == {"kept"}


def test_a_storage_file_that_begins_anew_keeps_the_old_one_beside_it(site, tmp_path):
    kept = {"storage_file": str(tmp_path / "kept")}
    made = site(**one(1, "", **kept))
    assert made.ask() == "1 1"
    made.reload(**one(2, **kept, live_update="fresh"))
    assert made.ask() == "2 1"
    os.replace(tmp_path / "kept.old", tmp_path / "kept")
    write_config(tmp_path, one(1, "", **kept))
    restart(made)
    assert made.ask() == "1 2"


def test_a_change_that_storage_does_not_depend_on_leaves_its_file_alone(site, tmp_path):
    kept = {"storage_file": str(tmp_path / "kept")}
    made = site(**one(1, **kept))
    assert made.ask() == "1 1"
    made.reload(**one(1, **kept, concurrency=3))
    assert made.ask() == "1 2"
    assert {each.name for each in tmp_path.glob("kept*")} == {"kept"}


# --- Shared memory ---


def test_shared_memory_lives_on_unless_its_size_changes(site):
    made = site(count=COUNT)
    assert [made.ask("/count") for _ in range(2)] == ["0", "1"]
    other = COUNT | {"source": "/* another build */" + COUNT["source"]}
    made.reload(count=other)
    assert made.ask("/count") == "2"
    made.reload(count=other | {"shared_memory": 4})
    assert made.ask("/count") == "0"
    assert "[count] shared memory begins anew, as shared_memory is 4 MB" in (
        made.server.log
    )
