"""Regular expressions, by number and by the header's functions."""

import pytest

from skerry.message import Request
from skerry.native import Snapshot, Vm

pytestmark = pytest.mark.core

EINVAL, E2BIG, ENOSPC = -22, -7, -28

# By the header's functions, or, with -DBY_NUMBER, by the numbers of the table.
CALLS = r"""
#ifdef BY_NUMBER
#define CALL(...) CALL_(__VA_ARGS__, 0, 0, 0, 0, 0)
#define CALL_(nr, a, b, c, d, e, f, ...) kvm_api_call6(nr, (uint64_t)(a), \
    (uint64_t)(b), (uint64_t)(c), (uint64_t)(d), (uint64_t)(e), (uint64_t)(f))
#define compile(text, len) CALL(0x10030, text, len)
#define release(handle) CALL(0x10031, handle)
#define match(handle, text, len) CALL(0x10032, handle, text, len)
#define subst(...) CALL(0x10033, __VA_ARGS__)
#define copyto(handle, from, to) CALL(0x10035, handle, from, to)
#else
#define compile sys_regex_compile
#define release sys_regex_free
#define match sys_regex_match
#define subst sys_regex_subst
#define copyto sys_regex_copyto
#endif
#define COMPILE(text) compile(text, strlen(text))
#define MATCH(handle, text) match(handle, text, strlen(text))
"""


@pytest.fixture(params=["c by number", "c", "c++ by number", "c++"])
def program(request, guest):
    """program(source): a guest whose calls are made in each way in turn."""
    flags = ["-static"] + ["-DBY_NUMBER"] * ("number" in request.param)
    compiler = "g++" if "++" in request.param else "gcc"

    def start(source: str, **options):
        return guest(CALLS + source, compiler=compiler, flags=tuple(flags), **options)

    return start


# --- Matching ---

MATCHES = r"""
static long user, broken;
START { user = COMPILE("user=([a-z]+)(;)?"); broken = COMPILE("(unclosed"); }
HANDLE {
    reply("%d %ld %ld %ld %d", user > 0, MATCH(user, "a user=fred"),
          MATCH(user, "user=fred;"), MATCH(user, "user="), broken < 0);
}
"""


def test_a_handle_made_at_start_up_matches_in_every_request(program):
    vm = program(MATCHES)
    assert [vm.text() for _ in range(3)] == ["1 2 3 -1 1"] * 3


def test_start_up_says_why_a_pattern_is_refused(program):
    vm = program(MATCHES)
    text = [line for _, line in vm.lines()]
    assert text == ["regex_compile: missing closing parenthesis at offset 9"]


def test_the_same_handle_matches_in_another_process(program):
    """... whose snapshot is made of the bytes and the memory that export() gives."""
    vm = program(MATCHES)
    data, fd = vm.snapshot.export()
    request = Request(b"GET", b"/", b"", b"", b"", b"")
    import os

    with (
        Snapshot.attach(data, os.dup(fd), None) as other,
        Vm(other, vm.console, 10.0, hold=True) as clone,
    ):
        assert clone.serve(request).body == b"1 2 3 -1 1"
