"""System calls answer as Linux does, call by call: the same program runs natively under
ptrace and in a guest; the calls, their results and what they leave in memory are the
same, but for what a table says, with a reason."""

import json
import re
import subprocess
from functools import cache

import pytest
from core import test_descriptors, test_futex, test_questions
from support.client import LONG
from support.documents import ROOT
from support.guests import compile_guest
from support.pthreads import FLAGS
from support.server import SKERRY

from skerry.native.syscalls import Status, syscalls
from skerry.tracing.names import RESTARTS

PROGRAMS = ROOT / "tests" / "oracle"
NAMES = sorted(path.stem for path in PROGRAMS.glob("*.c"))
WHOLE = "512"  # bytes of a buffer that are compared

# Programs whose calls are compared by their own tests, with the compiler's flags.
BY_LINES = (
    (test_descriptors.PROGRAM, ("-static",)),
    (test_questions.PROGRAM, ("-static",)),
    (test_futex.PROGRAM, FLAGS),
)

# Calls whose result or memory is another, not whether they succeed; and why.
DIFFERS = {
    "getpid": "a guest is process 1",
    "gettid": "and its thread is 1",
    "getppid": "nobody has started it",
    "getuid": "it is root, whoever starts it",
    "geteuid": "likewise",
    "getgid": "likewise",
    "getegid": "likewise",
    "getpgrp": "its group is 1",
    "getpgid": "likewise",
    "getsid": "and its session is 1",
    "getgroups": "it is in no other",
    "set_tid_address": "it answers as gettid",
    "uname": "the host's name is not the guest's to know",
    "getrandom": "no two answers are the same",
    "gettimeofday": "time goes on",
    "time": "time goes on",
    "alarm": "time goes on",
    "clone": "threads have other numbers",
    "getitimer": "time goes on",
    "membarrier": "a kernel may know more commands",
    "getrusage": "time goes on",
    "times": "time goes on",
    "sched_getaffinity": "a guest has one CPU",
    "sched_rr_get_interval": "an interval is the scheduler's own",
}

# Arguments that are numbers of the process and of its threads.
NUMBERS = {
    "get_robust_list": 1,
    "kill": 1,
    "rt_sigqueueinfo": 1,
    "rt_tgsigqueueinfo": 2,
    "tgkill": 2,
    "tkill": 1,
}

# Natively, of a call that a signal has ended; what the program sees comes behind it.
INTERRUPTED = {"EINTR", *RESTARTS.values()}


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    """build(name): the program, compiled."""
    directory = tmp_path_factory.mktemp("oracle")

    @cache
    def compiled(name):
        program, source = directory / name, PROGRAMS / f"{name}.c"
        subprocess.run(
            ["gcc", "-static", "-O1", "-w", "-o", program, source], check=True
        )
        return program

    return compiled


def fill(directory):
    """What programs find, natively and in a guest alike."""
    subprocess.run(["rm", "-rf", directory], check=True)
    (directory / "sub").mkdir(parents=True)
    (directory / "one").write_bytes(b"first line\nsecond line\n")
    (directory / "sub" / "two").write_bytes(b"2")
    (directory / "link").symlink_to("one")
    (directory / "turn").symlink_to("sub")
    return directory


def run(command, status):
    done = subprocess.run(
        [SKERRY, *command], stdin=subprocess.DEVNULL, capture_output=True, timeout=LONG
    )
    assert done.returncode == status, done.stderr.decode()
    return done.stdout


def told(call, names):
    """(call) as one line, without what two machines cannot have in common."""
    name, error, result = call["name"], call["error"], call["result"]
    if name in DIFFERS:
        return f"{name}: {error or 'done'}"
    gives_address = name in ("brk", "mmap", "mremap")
    outcome = error or ("ADDRESS" if gives_address else result)
    numbered = NUMBERS.get(name, 0)
    given = [names.get(each, each) for each in call["arguments"][:numbered]]
    arguments = ", ".join([*given, *call["arguments"][numbered:]])
    arguments = re.sub(r'\{("[^"]*"|0x[0-9a-f]+|NULL), (\d+)\}', r"{\2}", arguments)
    arguments = re.sub(r"0x[0-9a-f]{6,}", "ADDRESS", arguments)
    return f"{name}({arguments}) = {outcome if error not in INTERRUPTED else 'EINTR'}"


def is_mark(call, number):
    """See oracle.h."""
    return call["name"] == "close" and call["arguments"] == [str(number)]


def without_tries(calls):
    """As LAST_OF says."""
    kept, tries = [], None
    for call in calls:
        if is_mark(call, -778):
            tries = []
        elif is_mark(call, -779):
            kept.append(tries[-1])
            tries = None
        elif tries is None:
            kept.append(call)
        elif call["name"] not in ("rt_sigreturn", "setitimer"):
            tries.append(call)
    return kept


def compared(calls):
    """The calls from the mark on, thread by thread, in the order they were made."""
    begin = next(i for i, call in enumerate(calls) if is_mark(call, -777))
    calls = calls[begin:]
    made = [call["result"] for call in calls if call["name"] == "clone"]
    names = {str(tid): f"T{i}" for i, tid in enumerate(made) if tid > 0}
    names[str(calls[1]["result"])] = "P"
    found = {}
    for call in calls:
        found.setdefault(names[call["who"]] if call["who"] else "P", []).append(call)
    return [
        f"{who}: {told(call, names)}"
        for who in sorted(found)
        for call in without_tries(found[who])
    ]


def natively(program, place):
    file = place / "native.json"
    options = ["--json", "--cut", WHOLE, "--output", file]
    status = STATUS[program.name]
    out = run(["trace", *options, program, fill(place / "data")], status)
    return out, json.loads(file.read_text())["calls"]


def in_a_guest(program, place):
    file, data = place / "guest.json", fill(place / "data")
    options = ["--plain", "--trace-json", file, "--cut", WHOLE, "--writable", data]
    out = run(["run", *options, program, data], STATUS[program.name])
    return out, [json.loads(each) for each in file.read_text().splitlines()]


# That each program ends with.
STATUS = {"files": 0, "self": 7, "signals": 0, "threads": 0, "memory": 0, "waits": 0}


@pytest.mark.parametrize("name", NAMES)
def test_a_guest_gets_the_answers_of_linux_call_by_call(build, tmp_path, name):
    output, calls = natively(build(name), tmp_path)
    guest_output, guest_calls = in_a_guest(build(name), tmp_path)
    assert compared(guest_calls) == compared(calls)
    assert guest_output == output


def shown(program, flags):
    """The calls that (program) shows with their results, as it runs on this Linux."""
    done = subprocess.run(
        [
            "/bin/sh",
            "-c",
            'ulimit -n 64; exec "$0"',
            compile_guest(program, "gcc", flags),
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
        timeout=LONG,
    )
    return {line.partition("(")[0] for line in done.stdout.decode().splitlines()}


def test_every_call_that_is_said_to_be_full_is_compared(build, tmp_path):
    """... here, or line by line in a test that runs its program on Linux too."""
    made = {
        call["name"] for name in NAMES for call in natively(build(name), tmp_path)[1]
    }
    full = {each.name for each in syscalls().values() if each.status is Status.FULL}
    elsewhere = set().union(*(shown(*program) for program in BY_LINES))
    assert full - made - elsewhere == set(), "call them in a program of tests/oracle"
    assert set(DIFFERS) <= made, "a difference that no program shows"
