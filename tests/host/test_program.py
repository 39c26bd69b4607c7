"""A configured program, started: real guests behind a program's own interface."""

import asyncio
import contextlib
import dataclasses
import gc
import io
import os
import resource
import threading
from pathlib import Path

import pytest
from support.asking import LONG, Client
from support.client import wait_until
from support.guests import PRELUDE, compile_guest
from support.leaks import descriptors
from support.programs import GATE, HELLO, TROUBLE

from skerry.alone import Alone
from skerry.config import defaults
from skerry.counts import Counts
from skerry.errors import ProgramError
from skerry.log import Log
from skerry.message import Request
from skerry.native import BATCH, Vm
from skerry.options import arguments, environment
from skerry.program import Program
from skerry.start import start as boot

FAILED = (500, b"500 the program failed\n")


def configured(name, source, **keys):
    path = compile_guest(PRELUDE + source)
    return dataclasses.replace(defaults(name, path), **keys)


@pytest.fixture
def start():
    """start(keys of a program, more of them): it, started; its log is in .said."""
    started = []

    def make(keys, **more):
        out = io.StringIO()
        log = Log(out)
        program = Program(boot(configured("test", **keys | more), log), log)
        program.said = out.getvalue
        started.append(program)
        return program

    yield make
    for each in started:
        each.close()


def told(program, *stories):
    """What (stories), async functions of the program, return; all at the same time."""

    async def tell():
        answers = await asyncio.gather(*(story(program) for story in stories))
        while not program.is_idle:
            await asyncio.sleep(0)
        return answers

    return asyncio.run(tell())


def get(target):
    """A story: one GET."""

    async def story(program):
        return await Client(program, target).answer()

    return story


@pytest.fixture
def config():
    return dataclasses.replace(defaults("name", Path("/file")), group="team")


def test_arguments_are_the_name_a_state_file_and_the_kind(config):
    assert arguments(config, "storage") == ["name", "state", "storage"]


def test_arguments_that_are_configured_replace_all_but_the_name(config):
    for given in ((), ("a", "b c")):
        changed = dataclasses.replace(config, main_arguments=given)
        assert arguments(changed, "request") == ["name", *given]


def test_the_environment_is_ours_then_what_is_configured(config):
    changed = dataclasses.replace(config, environment=("A=1", "USER=me"))
    assert environment(changed, "request") == [
        "KVM_NAME=name",
        "KVM_GROUP=team",
        "KVM_TYPE=request",
        "KVM_STATE=state",
        "KVM_DEBUG=0",
        "LC_ALL=C",
        "USER=root",
        "A=1",
        "USER=me",
    ]


def test_allow_debug_is_told_in_the_environment(config):
    changed = dataclasses.replace(config, allow_debug=True)
    assert "KVM_DEBUG=1" in environment(changed, "request")
    assert "KVM_DEBUG=1" in environment(changed, "storage")


@pytest.mark.parametrize(
    ("content", "step", "reason"),
    [
        (None, "read", "No such file or directory"),
        (b"", "load", ""),
        (b"#!/bin/sh\n", "load", "not an ELF file"),
    ],
)
def test_a_file_that_is_no_program_is_an_error_with_step_and_reason(
    tmp_path, content, step, reason
):
    path = tmp_path / "program"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ProgramError) as error:
        boot(defaults("test", path), Log(io.StringIO()))
    assert (error.value.name, error.value.step) == ("test", step)
    assert reason in error.value.reason


def test_a_program_that_does_not_start_has_printed_and_leaves_nothing(start):
    source = """
    #include <stdlib.h>
    START { puts("my last words"); fflush(stdout); abort(); } HANDLE {}
    """

    def fail():
        out = io.StringIO()
        keys = {"storage": True, "shared_memory": 2}
        with pytest.raises(ProgramError) as error:
            boot(configured("test", source, **keys), Log(out))
        assert error.value.step == "start-up"
        assert ">>> [test] my last words\n" in out.getvalue()
        gc.collect()
        return len(descriptors())

    first = fail()
    assert [fail() for _ in range(3)] == [first] * 3


def test_starting_takes_time_which_is_told(start):
    assert 0 < start(HELLO).started.ready_ms < LONG * 1000


def test_a_request_is_answered(start):
    assert told(start(HELLO), get("/")) == [(200, b"Hello World!")]


def test_requests_of_one_moment_get_their_own_answers_in_batches(start):
    program = start({"source": 'START {} HANDLE { reply("%s", url); }'})
    targets = [f"/{i}" for i in range(3 * BATCH + 1)]
    answers = told(program, *map(get, targets))
    assert answers == [(200, target.encode()) for target in targets]


ORDER = r"""
#include <string.h>
static int *next;
static char big[100000];
START { next = SHM_ALLOC_TYPE(int); }
HANDLE {
    if (strstr(url, "/big"))
        backend_response(200, "text/plain", 10, big, sizeof big);
    reply("%d", (*next)++);
}
"""


def test_requests_have_their_turn_in_the_order_in_which_they_came(start):
    """A large answer ends a batch: what is left of it goes before what came later."""
    program = start({"source": ORDER, "shared_memory": 2, "concurrency": 1})
    answers = told(program, get("/big"), *[get("/")] * 2 * BATCH)
    order = [int(body) for _, body in answers[1:]]
    assert order == list(range(2 * BATCH))


def test_a_failed_request_in_a_batch_fails_alone_and_is_logged(start):
    program = start(TROUBLE)
    targets = ["/", "/crash", "/", "/mute", "/loop", "/"] * 2
    answers = told(program, *map(get, targets))
    assert answers == [(200, b"fine") if t == "/" else FAILED for t in targets]
    said = program.said()
    for reason in ("page fault reading 0x0", "without a response", "time limit"):
        assert len([s for s in said.splitlines() if reason in s]) == 2
    assert all(line.startswith("[test] request failed: ") for line in said.splitlines())


def test_slow_requests_run_next_to_each_other_and_to_quick_ones(start):
    async def story(program):
        slow = [Client(program, "/pass") for _ in range(3)]
        async with asyncio.timeout(LONG):
            while await Client(program, "/inside").answer() != (200, b"3"):
                pass
        assert await Client(program, "/open").answer() == (200, b"done")
        return [await each.answer() for each in slow]

    program = start(GATE, concurrency=4)
    assert told(program, story) == [[(200, b"through")] * 3]


def test_a_request_beyond_the_concurrency_that_waits_in_vain_is_a_503(start):
    async def story(program):
        clients = [Client(program, "/loop") for _ in range(4)]
        return [await each.answer() for each in clients]

    program = start(TROUBLE, concurrency=1, max_request_time=0.5)
    (answers,) = told(program, story)
    assert {status for status, _ in answers} == {500, 503}
    assert told(program, get("/")) == [(200, b"fine")]


async def hold(program, count):
    """(count) clients whose requests stay in the gate, each with its clone."""
    clients = [Client(program, "/pass") for _ in range(count)]
    async with asyncio.timeout(LONG):
        while program.counts().clones_busy < count:
            await asyncio.sleep(0)
    return clients


def open_gate(program):
    """Not by the program's own pool, whose clones are all held."""
    at = program.started
    with Vm(at.snapshot, at.console, LONG) as vm:
        request = Request(b"GET", b"/open", b"", b"Host: a\r\n")
        assert vm.serve(request).body == b"done"


def test_the_queue_is_bounded_and_who_is_in_it_is_served(start):
    async def story(program):
        held = await hold(program, 2)
        clients = [Client(program, "/pass") for _ in range(5)]
        refused = [await each.answer() for each in clients[3:]]
        counts = program.counts()
        assert (counts.waiting, counts.refused, counts.requests) == (3, 2, 0)
        open_gate(program)
        return refused, [await each.answer() for each in held + clients[:3]]

    program = start(GATE, concurrency=2, max_queue=3)
    ((refused, served),) = told(program, story)
    assert refused == [(503, b"503 too many requests wait for this program\n")] * 2
    assert served == [(200, b"through")] * 5


def test_a_client_that_leaves_while_it_waits_gives_its_place_up(start):
    async def story(program):
        held = await hold(program, 1)
        leaves = Client(program, "/pass")
        await asyncio.sleep(0)
        leaves.is_gone = True
        comes = Client(program, "/pass")
        await asyncio.sleep(0)
        open_gate(program)
        return [await each.answer() for each in [*held, comes, leaves]]

    program = start(GATE, concurrency=1, max_queue=1)
    ((*served, left),) = told(program, story)
    assert served == [(200, b"through")] * 2 and left[0] == 503


def test_a_program_whose_clones_are_all_held_delays_no_other(start):
    async def story(slow):
        held = await hold(slow, 2)
        waits = Client(slow, "/pass")
        for _ in range(200):
            assert await Client(hello, "/").answer() == (200, b"Hello World!")
        assert slow.counts().clones_busy == 2 and slow.counts().waiting == 1
        open_gate(slow)
        return [await each.answer() for each in [*held, waits]]

    hello = start(HELLO)
    assert told(start(GATE, concurrency=2), story) == [[(200, b"through")] * 3]


@contextlib.contextmanager
def descriptors_left(count):
    """Inside, this process may open so many files more."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.dup(0)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + count, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


@pytest.mark.parametrize("left", [0, 1])
def test_with_no_means_for_any_clone_requests_are_a_503_until_there_are(start, left):
    async def story(program):
        with descriptors_left(left):
            refused = [await Client(program).answer() for _ in range(20)]
        async with asyncio.timeout(LONG):
            while (answer := await Client(program).answer()) in refused:
                await asyncio.sleep(0.01)
        return refused, answer

    program = start(HELLO)
    ((refused, answer),) = told(program, story)
    text = b"503 there are no means for a machine of this program now\n"
    assert refused == [(503, text)] * 20
    assert answer == (200, b"Hello World!")
    (line,) = program.said().splitlines()
    assert line.startswith("error: program 'test': no further machine: KVM_CREATE_V")
    assert line.endswith("it has 0 of 16: lower concurrency, or give the host more")


def test_with_no_means_for_another_clone_requests_wait_for_those_that_are(start):
    async def story(program):
        held = await hold(program, 1)
        with descriptors_left(0):
            waits = [Client(program, "/pass") for _ in range(3)]
            while not program.said():
                await asyncio.sleep(0)
        assert program.counts().waiting == 3
        open_gate(program)
        return [await each.answer() for each in held + waits]

    program = start(GATE)
    assert told(program, story) == [[(200, b"through")] * 4]
    assert len(program.said().splitlines()) == 1


def machines():
    """Of this process: how many virtual CPUs KVM keeps for it, and how many threads."""
    held = Path("/proc/self/fd").iterdir()
    names = [os.readlink(each) for each in held if each.is_symlink()]
    return sum("kvm-vcpu" in name for name in names), threading.active_count()


def test_a_program_that_is_never_asked_costs_no_clone_and_no_thread(start):
    before = machines()
    quiet = start(HELLO)
    assert machines() == before
    told(quiet, get("/"))
    assert machines()[0] == before[0] + 1


def test_who_waits_for_the_first_clone_waits_for_no_other_and_is_never_refused(start):
    count = 4 * BATCH
    program = start(HELLO, max_queue=0)
    assert told(program, *[get("/")] * count) == [(200, b"Hello World!")] * count


def test_counts_tell_what_a_program_has_done_and_is_doing(start):
    async def story(program):
        (held,) = await hold(program, 1)
        assert not program.is_idle
        during = program.counts()
        open_gate(program)
        await held.answer()
        while not program.is_idle:
            await asyncio.sleep(0)
        size = program.body_limit + 1
        await Client(program, "/", bytes(size)).answer()
        return during, program.counts()

    program = start(GATE, concurrency=3)
    ((during, after),) = told(program, story)
    assert during == Counts(0, 0, 0, clones_busy=1, clones_free=0, waiting=0)
    assert after == Counts(1, 0, 1, clones_busy=0, clones_free=1, waiting=0)


def test_requests_that_fail_are_counted_as_such(start):
    program = start(TROUBLE)
    told(program, *map(get, ["/", "/crash", "/", "/mute", "/loop", "/"]))
    counts = program.counts()
    assert (counts.requests, counts.errors, counts.refused) == (6, 3, 0)


def test_a_body_that_does_not_fit_is_a_413_before_anything_runs(start):
    async def story(program):
        size = program.body_limit
        answers = [await Client(program, "/", bytes(size)).answer()]
        return [*answers, await Client(program, "/", bytes(size + 1)).answer()]

    program = start(HELLO, max_memory=16, max_request_memory=16)
    ((fits, refused),) = told(program, story)
    assert fits == (200, b"Hello World!")
    assert refused == (413, b"413 the body is too large for this program\n")
    assert program.said() == ""


PRINTS = """
START { puts("up"); fflush(stdout); }
HANDLE { puts("out"); fflush(stdout); sys_log("log", 3); *(volatile int *)0; }
"""


def test_what_a_program_prints_is_logged_in_order(start):
    program = start({"source": PRINTS})
    told(program, get("/"))
    lines = program.said().splitlines()
    assert lines[:3] == [">>> [test] up", ">>> [test] out", ">>> [test] log"]
    assert lines[3].startswith("[test] request failed: page fault")


def test_a_program_that_may_not_print_may_still_log(start):
    program = start({"source": PRINTS}, stdout=False)
    told(program, get("/"))
    lines = program.said().splitlines()
    assert lines[0] == ">>> [test] log"
    assert lines[1].startswith("[test] request failed: page fault")


def test_one_request_can_be_answered_on_the_spot(start):
    alone = Alone(start(TROUBLE).started, Log(io.StringIO()))
    for target, failed in (("/", False), ("/loop", True), ("/crash", True)):
        request = Request(b"GET", target.encode(), b"", b"Host: a\r\n")
        response, has_failed = alone.answer(request)
        assert has_failed == failed
        assert (response.status, response.body) == (
            FAILED if failed else (200, b"fine")
        )


def test_closing_gives_everything_back(start):
    def use():
        log = Log(io.StringIO())
        keys = TROUBLE | {"max_request_time": 0.2}
        program = Program(boot(configured("test", **keys, storage=True), log), log)
        told(program, *map(get, ["/", "/crash", "/loop", "/"]))
        program.close()
        gc.collect()

    def held():
        return len(descriptors())

    use()
    wait_until(lambda: "opener" not in names())  # a thread, which sees its end itself
    first = held()
    for _ in range(3):
        use()
        wait_until(lambda: held() == first)


def names():
    return [each.name for each in threading.enumerate()]
