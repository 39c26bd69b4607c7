"""Responses that a program makes piece by piece, as it sees them: by number and with
the header, in C and in C++, with every error."""

import pytest
from support.programs import letters

from skerry import native
from skerry.message import Request
from skerry.native import PIECE

pytestmark = pytest.mark.core

# on_get streams with piece(arg, max, written, total); (arg) is in its frame.
HEADER = 'begin_streaming_response(200, "text/plain", 10, %s, piece, local);'
NUMBER = (
    'kvm_api_call6(0x10012, 200, KVM_API_WORD("text/plain"), 10, %s, '
    "KVM_API_WORD(piece), KVM_API_WORD(local));"
)
STREAM = r"""
#include "kvm_api.h"
#include <time.h>
#include <unistd.h>
static struct streaming_content give(const void *data, size_t len)
{
    struct streaming_content made = {data, len};
    return made;
}
static struct streaming_content piece(void *arg, size_t max, size_t written,
                                      size_t total)
{
%s
}
static void on_get(const char *url, const char *arg)
{
    char local[256];
    memset(local, 'L', sizeof local);
    %s
    backend_response_str(500, "text/plain", "went on");
}
static void on_error(const char *url, const char *arg, const char *why)
{
    backend_response_str(500, "text/plain", why);
}
int main(void)
{
    set_backend_get(on_get);
    set_on_error(on_error);
    wait_for_requests();
}
"""
# The alphabet, again and again, as much at a time as may be.
LETTERS = r"""
    static char text[1 << 16];
    for (size_t i = 0; i < max; i++)
        text[i] = 'a' + (written + i) % 26;
    return give(text, max);
"""


@pytest.fixture
def stream(guest):
    """stream(function, total): a program whose function makes (total) bytes."""

    def start(function: str, total: object, how: str = HEADER, **options):
        return guest(STREAM % (function, how % total), whole=True, **options)

    return start


@pytest.mark.parametrize("how", [HEADER, NUMBER], ids=["header", "number"])
@pytest.mark.parametrize("language", ["gcc", "g++"])
@pytest.mark.parametrize("total", [1, PIECE, PIECE + 1, 3 * PIECE + 7])
def test_a_streamed_body_is_what_the_function_makes(stream, how, language, total):
    vm = stream(LETTERS, total, how, compiler=language)
    answer = vm.get()
    assert answer.status == 200
    assert b"Content-Length: %d\r\n" % total in answer.rest
    assert answer.body == letters(total)


def test_the_function_is_told_how_much_is_wanted_and_done(stream):
    vm = stream(
        r"""
    static char text[60000];
    memset(text, '.', sizeof text);
    snprintf(text, 100, "%zu %zu %zu", max, written, total);
    return give(text, max < sizeof text ? max : sizeof text);
    """,
        150000,
    )
    told = [each for each in vm.get().body.replace(b"\0", b".").split(b".") if each]
    assert told == [b"65536 0 150000", b"65536 60000 150000", b"30000 120000 150000"]


def test_the_frame_of_the_function_that_began_it_stays_alive(stream):
    """(arg) points into it, and what pieces put on the stack lies below it."""
    vm = stream(
        r"""
    volatile char mine[65536];
    for (size_t i = 0; i < sizeof mine; i++)
        mine[i] = 'x';
    return give(arg, 256);
    """,
        1024,
    )
    assert vm.get().body == b"L" * 1024


def test_the_red_zone_of_that_function_is_kept(stream):
    begin = r"""
    register uint64_t cb __asm__("r8") = (uint64_t)piece;
    __asm__ volatile(
        "movabs $0x6b6f6f6c2d646572, %%%%rax; mov %%%%rax, -128(%%%%rsp);"
        "lea -128(%%%%rsp), %%%%r9; mov $0x10012, %%%%eax; out %%%%eax, $0"
        : : "D"(200UL), "S"("x"), "d"(1UL), "c"(%sUL), "r"(cb)
        : "rax", "r9", "memory");
    """
    vm = stream("return give(arg, 8);", 8, begin)
    assert vm.get().body == b"red-look"


def test_a_body_of_unknown_length_ends_with_a_piece_of_nothing(stream):
    vm = stream(
        r"""
    return give("0123456789", written < 25 && total == SIZE_MAX ? 10 : 0);
    """,
        -1,
    )
    answer = vm.get()
    assert answer.body == b"0123456789" * 3
    assert b"Content-Length" not in answer.rest[: answer.body_at]


@pytest.mark.parametrize("status", [200, 204, 304])
def test_a_body_of_nothing_is_not_asked_for(stream, status):
    how = f'begin_streaming_response({status}, "a/b", 3, %s, piece, local);'
    vm = stream("__builtin_trap();", 0 if status == 200 else 9, how)
    answer = vm.get()
    assert (answer.status, answer.body) == (status, b"")


def test_a_type_of_4095_bytes_and_headers_are_in_the_head(stream):
    how = r"""
    static char type[4095];
    memset(type, 't', sizeof type);
    http_append_str(RESPONSE, "X-One: 1");
    begin_streaming_response(299, type, sizeof type, %s, piece, local);
    """
    answer = stream(LETTERS, 5, how).get()
    assert (answer.status, answer.body) == (299, b"abcde")
    assert answer.rest.startswith(b"Content-Type: " + b"t" * 4095 + b"\r\nX-One: 1\r\n")


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ('(199, "a", 1, %s, piece, local)', "response: status 199"),
        ('(600, "a", 1, %s, piece, local)', "response: status 600"),
        ("(200, (void *)8, 1, %s, piece, local)", "response: unreadable content type"),
        ('(200, "a", 4096, %s, piece, local)', "response: content type of 4096 bytes"),
        ('(200, "\\n", 1, %s, piece, local)', "control characters in the content type"),
        (
            '(200, "a", 1, %s, (kvm_stream_func)0x6000, local)',
            "begin_streaming_response: 0x6000 is not a function of the program",
        ),
    ],
)
def test_a_wrong_beginning_fails_the_request(stream, how, why):
    vm = stream(LETTERS, 9, f"begin_streaming_response{how};")
    answer = vm.get()
    assert answer.status == 500
    assert why in answer.body.decode(), "on_error answers: nothing has been sent yet"
    assert why in vm.failure


def test_start_up_and_storage_cannot_begin_a_response(guest):
    source = r"""
    static struct streaming_content piece(void *arg, size_t max, size_t written,
                                          size_t total) {}
    START { begin_streaming_response(200, "a", 1, 5, piece, NULL); } HANDLE {}
    """
    with pytest.raises(native.NativeError, match="outside of a request"):
        guest(source)


# How a piece may fail after a good one; on_error would answer if it ran.
WRONG = {
    "nothing": ("return give(arg, 0);", "a piece of 0 bytes"),
    "too much": ("return give(arg, max + 1);", "bytes: expected 1 to 90"),
    "unreadable": ("return give((void *)64, 9);", "a piece in unreadable memory"),
    "crash": ("*(volatile int *)0;", "page fault reading 0x0"),
    "response": (
        'backend_response_str(200, "a", "b");',
        "responded while it made a piece",
    ),
    "stream": (
        'begin_streaming_response(200, "a", 1, 100, piece, arg);',
        "responded while it made a piece",
    ),
    "memory": (
        "static volatile char big[8 << 20];"
        "for (int i = 0; i < 8 << 20; i += 4096) big[i] = 1; return give(arg, 10);",
        "wrote more than max_request_memory (4 MB)",
    ),
}


@pytest.mark.parametrize("how", [HEADER, NUMBER], ids=["header", "number"])
@pytest.mark.parametrize("language", ["gcc", "g++"])
@pytest.mark.parametrize("kind", WRONG)
def test_a_wrong_piece_ends_the_body_in_the_middle(stream, kind, language, how):
    wrong, why = WRONG[kind]
    function = "if (written == 0) return give(arg, 10);" + wrong
    vm = stream(function, 100, how, compiler=language, max_request_memory=4)
    answer = vm.get()
    assert (answer.status, answer.body) == (200, b"L" * 10)
    assert why in vm.failure
    assert vm.discarded
    assert vm.get().body == b"L" * 10, "another clone serves on"


def test_pieces_may_make_system_calls_and_keep_what_they_write(stream):
    vm = stream(
        r"""
    static int count;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    static char text[10];
    snprintf(text, sizeof text, "%d,%d;", ++count, now.tv_sec > 0 && getpid() > 0);
    return give(text, 4);
    """,
        12,
    )
    for _ in range(2):  # the second time from the frozen state
        assert vm.get().body == b"1,1;2,1;3,1;"


def test_pieces_may_call_storage(guest):
    vm = guest(
        r"""
    static int count;
    static void increment(size_t n, struct virtbuffer buf[], size_t res)
    {
        count++;
        storage_return(&count, sizeof count);
    }
    static struct streaming_content piece(void *arg, size_t max, size_t written,
                                          size_t total)
    {
        static char text[2];
        int now;
        storage_call(increment, 0, 0, &now, sizeof now);
        text[0] = '0' + now;
        return (struct streaming_content){text, 1};
    }
    START { STORAGE_ALLOW(increment); }
    HANDLE { begin_streaming_response(200, "a", 1, 3, piece, NULL); }
    """,
        storage=True,
    )
    assert vm.get().body + vm.get().body == b"123456"


def test_a_piece_that_does_not_end_in_time_ends_the_body(stream):
    vm = stream("if (written) for (;;) usleep(1); return give(arg, 10);", 100)
    assert vm.get().body == b"L" * 10
    assert vm.failure == "time limit reached"
    assert vm.discarded


def test_each_piece_has_two_seconds_whatever_the_request_has(stream):
    function = "usleep(400000); return give(arg, 1);"
    vm = stream(function, 4, limit=1.0)
    assert vm.get().body == b"LLLL", vm.failure


def test_a_clone_is_as_frozen_after_a_stream(stream):
    vm = stream(LETTERS, 200000)
    head = vm.vm.serve(Request(b"GET", b"/"))
    assert head and vm.vm.streams and vm.vm.stream_length == 200000
    assert vm.vm.next_piece(wait=True)
    assert vm.vm.reset() > 0, "given up in the middle"
    assert vm.vm.differing_pages() == 0
    assert vm.get().body == letters(200000)
    assert vm.vm.differing_pages() == 0


def test_a_piece_that_takes_longer_goes_on_where_a_thread_may_wait(stream):
    started = stream("usleep(50000); return give(arg, 1);", 2)
    with native.Vm(started.snapshot, started.console, 10.0, 0.001) as vm:
        assert vm.serve(Request(b"GET", b"/")) or vm.resume()
        for left in (True, False):
            assert vm.next_piece(wait=False) is None
            assert vm.busy
            assert vm.next_piece(wait=True) == b"L"
            assert vm.streams == left


def test_on_error_may_stream_its_answer_too(guest):
    vm = guest(
        r"""
    static struct streaming_content piece(void *arg, size_t max, size_t written,
                                          size_t total)
    {
        return (struct streaming_content){"sorry.", 3};
    }
    static void on_error(const char *url, const char *arg, const char *why)
    {
        begin_streaming_response(503, "a", 1, 6, piece, NULL);
    }
    START { set_on_error(on_error); }
    HANDLE { __builtin_trap(); }
    """
    )
    answer = vm.get()
    assert (answer.status, answer.body) == (503, b"sorsor")
    assert vm.discarded


# Goes on behind its wait, and counts; "/?" streams the count.
LOOP = r"""
#include "kvm_api.h"
static struct streaming_content piece(void *arg, size_t max, size_t written,
                                      size_t total)
{
    struct streaming_content made = {arg, max < 4 ? max : 4};
    return made;
}
int main(void)
{
    struct kvm_request r;
    for (int n = 1;; n++) {
        wait_for_requests_paused(&r);
        char text[64];
        snprintf(text, sizeof text, "%3d;", n);
        if (strchr(r.url, '?'))
            begin_streaming_response(200, "text/plain", 10, 8, piece, text);
        backend_response_str(200, "text/plain", text);
    }
}
"""


def test_a_program_that_goes_on_behind_its_wait_may_stream(guest):
    vm = guest(LOOP, whole=True)
    assert [vm.text("/?") for _ in range(2)] == ["  1;  1;"] * 2
    assert vm.text("/") == "  1;"


def test_a_machine_that_is_not_put_back_goes_on_after_a_stream_in_callbacks_only(guest):
    vm = guest(LOOP, whole=True, ephemeral=False, hold=False)
    assert [vm.text("/"), vm.text("/"), vm.text("/?")] == ["  1;", "  2;", "  3;  3;"]
    assert vm.get("/").status == 500
    assert "the program cannot go on behind its wait" in vm.failure
    assert vm.text("/") == "  1;", "another clone begins anew"
