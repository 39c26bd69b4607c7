"""What the log says of a program that fails: what happened, in which function, in whose
request, and how long it took. Every way to fail is here once."""

import re
from contextlib import ExitStack
from itertools import pairwise

import pytest
from support.guests import PRELUDE, Guest, compile_guest

from skerry.failures import describe
from skerry.message import Request
from skerry.native import NativeError, Vm
from skerry.symbols import Symbols, read_symbols

pytestmark = pytest.mark.core

SOURCE = r"""
#include <string.h>
#define APART __attribute__((noinline)) static void
static volatile int sink, zero;
static void touch(volatile int *at) { sink = *at; }
APART read_null(void) { touch((int *)8); __asm__ volatile(""); }
APART divide(void) { sink = sink / zero; __asm__ volatile(""); }
APART spin(void) { for (;;) __asm__ volatile("pause"); }
APART nap(void) { for (;;) sleep(1000); }
APART bad_call(void)
{
    kvm_api_call6(KVM_API_BACKEND_RESPONSE, 99, 0, 0, 0, 0, 0);
    __asm__ volatile("");
}
APART bad_header(void)
{
    http_append(RESPONSE, "x", 1);
    backend_response_str(200, "", "");
}
static int recurse(int n)
{
    volatile char a[4096];
    a[0] = n;
    return recurse(n + 1) + a[0];
}
APART overflow(void) { sink = recurse(0); __asm__ volatile(""); }
APART illegal(void) { __asm__ volatile("ud2"); }
static void in_storage(size_t n, struct virtbuffer *buf, size_t res)
{
    if (n)
        spin();
    read_null();
    storage_return_nothing();
}
static void not_allowed(size_t n, struct virtbuffer *buf, size_t res) {}
APART refused(void) { storage_call(not_allowed, 0, 0, 0, 0); }
APART stored(const char *url)
{
    struct virtbuffer some = {url, 1};
    if (strstr(url, "long"))
        storage_callv(in_storage, 1, &some, 0, 0);
    else
        storage_callv(in_storage, 0, 0, 0, 0);
}
#ifdef ON_ERROR
static void on_error(const char *url, const char *arg, const char *exception)
{
    if (strstr(url, "sorry"))
        reply("sorry");
    divide();
}
#endif
START
{
    STORAGE_ALLOW(in_storage);
#ifdef ON_ERROR
    set_on_error(on_error);
#endif
}
HANDLE
{
    if (strstr(url, "null")) read_null();
    if (strstr(url, "div")) divide();
    if (strstr(url, "spin")) spin();
    if (strstr(url, "nap")) nap();
    if (strstr(url, "call")) bad_call();
    if (strstr(url, "header")) bad_header();
    if (strstr(url, "overflow")) overflow();
    if (strstr(url, "illegal")) illegal();
    if (strstr(url, "refused")) refused();
    if (strstr(url, "stored")) stored(url);
    if (strstr(url, "mute")) return;
    reply("fine");
}
"""


class Reporter:
    """The program above, and what is reported of it."""

    def __init__(self, **options: object) -> None:
        flags = ("-static", *options.pop("flags", ()))
        elf = compile_guest(PRELUDE + SOURCE, flags=flags).read_bytes()
        self.symbols = Symbols(read_symbols(elf))
        self.guest = Guest(elf, limit=1.0, storage_time=1.0, storage=True, **options)

    def failed(self, url: str, body: bytes = b"") -> str:
        """The line about the request for (url), which fails."""
        made = Request(b"GET", url.encode(), b"", b"Host: test\r\n", b"", body)
        made.id_line = b"X-Request-Id: the-id\r\n"
        with self.guest.clone() as clone:
            clone.serve(made) or clone.resume()
            assert clone.rare and clone.failed
            return describe(clone.failure, self.symbols)

    def noted(self, url: str) -> str:
        """The last line of the host's own about the request for (url), with names."""
        self.guest.get(url)
        return self.symbols.explain(self.guest.lines()[-1][1])


@pytest.fixture(scope="module")
def programs():
    with ExitStack() as held:

        def start(**options) -> Reporter:
            made = Reporter(**options)
            held.enter_context(made.guest)
            return made

        yield {"plain": start(), "sorry": start(flags=("-DON_ERROR",))}


@pytest.mark.parametrize(
    ("url", "what"),
    [
        ("/null", r"page fault reading 0x8 at 0x4\w+ in read_null\+0x\w+"),
        ("/div", r"division by zero \(vector 0\) at 0x4\w+ in divide\+0x\w+"),
        ("/illegal", r"illegal instruction \(vector 6\) at 0x4\w+ in illegal\+0x\w+"),
        ("/spin", r"time limit reached in spin\+0x\w+"),
        ("/nap", r"time limit reached in (\w*nanosleep\w*|sleep|nap)\+0x\w+"),
        ("/call", r"response: .* in bad_call\+0x\w+"),
        ("/header", r".*header.* in bad_header\+0x\w+"),
        ("/overflow", r"page fault writing 0x\w+ at 0x4\w+ in recurse\+0x\w+"),
        (
            "/refused",
            r"storage call: not_allowed is not on the allow list in refused\+0x\w+",
        ),
        ("/mute", "the callback returned without a response"),
    ],
)
def test_a_failed_request_is_one_line_that_names_the_function(programs, url, what):
    said = programs["plain"].failed(url)
    rest = rf"; GET {url}; \d+\.\d ms; id the-id"
    assert re.fullmatch(f"request failed: {what}{rest}", said), said


def test_the_time_is_that_of_the_request(programs):
    said = programs["plain"].failed("/spin")
    (took,) = re.findall(r"; (\d+\.\d) ms", said)
    assert float(took) >= 1000


def test_a_request_that_never_began_has_no_place(programs):
    said = programs["plain"].failed("/" + "x" * 70_000)
    assert re.match(r"request failed: request head of \d+ bytes; GET /xxx", said)
    assert " in " not in said


def test_an_on_error_that_answers_is_not_blamed(programs):
    said = programs["sorry"].failed("/null/sorry")
    assert re.match(r"request failed: page fault [^;]* in read_null\+0x\w+; GET", said)


def test_an_on_error_that_fails_too_is_told_beside_what_it_was_called_for(programs):
    said = programs["sorry"].failed("/null")
    again = r"on_error failed: division by zero [^;]* in divide\+0x\w+"
    assert re.match(
        rf"request failed: page fault [^;]* in read_null\+0x\w+; {again}; GET", said
    ), said


def test_a_failed_storage_call_is_named_and_where_it_failed(programs):
    said = programs["plain"].noted("/stored")
    assert re.fullmatch(
        r"storage function in_storage failed: "
        r"page fault reading 0x8 at 0x4\w+ in read_null\+0x\w+",
        said,
    ), said


def test_a_storage_call_over_its_time_says_where_it_was_stopped(programs):
    said = programs["plain"].noted("/stored/long")
    assert re.fullmatch(
        r"storage function in_storage failed: "
        r"time limit reached at 0x4\w+ in spin\+0x\w+",
        said,
    ), said


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (
            "zero = zero / zero;",
            r"division by zero \(vector 0\) at 0x\w+ in early\+0x\w+",
        ),
        (
            'for (;;) __asm__ volatile("pause");',
            r"main did not reach wait_for_requests\(\) within 1 s: "
            r"stopped at 0x\w+ in early\+0x\w+",
        ),
    ],
)
def test_a_start_that_fails_says_where(guest, body, reason):
    source = (
        "static volatile int zero;\n"
        f"__attribute__((noinline)) static void early(void) {{ {body} }}\n"
        "START { early(); } HANDLE {}"
    )
    with pytest.raises(NativeError) as caught:
        guest(source, boot_time=1.0)
    elf = compile_guest(PRELUDE + source).read_bytes()
    said = Symbols(read_symbols(elf)).explain(caught.value.reason)
    assert re.fullmatch(reason, said), said


@pytest.mark.parametrize("flags", [("-static",), ("-static-pie",)])
def test_functions_of_position_independent_programs_are_found(flags):
    elf = compile_guest(PRELUDE + SOURCE, flags=flags).read_bytes()
    symbols = Symbols(read_symbols(elf))
    with Guest(elf, storage=True) as vm, vm.clone() as clone:
        clone.serve(Request(b"GET", b"/null"))
        assert " in read_null+0x" in describe(clone.failure, symbols)


def test_cpp_functions_are_named_as_people_write_them(guest):
    source = r"""
#include "kvm_api.h"
namespace shop { struct Cart { __attribute__((noinline)) int total(int *of) const; }; }
int shop::Cart::total(int *of) const { return *(volatile int *)of; }
static void on_get(const char *, const char *) { shop::Cart c; c.total(nullptr); }
int main() { set_backend_get(on_get); wait_for_requests(); }
"""
    elf = compile_guest(source, "g++").read_bytes()
    with Guest(elf) as vm, vm.clone() as clone:
        clone.serve(Request(b"GET", b"/"))
        said = describe(clone.failure, Symbols(read_symbols(elf)))
    assert " in shop::Cart::total+0x" in said


# --- What is left of it ---


def test_the_remains_are_those_of_the_failure_and_on_error_answers_after_all(programs):
    guest = programs["sorry"].guest
    with look(guest) as clone:
        assert clone.serve(Request(b"GET", b"/null/sorry")) is None
        assert clone.busy and clone.failed
        with clone.remains() as left:
            name, _ = programs["sorry"].symbols.find(left.registers().rip)
            assert (name, left.reason[:20]) == ("read_null", "page fault reading 0")
            code = left.read(left.registers().rip, 2)
            stack = left.read(left.registers().general[7], 8)
            assert code and stack
            assert left.read(0, 8) is None and left.read(1 << 64, 8) is None
        answer = clone.resume()
        assert answer and (answer.status, answer.body) == (200, b"sorry")


def test_the_memory_that_is_left_is_what_the_program_may_read(programs):
    with look(programs["plain"].guest) as clone:
        clone.serve(Request(b"GET", b"/overflow"))
        with clone.remains() as left:
            ranges = list(left.ranges())
            sp = left.registers().general[7]
    assert all(a.end <= b.begin for a, b in pairwise(ranges))
    assert all(each.access & 1 and each.begin < each.end for each in ranges)
    assert any(each.begin <= sp + 0x10000 < each.end for each in ranges)


def test_there_are_no_remains_of_a_request_that_did_not_fail(programs):
    with look(programs["plain"].guest) as clone:
        assert clone.serve(Request(b"GET", b"/")).body == b"fine"
        with pytest.raises(NativeError, match="no request has failed"):
            clone.remains()


def look(guest: Guest) -> Vm:
    """A clone of (guest) that hands a failed request back before on_error."""
    return Vm(guest.snapshot, guest.console, 5.0, 0.0, guest.storage, look=True)
