"""Bodies that a program takes piece by piece (stream_post), as it sees them."""

import time

import pytest
from support.clones import FAILED

from skerry import native
from skerry.message import Request
from skerry.wanted import Fetched

pytestmark = pytest.mark.core

# Tells of each piece in a header, and of the end in the body.
PROGRAM = r"""
#include "kvm_api.h"
#include <unistd.h>
static char told[4096];
static unsigned long sum;
static long on_piece(const char *url, const char *arg, const char *type,
                     const uint8_t *data, size_t len, size_t off)
{
    for (size_t i = 0; i < len; i++)
        sum += data[i];
    size_t used = strlen(told);
    if (used < 3000)
        snprintf(told + used, 400, "%%s %%s %%zu@%%zu;", url, type, len, off);
    %s
    return (long)len;
}
static void on_post(const char *url, const char *arg, const char *type,
                    const uint8_t *data, size_t len)
{
    char text[4200];
    int n = snprintf(text, sizeof text, "%%s post %%d %%zu %%lu", told, !data, len,
                     sum);
    backend_response(200, "text/plain", 10, text, (size_t)n);
}
static void on_get(const char *url, const char *arg)
{
    char text[4200];
    int n = snprintf(text, sizeof text, "%%s get", told);
    backend_response(200, "text/plain", 10, text, (size_t)n);
}
static void on_request(const struct kvm_request *request)
{
    backend_response_str(200, "text/plain", "request");
}
static void on_error(const char *url, const char *arg, const char *why)
{
    backend_response_str(500, "text/plain", why);
}
int main(void) { %s wait_for_requests(); }
"""
BY_HEADER = "set_backend_stream_post(on_piece);"
BY_NUMBER = "kvm_api_call(0x10000, 4, KVM_API_WORD(on_piece), 0, 0);"
POST, GET = "set_backend_post(on_post);", "set_backend_get(on_get);"
ON_REQUEST, ON_ERROR = "set_backend_request(on_request);", "set_on_error(on_error);"


@pytest.fixture
def program(guest):
    """program(registrations, code): started; (code) runs in each piece."""

    def start(registered: str = BY_HEADER + POST, code: str = "", **options):
        return guest(PROGRAM % (code, registered), whole=True, **options)

    return start


def upload(guest, *pieces: bytes):
    """The answer to a POST whose body comes in (pieces); the clone is put back."""
    vm = guest.vm
    vm.begin(Request(b"POST", b"/up", b"", b"Host: a\r\n", b"a/b"))
    answer = None
    for piece in (*pieces, b""):
        answer = answer or vm.post(piece)
    guest.failure, guest.discarded = vm.reason, vm.discard
    if not guest.discarded:
        assert vm.reset() >= 0
        assert vm.differing_pages() == 0
    return answer


@pytest.mark.parametrize("language", ["gcc", "g++"])
@pytest.mark.parametrize("how", [BY_HEADER, BY_NUMBER], ids=["header", "number"])
def test_each_piece_comes_with_its_place_and_then_post_without_a_body(
    program, how, language
):
    vm = program(how + POST + GET, compiler=language)
    answer = upload(vm, b"abc", b"de", b"f" * 5000)
    total = sum(b"abcde") + 5000 * ord("f")
    told = b"/up a/b 3@0;/up a/b 2@3;/up a/b 5000@5;"
    assert answer.body == b"%b post 1 5005 %d" % (told, total)


def test_the_total_is_not_bounded_by_the_inbox(program):
    vm = program(max_request_memory=8, max_memory=16)
    limit = vm.snapshot.body_limit
    answer = upload(vm, *[b"\1" * limit] * 9)
    assert answer.body.endswith(b"post 1 %d %d" % (9 * limit, 9 * limit))


def test_a_piece_larger_than_the_inbox_fails(program):
    vm = program(max_memory=16)
    answer = upload(vm, b"x", b"y" * (vm.snapshot.body_limit + 1))
    assert (answer.status, answer.body) == FAILED
    assert "does not fit" in vm.failure


def test_a_body_that_is_there_already_is_one_piece(program):
    vm = program()
    assert vm.post(b"abc", b"c/d").body == b"/ c/d 3@0; post 1 3 294"


@pytest.mark.parametrize(
    ("registered", "answer"),
    [
        (BY_HEADER + POST, b"/up a/b 1@0; post 1 1 120"),
        (BY_HEADER + GET, b"/up a/b 1@0; get"),
        (BY_HEADER + POST + GET, b"/up a/b 1@0; post 1 1 120"),
    ],
)
def test_post_answers_a_streamed_body_or_get_where_there_is_no_post(
    program, registered, answer
):
    assert upload(program(registered), b"x").body == answer


@pytest.mark.parametrize(
    ("registered", "answer"),
    [(POST, b" post 1 0 0"), (GET, b" get"), (POST + GET, b" get")],
)
def test_a_streamed_body_of_nothing_is_no_body(program, registered, answer):
    assert upload(program(BY_HEADER + registered)).body == answer


def test_a_request_callback_takes_bodies_whole(program):
    vm = program(BY_HEADER + POST + ON_REQUEST)
    assert not vm.snapshot.takes_pieces
    assert vm.post(b"abc").body == b"request"
    assert program(BY_HEADER + POST).snapshot.takes_pieces
    assert not program(POST).snapshot.takes_pieces


def test_a_program_where_nobody_answers_fails_the_request(program):
    vm = program(BY_HEADER)
    answer = upload(vm, b"x")
    assert (answer.status, answer.body) == FAILED
    assert vm.failure == "the program has no callback that answers: post or get"


@pytest.mark.parametrize("language", ["gcc", "g++"])
@pytest.mark.parametrize("how", [BY_HEADER, BY_NUMBER], ids=["header", "number"])
@pytest.mark.parametrize("returned", ["0", "-1", "(long)len + 1", "(long)len - 1"])
def test_a_piece_whose_length_is_not_returned_fails_the_request(
    program, returned, how, language
):
    code = f"if (off) return {returned};"
    vm = program(how + POST + ON_ERROR, code, compiler=language)
    answer = upload(vm, b"abc", b"de", b"never seen")
    assert answer.status == 500
    assert b"stream_post returned" in answer.body, "on_error answers"
    assert b"for a piece of 2 bytes" in answer.body
    assert vm.discarded


def test_a_crash_in_a_piece_fails_the_request(program):
    vm = program(code="if (off) *(volatile int *)0;")
    answer = upload(vm, b"abc", b"de")
    assert (answer.status, answer.body) == FAILED
    assert "page fault reading 0x0" in vm.failure


def test_a_piece_may_answer_before_the_end(program):
    vm = program(code='if (off > 5) backend_response_str(413, "text/plain", "enough");')
    answer = upload(vm, b"abc", b"def", b"ghi", b"never seen")
    assert (answer.status, answer.body) == (413, b"enough")
    assert not vm.discarded


def test_headers_set_in_a_piece_are_in_the_response(program):
    vm = program(code='http_append_str(RESPONSE, off ? "X-B: 2" : "X-A: 1");')
    assert b"X-A: 1\r\nX-B: 2\r\n" in upload(vm, b"abc", b"def").rest


def test_an_upload_that_is_given_up_leaves_nothing(program):
    vm = program()
    for pieces in ([], [b"abc"], [b"abc", b"d" * 100000]):
        vm.vm.begin(Request(b"POST", b"/up"))
        assert [vm.vm.post(each) for each in pieces] == [None] * len(pieces)
        assert vm.vm.reset() >= 0
        assert vm.vm.differing_pages() == 0
    assert vm.post(b"x", b"c/d").body == b"/ c/d 1@0; post 1 1 120"


def test_waiting_for_a_piece_takes_no_time_from_the_request(program):
    vm = program(limit=2.0)
    vm.vm.begin(Request(b"POST", b"/up", content_type=b"a/b"))
    assert vm.vm.post(b"x") is None
    time.sleep(2.1)
    assert vm.vm.post(b"y") is None
    assert vm.vm.post(b"").body == b"/up a/b 1@0;/up a/b 1@1; post 1 2 241"


def test_the_time_of_all_pieces_together_is_limited(program):
    vm = program(code="usleep(400000);", limit=1.0)
    answer = upload(vm, b"a", b"b", b"c", b"d")
    assert (answer.status, answer.body) == FAILED
    assert vm.failure == "time limit reached"


def test_a_piece_that_takes_longer_goes_on_where_a_thread_may_wait(program):
    started = program(code="usleep(50000);")
    with native.Vm(started.snapshot, started.console, 10.0, 0.001) as vm:
        vm.begin(Request(b"POST", b"/up", content_type=b"a/b"))
        for piece in (b"abc", b"de"):
            assert vm.post(piece) is None
            assert vm.busy
            assert vm.resume() is None
            assert not vm.busy
        answer = vm.post(b"") or vm.resume()
        assert answer.body == b"/up a/b 3@0;/up a/b 2@3; post 1 5 495"


def test_a_whole_body_may_take_longer_too(program):
    started = program(code="usleep(50000);")
    with native.Vm(started.snapshot, started.console, 10.0, 0.001) as vm:
        request = Request(b"POST", b"/up", content_type=b"a/b", body=b"abc")
        assert vm.serve(request) is None
        assert vm.resume().body == b"/up a/b 3@0; post 1 3 294"


def test_pieces_may_call_storage(guest):
    vm = guest(
        r"""
    static int count;
    static void add(size_t n, struct virtbuffer buf[], size_t res)
    {
        count += *(const int *)buf[0].data;
        storage_return(&count, sizeof count);
    }
    static long on_piece(const char *url, const char *arg, const char *type,
                         const uint8_t *data, size_t len, size_t off)
    {
        int now, more = (int)len;
        struct virtbuffer buf = {&more, sizeof more};
        storage_callv(add, 1, &buf, &now, sizeof now);
        return (long)len;
    }
    START { STORAGE_ALLOW(add); set_backend_stream_post(on_piece); }
    HANDLE
    {
        int now, more = 0;
        struct virtbuffer buf = {&more, sizeof more};
        storage_callv(add, 1, &buf, &now, sizeof now);
        reply("%d", now);
    }
    """,
        storage=True,
    )
    assert upload(vm, b"abc", b"defg").body == b"7"
    assert upload(vm, b"hi").body == b"9"


# Fetches "/x" into (page).
FETCH = r"""
    static char page[64];
    struct curl_op op;
    memset(&op, 0, sizeof op);
    op.content = page;
    op.content_length = sizeof page;
    sys_fetch("/x", 2, NULL, &op);
"""
PAGE = Fetched(0, 200, b"a/b", b"", b"fetched")


def test_pieces_may_fetch_and_that_takes_no_time_from_the_request(program):
    def fetch(wanted):
        time.sleep(0.7)
        return PAGE

    vm = program(code=FETCH + "strcat(told, page);", fetch=fetch, limit=1.0)
    told = vm.post(b"abc", b"c/d").body
    assert told == b"/ c/d 3@0;fetched post 1 3 294", vm.failure
    vm.vm.begin(Request(b"POST", b"/up", content_type=b"a/b"))
    for piece in (b"x", b"y"):
        assert vm.vm.post(piece) is None
        assert vm.vm.waits
        vm.vm.fetched(fetch(vm.vm.wanted()))
        assert vm.vm.go_on() is None
        assert not vm.vm.waits
    told = b"/up a/b 1@0;fetched/up a/b 1@1;fetched post 1 2 241"
    assert vm.vm.post(b"").body == told
