"""Every mistake that the guest API knows, made by number and by the header's functions,
in C and in C++: in a request, in storage, and in main."""

import pytest

from skerry.native import NativeError

pytestmark = pytest.mark.core

# Calls and what becomes of them: a text is why the request (or the storage function, or
# the start) fails, a number is what the call returns. By number first.
RESPONSES = {
    "status of 199": (
        'N(0x10010, 199, "a/b", 3, "x", 1, 0)',
        'V(sys_backend_response(199, "a/b", 3, "x", 1, NULL))',
        'V(backend_response(199, "a/b", 3, "x", 1))',
        'V(backend_response_str(199, "a/b", "x"))',
        'V(backend_response_extra(199, "a/b", 3, "x", 1, NULL))',
        "response: status 199",
    ),
    "status of 600": (
        'N(0x10010, 600, "a/b", 3, "x", 1, 0)',
        'V(backend_response(600, "a/b", 3, "x", 1))',
        "response: status 600",
    ),
    "type of 4096 bytes": (
        'N(0x10010, 200, large, 4096, "x", 1, 0)',
        'V(backend_response(200, large, 4096, "x", 1))',
        "response: content type of 4096 bytes",
    ),
    "unreadable type": (
        'N(0x10010, 200, NOWHERE, 8, "x", 1, 0)',
        'V(backend_response(200, NOWHERE, 8, "x", 1))',
        "response: unreadable content type",
    ),
    "unreadable body": (
        'N(0x10010, 200, "a/b", 3, NOWHERE, 8, 0)',
        'V(backend_response(200, "a/b", 3, NOWHERE, 8))',
        'V(backend_response(200, "a/b", 3, NULL, 1))',
        "response: unreadable body",
    ),
    "unreadable extra": (
        'N(0x10010, 200, "a/b", 3, "x", 1, NOWHERE)',
        'V(backend_response_extra(200, "a/b", 3, "x", 1,'
        " (struct BackendResponseExtra *)NOWHERE))",
        "response: unreadable extra",
    ),
    "65 extra headers": (
        '(extra.num_headers = 65, N(0x10010, 200, "a/b", 3, "x", 1, &extra))',
        "V(extra.num_headers = 65,"
        ' backend_response_extra(200, "a/b", 3, "x", 1, &extra))',
        "response: 65 extra headers",
    ),
    "unreadable extra headers": (
        "(extra.headers = (struct ResponseHeader *)NOWHERE, extra.num_headers = 1,"
        ' N(0x10010, 200, "a/b", 3, "x", 1, &extra))',
        "V(extra.headers = (struct ResponseHeader *)NOWHERE, extra.num_headers = 1,"
        ' backend_response_extra(200, "a/b", 3, "x", 1, &extra))',
        "response: unreadable extra headers",
    ),
    "malformed extra header": (
        'N(0x10010, 200, "a/b", 3, "x", 1, &extra)',
        'V(backend_response_extra(200, "a/b", 3, "x", 1, &extra))',
        "malformed header",
    ),
    "no response": ("callback_ends()", "callback_ends()", "without a response"),
    "streamed status of 199": (
        'N(0x10012, 199, "a/b", 3, 9, none, 0)',
        'V(begin_streaming_response(199, "a/b", 3, 9, none, NULL))',
        "response: status 199",
    ),
    "streamed status of 600": (
        'N(0x10012, 600, "a/b", 3, 9, none, 0)',
        'V(begin_streaming_response(600, "a/b", 3, 9, none, NULL))',
        "response: status 600",
    ),
    "streamed type of 4096 bytes": (
        "N(0x10012, 200, large, 4096, 9, none, 0)",
        "V(begin_streaming_response(200, large, 4096, 9, none, NULL))",
        "response: content type of 4096 bytes",
    ),
    "stream of no function": (
        'N(0x10012, 200, "a/b", 3, 9, large, 0)',
        'V(begin_streaming_response(200, "a/b", 3, 9,'
        " (kvm_stream_func)(void *)large, NULL))",
        "is not a function of the program",
    ),
    "piece of 0 bytes": (
        'N(0x10012, 200, "a/b", 3, 9, none, 0)',
        'V(begin_streaming_response(200, "a/b", 3, 9, none, NULL))',
        "a piece of 0 bytes: expected 1 to 9",
    ),
    "piece of too many bytes": (
        'N(0x10012, 200, "a/b", 3, 9, too_much, 0)',
        'V(begin_streaming_response(200, "a/b", 3, 9, too_much, NULL))',
        "a piece of 10 bytes: expected 1 to 9",
    ),
}
FIELDS = {
    "3 bytes": "a:b",
    "no colon": "abcd",
    "no name": ": bc",
    "no value": "abc:",
    "no space": "a:bc",
    "space before": " a: b",
    "space behind": "a: b ",
}
HEADERS = {
    f"append, {name}": (
        f'N(0x10020, 1, "{field}", {len(field)})',
        f'N(0x10020, 0, "{field}", {len(field)})',
        f'sys_http_append(RESPONSE, "{field}", {len(field)})',
        f'http_append(RESPONSE, "{field}", {len(field)})',
        f'http_append_str(REQUEST, "{field}")',
        f'http_appendf(BERESP, "{field}")',
        "malformed header",
    )
    for name, field in FIELDS.items()
} | {
    f"set, {name}": (
        f'N(0x10021, 1, "{field}", {len(field)})',
        f'N(0x10021, 0, "{field}", {len(field)})',
        f'sys_http_set(RESPONSE, "{field}", {len(field)})',
        f'http_set(RESPONSE, "{field}", {len(field)})',
        f'http_set_str(REQUEST, "{field}")',
        f'http_setf(BERESP, "{field}")',
        "malformed header",
    )
    for name, field in FIELDS.items()
    if ":" in field
}
HEADERS |= {
    "append, 65536 bytes": (
        "N(0x10020, 1, large, 65536)",
        "http_append(RESPONSE, large, 65536)",
        "http_append_str(RESPONSE, large)",
        'http_appendf(RESPONSE, "%s", large)',
        "header of 65536 bytes",
    ),
    "set, 65536 bytes": (
        "N(0x10021, 1, large, 65536)",
        "http_set(RESPONSE, large, 65536)",
        'http_setf(RESPONSE, "%s", large)',
        "header of 65536 bytes",
    ),
    "append, unreadable": (
        "N(0x10020, 1, NOWHERE, 8)",
        "sys_http_append(RESPONSE, NOWHERE, 8)",
        "header: unreadable text",
    ),
    "set, unreadable": (
        "N(0x10021, 1, NOWHERE, 8)",
        "sys_http_set(RESPONSE, NOWHERE, 8)",
        "header: unreadable text",
    ),
    "find, unreadable": (
        "N(0x10022, 0, NOWHERE, 8, 0, 0)",
        "sys_http_find(REQUEST, NOWHERE, 8, NULL, 0)",
        "http_find: unreadable name",
    ),
    "find, missing": (
        'N(0x10022, 0, "None", 4, room, 64)',
        'sys_http_find(REQUEST, "None", 4, room, 64)',
        'http_find_str(REQUEST, "None", room, 64)',
        'http_find_strlen(REQUEST, "None")',
        '(long)http_alloc_find(REQUEST, "None")',
        0,
    ),
    "find, unwritable": (
        'N(0x10022, 0, "Host", 4, NOWHERE, 64)',
        'sys_http_find(REQUEST, "Host", 4, (void *)NOWHERE, 64)',
        "unwritable memory",
    ),
    "method, unwritable": (
        "N(0x10023, NOWHERE, 64)",
        "sys_http_method((void *)NOWHERE, 64)",
        "unwritable memory",
    ),
}
REST = {
    "register in a request": (
        "N(0x10000, 1, on_get)",
        "register_func(1, (void (*)(void))on_get)",
        "V(set_backend_get(on_get))",
        "V(set_backend_request(NULL))",
        "V(set_on_error(NULL))",
        "register_func after wait_for_requests",
    ),
    "wait in a request": (
        "N(0x10001)",
        "V(wait_for_requests())",
        "wait_for_requests in a request",
    ),
    "paused wait in a request": (
        "N(0x10002, &request)",
        "V(wait_for_requests_paused(&request))",
        "wait_for_requests_paused without a response",
    ),
    "ephemeral that is not to be controlled": (
        "N(0x10703, 0)",
        "sys_make_ephemeral(false)",
        -1,
    ),
    "no shared memory": (
        "N(0x10700)",
        "(long)sys_shared_memory_area().end",
        "(long)shared_memory_area().ptr",
        "(long)SHM_ALLOC_BYTES(1)",
        "(long)SHM_ALLOC_TYPE(extra)",
        0,
    ),
    "meminfo, unwritable": (
        "N(0x10A00, NOWHERE, 32)",
        "sys_meminfo((struct meminfo *)NOWHERE, 32)",
        "meminfo: unwritable memory",
    ),
    "log, unreadable": (
        "N(0x7F000, NOWHERE, 8)",
        "V(sys_log(NOWHERE, 8))",
        "log: unreadable text",
    ),
    "regex, malformed": ('N(0x10030, "(", 1)', 'sys_regex_compile("(", 1)', -22),
    "regex, unreadable": (
        "N(0x10030, NOWHERE, 8)",
        "sys_regex_compile(NOWHERE, 8)",
        "unreadable pattern",
    ),
    "regex, no handle": (
        "N(0x10031, 9)",
        'N(0x10032, 9, "a", 1)',
        "N(0x10035, 9, 0, 1)",
        "sys_regex_free(9)",
        'sys_regex_match(9, "a", 1)',
        "sys_regex_copyto(9, REQUEST, RESPONSE)",
        -22,
    ),
    "regex, nothing to replace": (
        'N(0x10033, 9, "a", "b", room, 64, 1)',
        'sys_regex_subst(9, "a", "b", room, 64, 1)',
        -1,
    ),
    "fetch, unreadable": (
        "N(0x20000, NOWHERE, 8, 0, &fetched)",
        "sys_fetch(NOWHERE, 8, NULL, &fetched)",
        -14,
    ),
    "fetch, no URL": (
        'N(0x20000, "", 0, 0, &fetched)',
        'sys_fetch("", 0, NULL, &fetched)',
        -22,
    ),
    "result of no storage function": (
        'N(0x10011, "x", 1)',
        'N(0x10013, "x", 1)',
        'V(storage_return("x", 1))',
        "V(storage_return_nothing())",
        'V(storage_noreturn("x", 1))',
        "storage_return outside of a storage call",
    ),
    "unknown": ("N(0x10040)", "kvm_api_call(0x10040, 0, 0, 0, 0)", -38),
}
STORAGE = {
    "65 buffers": (
        "N(0x10708, stored, 65, buffers, 0, 0)",
        "storage_callv(stored, 65, buffers, NULL, 0)",
        -1,
    ),
    "unreadable buffers": (
        "N(0x10708, stored, 1, NOWHERE, 0, 0)",
        "storage_callv(stored, 1, (struct virtbuffer *)NOWHERE, NULL, 0)",
        "storage call: unreadable buffers",
    ),
    "unreadable buffer": (
        "(buffers[2].data = NOWHERE, N(0x10708, stored, 3, buffers, 0, 0))",
        "(buffers[2].data = NOWHERE, storage_callv(stored, 3, buffers, NULL, 0))",
        "storage call: buffer 2 is unreadable",
    ),
    "one unreadable buffer": (
        "(buffers[0].data = NOWHERE, N(0x10708, stored, 1, buffers, 0, 0))",
        "storage_call(stored, NOWHERE, 1, NULL, 0)",
        "storage call: buffer 0 is unreadable",
    ),
    "function not allowed": (
        "N(0x10708, other, 0, 0, 0, 0)",
        "storage_callv(other, 0, NULL, NULL, 0)",
        "storage_call(other, NULL, 0, NULL, 0)",
        "N(0x10709, other, 0, 0, 0, 0)",
        "storage_task(other, NULL, 0)",
        "schedule_storage_task(other, NULL, 0, 1, 1)",
        "is not on the allow list",
    ),
    "no buffer and no result": (
        "N(0x10708, stored, 0, 0, 0, 0)",
        "storage_callv(stored, 0, NULL, NULL, 0)",
        -1,
    ),
    "task of more than 2 MB": (
        "N(0x10709, stored, large, (2 << 20) + 1, 0, 0)",
        "storage_task(stored, large, (2 << 20) + 1)",
        "sys_storage_task(stored, large, (2 << 20) + 1, 0, 0)",
        "schedule_storage_task(stored, large, (2 << 20) + 1, 1, 0)",
        -7,
    ),
    "task, unreadable": (
        "N(0x10709, stored, NOWHERE, 8, 0, 0)",
        "storage_task(stored, NOWHERE, 8)",
        "storage task: unreadable argument",
    ),
    "no such timer": ("N(0x1070A, 7)", "stop_storage_task(7)", -2),
}
NO_STORAGE = {
    "storage": (
        "N(0x10708, stored, 0, 0, 0, 0)",
        "storage_callv(stored, 0, NULL, NULL, 0)",
        "storage_call(stored, NULL, 0, NULL, 0)",
        "N(0x10709, stored, 0, 0, 0, 0)",
        "storage_task(stored, NULL, 0)",
        "N(0x1070A, 7)",
        "stop_storage_task(7)",
        "storage is not enabled",
    ),
}
OUTSIDE = {
    "append": ('N(0x10020, 1, "a: b", 4)', 'http_append_str(RESPONSE, "a: b")'),
    "set": ('N(0x10021, 1, "a: b", 4)', 'http_set_str(RESPONSE, "a: b")'),
    "find": ('N(0x10022, 0, "Host", 4, 0, 0)', 'http_find_strlen(REQUEST, "Host")'),
    "method": ("N(0x10023, 0, 0)", "http_method(NULL, 0)"),
    "cacheable": ("N(0x10005, 1, 1, 1, 1)", "V(set_cacheable(true, 1, 1, 1))"),
    "copyto": ("N(0x10035, 1, 0, 1)", "sys_regex_copyto(1, REQUEST, RESPONSE)"),
    "response": (
        'N(0x10010, 200, "a/b", 3, "x", 1, 0)',
        'V(backend_response_str(200, "a/b", "x"))',
    ),
    "stream": (
        'N(0x10012, 200, "a/b", 3, 9, none, 0)',
        'V(begin_streaming_response(200, "a/b", 3, 9, none, NULL))',
    ),
}
OUTSIDE = {name: (*row, "outside of a request") for name, row in OUTSIDE.items()}
IN_STORAGE = OUTSIDE | {
    "fetch": (
        'N(0x20000, "/x", 2, 0, &fetched)',
        'sys_fetch("/x", 2, NULL, &fetched)',
        "fetch in storage",
    ),
    "register": (
        "N(0x10000, 1, on_get)",
        "V(set_backend_get(on_get))",
        "register_func after wait_for_requests",
    ),
    "wait": ("N(0x10001)", "V(wait_for_requests())", "wait_for_requests in a request"),
    "allow": (
        "N(0x10707, stored)",
        "V(sys_storage_allow(stored))",
        "V(STORAGE_ALLOW(stored))",
        "storage_allow after wait_for_requests",
    ),
    "result": (
        "N(0x10011, NOWHERE, 8)",
        "N(0x10013, NOWHERE, 8)",
        "V(storage_noreturn(NOWHERE, 8))",
        "storage_return: unreadable result",
    ),
    "storage": (
        "N(0x10708, stored, 0, 0, 0, 0)",
        "storage_callv(stored, 0, NULL, NULL, 0)",
        "storage_call(stored, NULL, 0, NULL, 0)",
        -1,
    ),
    "ephemeral": ("N(0x10703, 0)", "sys_make_ephemeral(false)", -1),
    "task": (
        "N(0x10709, stored, large, (2 << 20) + 1, 0, 0)",
        "storage_task(stored, large, (2 << 20) + 1)",
        -7,
    ),
    "no such timer": ("N(0x1070A, 7)", "stop_storage_task(7)", -2),
}
IN_MAIN = OUTSIDE | {
    "register 0": ("N(0x10000, 0, on_get)", "register_func(0, later)", "callback 0 is"),
    "register 8": ("N(0x10000, 8, on_get)", "register_func(8, later)", "callback 8 is"),
    "register no function": (
        "N(0x10000, 1, large)",
        "V(set_backend_get((kvm_get_func)(void *)large))",
        "V(set_backend_stream_post((kvm_stream_post_func)(void *)large))",
        "is not a function of the program",
    ),
    "allow no function": (
        "N(0x10706) && N(0x10707, large)",
        "V(IS_STORAGE() ? STORAGE_ALLOW((void (*)(void))(void *)large) : (void)0)",
        "is not a function of the program",
    ),
    "paused wait with no request": (
        "!N(0x10706) && N(0x10002, NOWHERE)",
        "V(IS_STORAGE() ? (void)0"
        " : wait_for_requests_paused((struct kvm_request *)NOWHERE))",
        "wait_for_requests_paused: unwritable request",
    ),
    "result": (
        'N(0x10011, "x", 1)',
        'V(storage_noreturn("x", 1))',
        "storage_return outside of a storage call",
    ),
}

PROGRAM = r"""
#include "kvm_api.h"
#define N(...) N_(__VA_ARGS__, 0, 0, 0, 0, 0, 0)
#define N_(nr, a, b, c, d, e, f, ...) kvm_api_call6(nr, (uint64_t)(a), \
    (uint64_t)(b), (uint64_t)(c), (uint64_t)(d), (uint64_t)(e), (uint64_t)(f))
#define V(...) ((__VA_ARGS__), 0L)
#define NOWHERE ((const char *)64)
static char room[64], large[(2 << 20) + 1];
static struct virtbuffer buffers[65];
static struct ResponseHeader malformed[] = {{"a:b", 3}};
static struct BackendResponseExtra extra = {malformed, 1};
static struct kvm_request request;
static struct curl_op fetched;
static struct streaming_content give(size_t len)
{
    struct streaming_content made = {large, len};
    return made;
}
static struct streaming_content none(void *arg, size_t max, size_t done, size_t total)
{ return give(0); }
static struct streaming_content too_much(void *arg, size_t max, size_t done, size_t all)
{ return give(max + 1); }
static void later(void) {}
static void on_get(const char *url, const char *arg);
static void stored(size_t n, struct virtbuffer buf[], size_t res);
static void other(size_t n, struct virtbuffer buf[], size_t res) {}
static long made(int number)
{
#define callback_ends() -1000
    switch (number) {
CASES
    }
    return -1000;
}
/* Makes the call that its buffer names. */
static void stored(size_t n, struct virtbuffer buf[], size_t res)
{
    if (n == 0 || buf[0].len != sizeof(int))
        return;
    const long ret = made(*(const int *)buf[0].data);
    storage_return(&ret, sizeof ret);
}
/* /NUMBER makes a call here, /sNUMBER in storage. */
static void on_get(const char *url, const char *arg)
{
    const int number = atoi(url + 1 + (url[1] == 's'));
    long got = 0, ret;
    if (url[1] == 's' && storage_call(stored, &number, 4, &got, 8) != sizeof got)
        backend_response_str(200, "text/plain", "failed");
    ret = url[1] == 's' ? got : made(number);
    if (ret == -1000)
        return;
    snprintf(room, sizeof room, "%ld", ret);
    backend_response_str(200, "text/plain", room);
}
int main(void)
{
    for (int i = 0; i < 65; i++)
        buffers[i] = (struct virtbuffer){large, 1};
    strcpy(large, "a: ");
    memset(large + 3, 'b', 65536 - 3);
    sys_regex_compile("a", 1);
    STORAGE_ALLOW(stored);
    set_backend_get(on_get);
    if (getenv("CALL"))
        made(atoi(getenv("CALL")));
    wait_for_requests();
}
"""


@pytest.fixture(params=["gcc", "g++"])
def calling(request, guest):
    """calling(rows): starts the program with the calls of (rows); .each has, for every
    call, its number, itself, and what is to become of it."""

    def start(rows: dict, **options):
        calls = [(call, row[-1]) for row in rows.values() for call in row[:-1]]
        cases = "\n".join(f"case {n}: return {c};" for n, (c, _) in enumerate(calls))
        start.each = [(number, *call) for number, call in enumerate(calls)]
        return guest(
            PROGRAM.replace("CASES", cases),
            whole=True,
            compiler=request.param,
            flags=("-static", "-fpermissive")[: 1 + (request.param == "g++")],
            **options,
        )

    return start


@pytest.mark.parametrize(
    ("rows", "storage"),
    [
        (RESPONSES, False),
        (HEADERS, False),
        (REST, False),
        (NO_STORAGE, False),
        (STORAGE, True),
    ],
    ids=["responses", "headers", "rest", "no storage", "storage"],
)
def test_a_mistake_in_a_request_has_the_result_that_the_rules_name(
    calling, rows, storage
):
    vm = calling(rows, storage=storage)
    for number, call, result in calling.each:
        answer = vm.get(f"/{number}")
        if isinstance(result, int):
            assert (answer.body, vm.failure) == (b"%d" % result, ""), call
        else:
            assert result in vm.failure, call
            assert vm.discarded, call
            assert answer.status == (200 if "a piece of" in result else 500), call


def test_a_mistake_in_storage_fails_its_function_or_has_a_result(calling):
    vm = calling(IN_STORAGE, storage=True)
    for number, call, result in calling.each:
        before = len(vm.lines())
        said = vm.text(f"/s{number}")
        lines = " ".join(text for _, text in vm.lines()[before:])
        if isinstance(result, int):
            assert (said, lines) == (str(result), ""), call
        else:
            assert said == "failed", call
            assert result in lines, call


def test_a_mistake_in_main_fails_the_start(calling):
    calling(IN_MAIN, storage=True)
    for number, call, result in calling.each:
        with pytest.raises(NativeError) as error:
            calling(IN_MAIN, storage=True, environment=(f"CALL={number}",))
        assert result in str(error.value), call
