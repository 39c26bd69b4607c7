"""Served programs that do all that the hostile programs of the core's tests do, in two
workers that end with any system call that the jail refuses: nothing is left."""

import os
import re
import time
from pathlib import Path

from support import hostile
from support.attacks import descriptors, memory, signals, threads
from support.client import LONG, crowd
from support.server import Server, write_config

SUBJECTS = {"descriptors": descriptors, "memory": memory, "signals": signals}
SUBJECTS["threads"] = threads
NEIGHBOUR = {"source": 'START {} HANDLE { reply("hello"); }', "concurrency": 1}
# A worker opens a storage when it is first called there.
STORAGE_FILES, STORAGE_MAPPINGS = 2, 3
SLACK_KB = 24 << 10  # of resident memory: stacks and buffers that a worker keeps


def hostile_program(subject: str) -> dict[str, object]:
    attacks, ways = SUBJECTS[subject].ATTACKS, SUBJECTS[subject].WAYS
    text = hostile.source(attacks, ways)
    return {
        "filename": str(hostile.made(text)),
        "storage": True,
        "concurrency": 1,
        "max_request_time": 2.0,
    }


def held(worker: int) -> tuple[int, int, int]:
    """Its descriptors, its mappings of guests, and memory of its own in KB: what all
    workers share is the storages', which keep what was written there."""
    process = Path(f"/proc/{worker}")
    maps = (process / "maps").read_text()
    resident = (process / "status").read_text().partition("RssAnon:")[2].split()[0]
    guests = maps.count("/memfd:") + maps.count("anon_inode:")
    return len(os.listdir(process / "fd")), guests, int(resident)


def settled(server: Server) -> dict[int, tuple[int, int, int]]:
    """What each worker holds, once that does not change any more."""
    before, now = None, {each: held(each) for each in server.workers}
    while before != now:
        crowd(server.port, [f"/{each}/s/nothing" for each in SUBJECTS], 8)
        time.sleep(0.3)
        before, now = now, {each: held(each) for each in server.workers}
    return now


def attack_all(server: Server) -> None:
    """Every attack, in requests and in storage; meanwhile the neighbour answers."""
    for subject, module in SUBJECTS.items():
        for way, reason in module.WAYS.items():
            for place in "rs":
                paths = [f"/{subject}/{place}/{way}", "/neighbour"]
                hostile_one, neighbour = crowd(server.port, paths, 1)
                fails = place == "r" and not re.search(reason, "")
                assert hostile_one.status in ((500,) if fails else (200, 500)), paths
                assert neighbour.body == b"hello", paths


def is_back_to(server: Server, before: dict[int, tuple[int, int, int]]) -> bool:
    end = time.monotonic() + LONG / 4
    while time.monotonic() < end:
        now = settled(server)
        if now.keys() == before.keys() and all(
            files <= before[each][0] + STORAGE_FILES * len(SUBJECTS)
            and guests <= before[each][1] + STORAGE_MAPPINGS * len(SUBJECTS)
            and resident <= before[each][2] + SLACK_KB
            for each, (files, guests, resident) in now.items()
        ):
            return True
    print(f"before: {before}\nafter: {now}")
    return False


def test_all_attacks_on_two_workers_leave_nothing_behind(tmp_path):
    programs = {each: hostile_program(each) for each in SUBJECTS}
    file = write_config(tmp_path, programs | {"neighbour": NEIGHBOUR})
    with Server(file, workers=2) as server:
        crowd(server.port, [f"/{each}/s/nothing" for each in SUBJECTS] * 2, 8)
        before = settled(server)
        attack_all(server)
        assert is_back_to(server, before)
        assert server.stop() == 0
        assert "Traceback" not in server.log
