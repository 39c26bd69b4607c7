"""The native core as Python sees it: owners, errors, clones, batches."""

import gc

import pytest
from support import leaks
from support.guests import PRELUDE, compile_guest
from support.programs import HELLO, TROUBLE

from skerry import native
from skerry.message import Request
from skerry.native import BATCH, NativeError, Stream

MB = 1 << 20
# /big answers more than fits into a clone's place for answers, /own brings a Date and
# a Server of its own; /print prints.
TALKS = r"""
#include <string.h>
static char big[100000];
START { memset(big, 'b', sizeof big); }
HANDLE {
    if (strstr(url, "/big"))
        backend_response(200, "text/plain", 10, big, sizeof big);
    if (strstr(url, "/own")) {
        http_append_str(RESPONSE, "Date: today");
        http_append_str(RESPONSE, "Server: mine");
    }
    if (strstr(url, "/print")) {
        printf("one\ntwo\n");
        fflush(stdout);
        fprintf(stderr, "three\n");
        sys_log("four", 4);
    }
    reply("%s", url);
}
"""


def options(source, **changed):
    values = {
        "name": "test",
        "elf": compile_guest(PRELUDE + source).read_bytes(),
        "argv": ["test"],
        "environment": [],
        "max_memory": 64 * MB,
        "max_request_memory": 32 * MB,
        "max_boot_time": 10.0,
    }
    return native.BootOptions(**values | changed)


@pytest.fixture
def console():
    with native.Console() as made:
        yield made


@pytest.fixture
def clone(console):
    """clone(source, inline=seconds): a clone of a program that has started."""
    held = []

    def make(source, inline=0.0, limit=10.0):
        snapshot = native.boot(options(source), console)
        vm = native.Vm(snapshot, console, limit, inline)
        held.extend((vm, snapshot))
        return vm

    yield make
    for each in held:
        each.close()


def get(target):
    return Request(b"GET", target.encode(), b"", b"Host: a\r\n")


def descriptors():
    gc.collect()
    return len(leaks.descriptors())


def test_an_error_has_its_step_its_reason_and_its_number(console):
    with pytest.raises(NativeError) as raised:
        native.boot(options(HELLO["source"], elf=b"no program"), console)
    error = raised.value
    assert (error.step, error.reason) == ("load", "not an ELF file")
    assert error.code > 0
    assert str(error) == "load: not an ELF file"


@pytest.mark.parametrize("size", [0, 1, 3 * MB, 1 << 62])
def test_shared_memory_of_an_odd_size_is_an_error(size):
    with pytest.raises(NativeError):
        native.SharedMemory(size)


@pytest.mark.parametrize(
    "changed",
    [
        {"elf": b""},
        {"max_memory": 4 * MB},
        {"max_memory": 64 * MB + 1},
        {"max_memory": 1 << 50},
        {"argv": ["x" * 100] * 100_000},
    ],
)
def test_options_that_cannot_be_are_errors_and_leave_nothing(console, changed):
    before = descriptors()
    with pytest.raises(NativeError):
        native.boot(options(HELLO["source"], **changed), console)
    assert descriptors() == before


def test_closing_again_is_no_error(console):
    snapshot = native.boot(options(HELLO["source"]), console)
    vm = native.Vm(snapshot, console, 10.0)
    for each in (vm, vm, snapshot, snapshot):
        each.close()


def test_what_others_use_lives_on_after_its_owner_has_closed_it(console):
    before = descriptors()
    shared = native.SharedMemory(2 * MB)
    snapshot = native.boot(options(HELLO["source"]), console, shared)
    shared.close()
    vm = native.Vm(snapshot, console, 10.0)
    snapshot.close()
    assert vm.serve(get("/")).body == b"Hello World!"
    vm.close()
    assert descriptors() == before


def test_what_nobody_holds_is_given_back_without_closing(console):
    def use():
        snapshot = native.boot(options(HELLO["source"]), console)
        native.Vm(snapshot, console, 10.0).serve(get("/"))

    before = descriptors()
    use()
    assert descriptors() == before


def test_an_answer_is_its_status_its_lines_and_its_body(clone):
    response = clone(TALKS).serve(get("/x"))
    assert (response.status, response.body) == (200, b"/x")
    assert response.head == b"Content-Type: text/plain\r\n"
    assert response.rest == response.head + b"Content-Length: 2\r\n\r\n/x"
    assert response.has == 0


def test_an_answer_tells_which_lines_of_the_server_it_has(clone):
    response = clone(TALKS).serve(get("/own"))
    assert response.has == response.HAS_DATE | response.HAS_SERVER


def test_large_answers_come_whole_and_the_clone_serves_on(clone):
    vm = clone(TALKS)
    for _ in range(2):
        assert vm.serve(get("/big")).body == b"b" * 100_000
        assert not vm.discard
        assert vm.serve(get("/x")).body == b"/x"


def test_a_batch_is_answered_in_order(clone):
    targets = [f"/{i}" for i in range(BATCH)]
    answers = clone(TALKS).serve_batch([get(target) for target in targets])
    assert [each.body.decode() for each in answers] == targets


def test_a_batch_ends_at_a_large_answer(clone):
    vm = clone(TALKS)
    answers = vm.serve_batch([get(target) for target in ("/a", "/big", "/b")])
    assert [each.body for each in answers] == [b"/a", b"b" * 100_000]
    assert not vm.discard
    assert vm.serve(get("/b")).body == b"/b"


@pytest.mark.parametrize("target", ["/crash", "/mute"])
def test_a_batch_ends_at_a_request_that_fails(clone, target):
    vm = clone(TROUBLE["source"])
    answers = vm.serve_batch([get(each) for each in ("/a", "/b", target, "/c")])
    assert [each.status for each in answers] == [200, 200, 500]
    assert vm.rare
    assert (vm.failed, vm.discard, vm.busy) == (True, True, False)
    assert vm.reason


def test_a_request_that_outlasts_the_inline_time_is_resumed(clone):
    vm = clone(TROUBLE["source"], inline=0.001, limit=0.2)
    answers = vm.serve_batch([get(each) for each in ("/loop", "/a")])
    assert answers == []
    assert vm.rare
    assert vm.busy
    response = vm.resume()
    assert (response.status, vm.busy, vm.failed) == (500, False, True)
    assert vm.reason == "time limit reached"


def test_a_request_after_others_in_a_batch_is_resumed_too(clone):
    vm = clone(TROUBLE["source"], inline=5.0, limit=0.2)
    answers = vm.serve_batch([get(each) for each in ("/a", "/loop", "/b")])
    statuses = [each.status for each in answers]
    if vm.busy:
        statuses.append(vm.resume().status)
    assert statuses == [200, 500]
    assert vm.reason == "time limit reached"


def test_a_request_without_trouble_has_no_reason(clone):
    vm = clone(TROUBLE["source"])
    vm.serve(get("/a"))
    assert (vm.reason, vm.rare) == ("", 0)


def test_a_console_has_the_lines_of_a_program_in_order(clone, console):
    vm = clone(TALKS)
    vm.serve(get("/print"))
    assert vm.rare
    assert vm.has_lines
    assert console.take() == [
        (Stream.STDOUT, "one"),
        (Stream.STDOUT, "two"),
        (Stream.STDERR, "three"),
        (Stream.LOG, "four"),
    ]
    assert console.take() == []


def test_a_body_may_have_as_many_bytes_as_the_limit_says(console):
    with native.boot(options(HELLO["source"]), console) as snapshot:
        limit = snapshot.body_limit
        assert limit >= MB
        with native.Vm(snapshot, console, 10.0) as vm:
            for size, status in ((limit, 200), (limit + 1, 500)):
                request = Request(b"POST", b"/", b"", b"", b"text/plain", bytes(size))
                assert vm.serve(request).status == status


def test_the_probe_finds_the_same_each_time():
    first, second = native.probe(), native.probe()
    assert first == second
    assert first.reset_holds
    assert first.sync_regs == 7
    assert first.dirty_ring >= 65536
    assert first.exit_ns > 0
