"""Every call of the guest API, made by its number and by the header's functions, in C
and in C++: all ways must give the same result."""

import pytest

from skerry.message import Request
from skerry.wanted import Fetched

pytestmark = pytest.mark.core

# Rows of a request: the number's call, then header functions that do the same, then the
# answer. What a row writes to (room) is in the answer; one that answers by itself has
# none.
ROWS = {
    "HTTP_APPEND": (
        'N(0x10020, 1, "A: b", 4)',
        'sys_http_append(RESPONSE, "A: b", 4)',
        'http_append(RESPONSE, "A: b", 4)',
        'http_append_str(BERESP, "A: b")',
        'http_appendf(RESP, "%c: b", 65)',
        "4 ",
    ),
    "HTTP_SET": (
        'N(0x10021, 1, "A: c", 4)',
        'sys_http_set(RESPONSE, "A: c", 4)',
        'http_set(RESPONSE, "A: c", 4)',
        'http_set_str(BERESP, "A: c")',
        'http_setf(RESP, "A: %s", "c")',
        "4 ",
    ),
    "HTTP_SET, unset": (
        '(http_append_str(RESP, "A: b"), N(0x10021, 1, "A", 1))',
        '(http_append_str(RESP, "A: b"), sys_http_set(RESPONSE, "A", 1))',
        '(http_append_str(RESP, "A: b"), http_unset(RESPONSE, "A", 1))',
        '(http_append_str(RESP, "A: b"), http_unset_str(RESPONSE, "A"))',
        "1 ",
    ),
    "HTTP_SET, nothing": (
        'N(0x10021, 1, "A: c", 0)',
        'http_set(RESPONSE, "A: c", 0)',
        "0 ",
    ),
    "HTTP_FIND": (
        'N(0x10022, 0, "hOsT", 4, room, 64)',
        'sys_http_find(REQUEST, "hOsT", 4, room, 64)',
        'http_find(BEREQ, "hOsT", 4, room, 64)',
        'http_find_str(REQ, "hOsT", room, 64)',
        "10 Host: test",
    ),
    "HTTP_FIND, as a string": (
        '(room[N(0x10022, 0, "Host", 4, room, 64)] = 0, 0)',
        '(text_of(http_alloc_find(REQUEST, "Host")), 0)',
        "0 Host: test",
    ),
    "HTTP_FIND, length": (
        'N(0x10022, 0, "Host", 4, 0, 0)',
        'http_find(REQUEST, "Host", 4, NULL, 0)',
        'http_find_strlen(REQUEST, "Host")',
        "10 ",
    ),
    "HTTP_FIND, small": (
        'N(0x10022, 0, "Host", 4, room, 9)',
        'http_find(REQUEST, "Host", 4, room, 9)',
        "0 ",
    ),
    "HTTP_METHOD": (
        "N(0x10023, room, 64)",
        "sys_http_method(room, 64)",
        "http_method(room, 64)",
        "3 GET",
    ),
    "HTTP_METHOD, as a string": (
        "(N(0x10023, room, 64), 0)",
        "(text_of(http_alloc_method()), 0)",
        "0 GET",
    ),
    "HTTP_METHOD, length": ("N(0x10023, 0, 0)", "http_method(NULL, 0)", "3 "),
    "HTTP_METHOD, small": ("N(0x10023, room, 2)", "http_method(room, 2)", "0 "),
    "SET_CACHEABLE": (
        "N(0x10005, 1, 60000, 1000, 0)",
        "(sys_set_cacheable(true, 60000, 1000, 0), 0)",
        "(set_cacheable(true, 60, 1, 0), 0)",
        "0 ",
    ),
    "REGEX_COMPILE": ('N(0x10030, "k", 1)', 'sys_regex_compile("k", 1)', "2 "),
    "REGEX_FREE": ("N(0x10031, 1)", "sys_regex_free(1)", "0 "),
    "REGEX_MATCH": (
        'N(0x10032, 1, "a", 1)',
        'sys_regex_match(1, "a", 1)',
        "1 ",
    ),
    "REGEX_SUBST": (
        'N(0x10033, 1, "aab", "x", room, 64, 1)',
        'sys_regex_subst(1, "aab", "x", room, 64, 1)',
        "4 xxb",
    ),
    "REGEX_COPYTO": ("N(0x10035, 1, 0, 1)", "sys_regex_copyto(1, REQ, RESP)", "1 "),
    "IS_STORAGE": ("N(0x10706)", "sys_is_storage()", "IS_STORAGE()", "0 "),
    "SHARED_MEMORY_AREA": (
        "(long)N(0x10700)",
        "(long)sys_shared_memory_area().ptr",
        "(long)shared_memory_area().ptr",
        None,
    ),
    "MAKE_EPHEMERAL": ("N(0x10703, 1)", "sys_make_ephemeral(true)", "1 "),
    "MEMINFO": (
        "(N(0x10A00, &info, 32), info.max_memory >> 20)",
        "(sys_meminfo(&info, 32), info.max_memory >> 20)",
        "get_meminfo().max_memory >> 20",
        "64 ",
    ),
    "MEMINFO, of an older program": (
        "N(0x10A00, &info, 16)",
        "sys_meminfo(&info, 16)",
        "16 ",
    ),
    "MEMINFO, of a newer program": (
        "N(0x10A00, &info, 40)",
        "sys_meminfo(&info, 40)",
        "32 ",
    ),
    "LOG": ('N(0x7F000, "x", 1) * 0', '(sys_log("x", 1), 0)', '(vlogf("x"), 0)', "0 "),
    "IS_DEBUG": ("N(0x7FDEB)", "sys_is_debug()", "1 "),
    "BREAKPOINT": ("N(0x7F7F7)", "(sys_breakpoint(), 0)", "0 "),
    "STORAGE_CALLV": (
        "N(0x10708, by_number, 2, pair, room, 64)",
        "sys_storage_callv(by_number, 2, pair, room, 64)",
        "storage_callv(by_number, 2, pair, room, 64)",
        "3 2ab",
    ),
    "STORAGE_CALLV, one buffer": (
        "N(0x10708, by_number, 1, pair, room, 64)",
        'storage_call(by_number, "a", 1, room, 64)',
        "2 1a",
    ),
    "STORAGE_CALLV, no buffer": (
        "N(0x10708, by_number, 0, 0, room, 64)",
        "storage_callv(by_number, 0, NULL, room, 64)",
        "1 0",
    ),
    "STORAGE_TASK": (
        'N(0x10709, by_number, "x", 1, 1000, 0)',
        'sys_storage_task(by_number, "x", 1, 1000, 0)',
        'storage_task(by_number, "x", 1)',
        'schedule_storage_task(by_number, "x", 1, 1, 0)',
        "0 ",
    ),
    "STOP_STORAGE_TASK": (
        "N(0x1070A, N(0x10709, by_number, 0, 0, 60000, 60000))",
        "sys_stop_storage_task(sys_storage_task(by_number, NULL, 0, 60000, 60000))",
        "stop_storage_task(schedule_storage_task(by_number, NULL, 0, 60, 60))",
        "0 ",
    ),
    "STORAGE_RETURN, nothing": (
        "storage_call(nothing_by_number, 0, 0, room, 64)",
        "storage_call(nothing_by_function, 0, 0, room, 64)",
        "0 ",
    ),
    "FETCH": (
        '(N(0x20000, "/x", 2, 0, &fetched), fetched.status)',
        '(sys_fetch("/x", 2, NULL, &fetched), fetched.status)',
        "203 fetched",
    ),
    "STORAGE_RETURN": (
        "storage_call(by_number, 0, 0, room, 64)",
        "storage_call(by_function, 0, 0, room, 64)",
        "1 1",
    ),
    "STORAGE_NORETURN": (
        "storage_call(noreturn_by_number, 0, 0, room, 64)",
        "storage_call(noreturn_by_function, 0, 0, room, 64)",
        "4 gone",
    ),
    "STORAGE_CALLV, in storage": (
        "storage_call(nested_by_number, 0, 0, room, 64)",
        "storage_call(nested_by_function, 0, 0, room, 64)",
        "2 -1",
    ),
    "STREAMING_RESPONSE": (
        'N(0x10012, 203, "a/b", 3, 9, piece, "piece")',
        '(begin_streaming_response(203, "a/b", 3, 9, piece, (void *)"piece"), 0)',
        None,
    ),
    "BACKEND_RESPONSE": (
        'N(0x10010, 404, "a/b", 3, "body", 4, 0)',
        '(sys_backend_response(404, "a/b", 3, "body", 4, NULL), 0)',
        '(backend_response(404, "a/b", 3, "body", 4), 0)',
        '(backend_response_str(404, "a/b", "body"), 0)',
        '(backend_response_extra(404, "a/b", 3, "body", 4, NULL), 0)',
        None,
    ),
    "BACKEND_RESPONSE, extra": (
        'N(0x10010, 200, "a/b", 3, "body", 4, &extra)',
        '(backend_response_extra(200, "a/b", 3, "body", 4, &extra), 0)',
        None,
    ),
}

PROGRAM = r"""
#include "kvm_api.h"
#define N(...) N_(__VA_ARGS__, 0, 0, 0, 0, 0, 0)
#define N_(nr, a, b, c, d, e, f, ...) kvm_api_call6(nr, (uint64_t)(a), \
    (uint64_t)(b), (uint64_t)(c), (uint64_t)(d), (uint64_t)(e), (uint64_t)(f))

static void by_number(size_t n, struct virtbuffer *buf, size_t res)
{
    char text[64] = {(char)('0' + n)};
    for (size_t i = 0; i < n; i++)
        strncat(text, (const char *)buf[i].data, buf[i].len);
    N(0x10011, text, strlen(text));
}
static void by_function(size_t n, struct virtbuffer *buf, size_t res)
{
    char digit = (char)('0' + n);
    storage_return(&digit, 1);
}
static void nothing_by_number(size_t n, struct virtbuffer *buf, size_t res)
{
    N(0x10011, 0, 0);
}
static void nothing_by_function(size_t n, struct virtbuffer *buf, size_t res)
{
    storage_return_nothing();
}
static void noreturn_by_number(size_t n, struct virtbuffer *buf, size_t res)
{
    N(0x10013, "gone", 4);
    abort();
}
static void noreturn_by_function(size_t n, struct virtbuffer *buf, size_t res)
{
    storage_noreturn("gone", 4);
}
static void nested_by_number(size_t n, struct virtbuffer *buf, size_t res)
{
    storage_return(N(0x10708, by_number, 0, 0, 0, 0) == -1 ? "-1" : "?", 2);
}
static void nested_by_function(size_t n, struct virtbuffer *buf, size_t res)
{
    storage_return(storage_call(by_function, 0, 0, 0, 0) == -1 ? "-1" : "?", 2);
}

static char room[64];
static void text_of(char *allocated)
{
    strcpy(room, allocated);
    free(allocated);
}
static struct streaming_content piece(void *arg, size_t max, size_t written,
                                      size_t total)
{
    struct streaming_content made = {arg, max < 5 ? max : 5};
    return made;
}

static void on_get(const char *url, const char *arg)
{
    static char text[256];
    struct curl_op fetched;
    static struct meminfo info;
    static const struct virtbuffer pair[] = {{"a", 1}, {"b", 1}};
    static const struct ResponseHeader more[] = {{"X-One: 1", 8}};
    struct BackendResponseExtra extra;
    long ret = -1;
    memset(&extra, 0, sizeof extra);
    memset(&fetched, 0, sizeof fetched);
    fetched.content = room, fetched.content_length = sizeof room;
    extra.headers = more, extra.num_headers = 1;
    switch (atoi(url + 1)) {
%s
    }
    snprintf(text, sizeof text, "%%ld %%s", ret, room);
    backend_response_str(200, "text/plain", text);
}

int main(void)
{
    %s
    sys_regex_compile("a|Host", 6);
    %s
}
"""
START = {
    "by number": (
        "N(0x10000, 1, on_get); if (N(0x10706)) { N(0x10707, by_number);"
        "N(0x10707, nothing_by_number); N(0x10707, nothing_by_function);"
        "N(0x10707, by_function); N(0x10707, noreturn_by_number);"
        "N(0x10707, noreturn_by_function); N(0x10707, nested_by_number);"
        "N(0x10707, nested_by_function); }",
        "N(0x10001);",
    ),
    "by function": (
        "set_backend_get(on_get); if (IS_STORAGE()) { STORAGE_ALLOW(by_number);"
        "STORAGE_ALLOW(nothing_by_number); STORAGE_ALLOW(nothing_by_function);"
        "STORAGE_ALLOW(by_function); STORAGE_ALLOW(noreturn_by_number);"
        "STORAGE_ALLOW(noreturn_by_function); STORAGE_ALLOW(nested_by_number);"
        "STORAGE_ALLOW(nested_by_function); }",
        "wait_for_requests();",
    ),
    "paused by number": (
        "static struct kvm_request request;",
        "N(0x10002, &request); on_get(request.url, request.arg);",
    ),
    "paused by function": (
        "static struct kvm_request request;",
        "wait_for_requests_paused(&request); on_get(request.url, request.arg);",
    ),
}


def ways() -> dict[str, list[int]]:
    """The number of every way of a row: its case in the program."""
    found: dict[str, list[int]] = {}
    number = 0
    for name, row in ROWS.items():
        found[name] = list(range(number, number + len(row) - 1))
        number += len(row) - 1
    return found


def source(start: str) -> str:
    calls = [call for row in ROWS.values() for call in row[:-1]]
    cases = "\n".join(f"case {n}: ret = {call}; break;" for n, call in enumerate(calls))
    return PROGRAM % (cases, *START[start])


@pytest.mark.parametrize("start", START)
@pytest.mark.parametrize("compiler", ["gcc", "g++"])
def test_every_way_to_make_a_call_gives_the_same(guest, compiler, start):
    vm = guest(
        source(start),
        whole=True,
        compiler=compiler,
        flags=("-static", "-fpermissive") if compiler == "g++" else ("-static",),
        storage=True,
        shared_memory=2,
        debug=True,
        control_ephemeral=True,
        fetch=lambda wanted: Fetched(0, 203, content=b"fetched"),
    )
    for name, numbers in ways().items():
        answers = [ask(vm, number) for number in numbers]
        assert len(numbers) > 1
        assert set(answers) == {answers[0]}, name
        expected = ROWS[name][-1]
        if expected is not None:
            assert answers[0][0] == 200 and answers[0][2] == expected.encode(), name


def ask(vm, number: int) -> tuple[int, bytes, bytes]:
    answer = vm.request(
        Request(b"GET", b"/%d" % number, b"", b"Host: test\r\n", b"", b"")
    )
    assert not vm.failure, (number, vm.failure)
    return answer.status, answer.head, answer.body
