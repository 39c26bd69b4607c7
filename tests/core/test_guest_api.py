"""The guest API, call by call: what a program may ask of the host, both ways, and every
limit and error of it. Storage and shared memory have files of their own."""

import pytest
from support.clones import FAILED

from skerry.message import Request, Response
from skerry.native import NativeError, Stream

pytestmark = pytest.mark.core

ENOSYS = -38

# Answers to a POST by what its url says is to be done with the body: a header operation
# by number (/sys_...) or in its fast form. The answer is what the operation returned.
OPERATIONS = r"""
static void on_post(const char *url, const char *arg, const char *type,
                    const uint8_t *data, size_t len)
{
    const int where = strstr(url, "request") ? REQUEST : RESPONSE;
    const char *text = (const char *)data;
    long ret = -1;
    if (strstr(url, "/append"))
        ret = http_append(where, text, len);
    if (strstr(url, "/sys_append"))
        ret = sys_http_append(where, text, len);
    if (strstr(url, "/set"))
        ret = http_set(where, text, len);
    if (strstr(url, "/sys_set"))
        ret = sys_http_set(where, text, len);
    reply("%ld", ret);
}
START { set_backend_post(on_post); }
HANDLE { reply("no body"); }
"""


def do(vm, url: str, body: bytes) -> tuple[int, bytes]:
    """Status and body of the answer to a POST of (body) to (url)."""
    answer = vm.request(
        Request(b"POST", url.encode(), b"", b"Host: test\r\n", b"text/plain", body)
    )
    return answer.status, answer.body


def lines(head: bytes) -> list[str]:
    """The header lines of (head), without the content type."""
    return head.decode().split("\r\n")[1:-1]


# --- Registration and dispatch ---

CALLBACKS = r"""
#include "kvm_api.h"
static void say(const char *who) { backend_response_str(200, "text/plain", who); }
static void on_get(const char *url, const char *arg) { say("get"); }
static void on_post(const char *url, const char *arg, const char *type,
                    const uint8_t *data, size_t len) { say("post"); }
static void on_request(const struct kvm_request *request) { say("request"); }
static void other_get(const char *url, const char *arg) { say("other get"); }
int main(void) { %s wait_for_requests(); }
"""
GET, POST = "set_backend_get(on_get);", "set_backend_post(on_post);"
REQUEST = "set_backend_request(on_request);"


@pytest.mark.parametrize(
    ("registered", "without_body", "with_body"),
    [
        (GET, "get", "get"),
        (GET + POST, "get", "post"),
        (POST + GET, "get", "post"),
        (REQUEST, "request", "request"),
        (GET + POST + REQUEST, "request", "request"),
        (REQUEST + POST + GET, "request", "request"),
        (GET + "set_backend_get(other_get);", "other get", "other get"),
    ],
)
def test_a_request_goes_to_request_else_with_a_body_to_post_else_to_get(
    guest, registered, without_body, with_body
):
    vm = guest(CALLBACKS.replace("%s", registered), whole=True)
    for method in (b"GET", b"POST", b"DELETE"):
        plain = Request(method, b"/", b"", b"", b"", b"")
        loaded = Request(method, b"/", b"", b"", b"", b"body")
        assert vm.request(plain).body == without_body.encode()
        assert vm.request(loaded).body == with_body.encode()


def test_a_program_without_callbacks_fails_its_requests(guest):
    vm = guest(CALLBACKS.replace("%s", ""), whole=True)
    assert vm.get().status == 500
    assert "callback" in vm.failure


@pytest.mark.parametrize("index", ["0", "8", "-1", "1ul << 32", "1ul << 63"])
def test_registering_an_unknown_callback_fails_the_start(guest, index):
    with pytest.raises(NativeError, match="start-up: register_func"):
        guest(
            f"START {{ kvm_api_call(KVM_API_REGISTER_FUNC, {index}, on_get, 0, 0); }}"
            'HANDLE { reply("x"); }'
        )


NOT_FUNCTIONS = {
    "null": "0",
    "data": "data",
    "stack": "stack",
    "descriptor tables": "0x1000",
    "exception stubs": "0x4000",
    "system call stub": "0x5000",
    "trampoline": "0x6000",
    "exchange page": "0x100000",
    "end of memory": "0x4000000",
    "page tables": "0x6000000",
    "upper half": "0x8000000000000000",
    "last byte": "0xffffffffffffffff",
}
REGISTER_A_PLACE = r"""
static int data = 1;
START {
    const char *name = getenv("PLACE");
    int local;
    uint64_t place = strtoul(name, NULL, 0);
    if (!strcmp(name, "data"))
        place = (uint64_t)&data;
    if (!strcmp(name, "stack"))
        place = (uint64_t)&local;
    if (getenv("ALLOW"))
        kvm_api_call(KVM_API_STORAGE_ALLOW, place, 0, 0, 0);
    else
        kvm_api_call(KVM_API_REGISTER_FUNC, KVM_API_ON_POST, place, 0, 0);
}
HANDLE { reply("x"); }
"""


@pytest.mark.parametrize("place", NOT_FUNCTIONS)
@pytest.mark.parametrize("how", ["REGISTER=1", "ALLOW=1"])
def test_what_is_not_the_programs_code_is_no_callback(guest, how, place):
    environment = (how, "PLACE=" + NOT_FUNCTIONS[place])
    with pytest.raises(NativeError, match="not a function of the program"):
        guest(REGISTER_A_PLACE, storage="ALLOW" in how, environment=environment)


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        ("set_backend_get(on_get);", "register_func after wait_for_requests"),
        ("wait_for_requests();", "wait_for_requests in a request"),
    ],
)
def test_calls_of_start_up_fail_a_request(guest, call, reason):
    vm = guest(f'START {{}} HANDLE {{ {call} reply("x"); }}')
    assert vm.get().status == 500
    assert vm.failure == reason


@pytest.mark.parametrize(
    "call",
    [
        'http_append_str(RESPONSE, "A: b");',
        'http_set_str(RESPONSE, "A: b");',
        'http_unset_str(REQUEST, "Host");',
        'http_find_strlen(REQUEST, "Host");',
        "http_method(NULL, 0);",
        'backend_response_str(200, "text/plain", "x");',
    ],
)
def test_http_calls_fail_the_start(guest, call):
    with pytest.raises(NativeError, match=r"start-up: .* outside of a request"):
        guest(f'START {{ {call} }} HANDLE {{ reply("x"); }}')


def test_the_trampolines_own_call_is_not_the_programs(guest):
    vm = guest(
        'START {} HANDLE { kvm_api_call(KVM_API_RETURNED, 0, 0, 0, 0); reply("x"); }'
    )
    assert vm.get().status == 500
    with pytest.raises(NativeError, match="trampoline"):
        guest(
            "START { kvm_api_call(KVM_API_RETURNED, 0, 0, 0, 0); }"
            'HANDLE { reply("x"); }'
        )


# --- What a callback gets ---


def test_url_and_arg_are_strings_that_may_be_written_to(guest):
    vm = guest(
        r"""
        START {}
        HANDLE {
            char *mine = (char *)url, *other = (char *)arg;
            size_t len = strlen(mine), empty = strlen(other);
            mine[0] = '!';
            mine[len] = '?';
            other[0] = 'x';
            reply("%zu %zu %.*s", len, empty, (int)len + 1, mine);
        }
        """
    )
    assert vm.text("/a/b?c=d%20e") == "12 0 !a/b?c=d%20e?"
    assert vm.text("/" + "u" * 3000) == "3001 0 !" + "u" * 3000 + "?"


def test_post_gets_url_type_and_the_whole_body(guest):
    vm = guest(
        r"""
        static void on_post(const char *url, const char *arg, const char *type,
                            const uint8_t *data, size_t len)
        {
            unsigned long sum[2] = {0, 0};
            for (size_t i = 0; i < len; i++)
                sum[i % 2] += data[i];
            reply("%s [%s] [%s] %zu %lu %lu", url, arg, type, len, sum[0], sum[1]);
        }
        START { set_backend_post(on_post); }
        HANDLE { reply("get"); }
        """
    )
    for body in (b"x", b"\0\xff\r\n" * 1000, b"long" * 250_000):
        sums = f"{sum(body[::2])} {sum(body[1::2])}"
        told = f"/p?q [] [text/plain] {len(body)} {sums}"
        assert do(vm, "/p?q", body) == (200, told.encode())


def test_a_body_up_to_the_inbox_is_taken_and_a_larger_one_fails(guest):
    vm = guest(
        r"""
        static void on_post(const char *url, const char *arg, const char *type,
                            const uint8_t *data, size_t len)
        {
            reply("%zu %c %d", len, data[len - 1], data[len]);
        }
        START { set_backend_post(on_post); }
        HANDLE { reply("get"); }
        """,
        max_memory=16,
    )
    limit = vm.snapshot.body_limit
    assert do(vm, "/", b"a" * (limit - 1) + b"z") == (200, f"{limit} z 0".encode())
    assert do(vm, "/", b"a" * (limit + 1))[0] == 500
    assert "does not fit" in vm.failure
    assert do(vm, "/", b"ab") == (200, b"2 b 0")


STACK = r"""
static int aligned(const void *frame) { return (uintptr_t)frame %% 16 == 0; }
__attribute__((noinline)) static void use_stack(void)
{
    volatile char room[1 << 20];
    for (size_t i = 0; i < sizeof room; i += 64)
        room[i] = 1;
}
/* Words that are not 0 in 1 MB of stack, below what the callback itself uses. */
__attribute__((noinline)) static size_t used(const char *here)
{
    size_t found = 0;
    const volatile long *end = (void *)(here - 8192);
    for (const volatile long *at = end - (1 << 17); at < end; at++)
        found += *at != 0;
    return found;
}
#define CHECK \
    const char *frame = __builtin_frame_address(0); \
    const size_t found = used(frame); \
    use_stack(); \
    reply("%%d %%zu", aligned(frame), found)
static void on_post(const char *url, const char *arg, const char *type,
                    const uint8_t *data, size_t len) { CHECK; }
static void on_request(const struct kvm_request *request) { CHECK; }
START { %s }
HANDLE { CHECK; }
"""


@pytest.mark.parametrize("registered", ["", POST, REQUEST])
def test_a_callback_begins_on_an_aligned_stack_of_zeros(guest, registered):
    vm = guest(STACK.replace("%s", registered).replace("%%", "%"))
    for url in ("/", "/1", "/" + "4" * 1000):
        for body in (b"", b"b"):
            request = Request(b"PUT", url.encode(), b"", b"A: b\r\n", b"t", body)
            assert vm.request(request).body == b"1 0"


SHOW_REQUEST = r"""
static void on_request(const struct kvm_request *r)
{
    static char text[1 << 20];
    char *at = text;
#define SHOW(...) at += sprintf(at, __VA_ARGS__)
#define STRING(x) SHOW(#x " %u [%s] %d\n", r->x##_len, r->x, r->x[r->x##_len])
    STRING(method);
    STRING(url);
    STRING(arg);
    STRING(content_type);
    SHOW("content %zu %s\n", r->content_len, r->content ? (char *)r->content : "NULL");
    SHOW("flags %u reserved %u headers %u\n", r->info_flags, r->reserved,
         r->num_headers);
    for (int i = 0; i < r->num_headers; i++) {
        struct kvm_request_header h = r->headers[i];
        SHOW("%u %u %s %d\n", h.field_colon, h.field_len, h.field,
             h.field[h.field_len]);
    }
    backend_response(200, "text/plain", 10, text, at - text);
}
START { set_backend_request(on_request); }
HANDLE { reply("get"); }
"""


def test_the_request_callback_gets_everything_with_its_lengths(guest):
    vm = guest(SHOW_REQUEST)
    headers = b"Host: a.example\r\nX-Empty: \r\nx-two: 1: 2\r\nx-two: 3\r\n"
    request = Request(b"PATCH", b"/u?v", b"a", headers, b"a/b", b"the body")
    assert vm.request(request).body.decode().splitlines() == [
        "method 5 [PATCH] 0",
        "url 4 [/u?v] 0",
        "arg 0 [] 0",
        "content_type 3 [a/b] 0",
        "content 8 the body",
        "flags 0 reserved 0 headers 4",
        "4 15 Host: a.example 0",
        "7 9 X-Empty:  0",
        "5 11 x-two: 1: 2 0",
        "5 8 x-two: 3 0",
    ]
    bare = vm.request(Request(b"GET", b"/", b"", b"", b"", b""))
    assert bare.body.decode().splitlines()[3:] == [
        "content_type 0 [] 0",
        "content 0 NULL",
        "flags 0 reserved 0 headers 0",
    ]


def test_a_request_may_have_a_thousand_headers(guest):
    vm = guest(SHOW_REQUEST)
    headers = b"".join(b"X-%d: %s\r\n" % (i, b"v" * (i % 50)) for i in range(1000))
    request = Request(b"GET", b"/" + b"u" * 8000, b"", headers, b"", b"")
    shown = vm.request(request).body.decode().splitlines()
    assert shown[5].endswith("headers 1000")
    assert len(shown) == 1006
    assert shown[-1] == f"5 56 X-999: {'v' * 49} 0"


def test_a_head_over_its_limit_fails_and_harms_nothing(guest):
    vm = guest(SHOW_REQUEST)
    huge = [
        Request(b"GET", b"/" + b"u" * 70000, b"", b"", b"", b""),
        Request(b"GET", b"/", b"", b"A: " + b"h" * (1 << 20) + b"\r\n", b"", b""),
        Request(b"GET", b"/", b"", b"", b"t" * 70000, b""),
    ]
    for request in huge:
        assert vm.request(request).status == 500
        assert "request head" in vm.failure
        assert vm.get().status == 200


def test_random_bits_are_fresh_in_every_request_and_clone(guest):
    vm = guest(
        r"""
        static void on_request(const struct kvm_request *r)
        {
            reply("%016lx %016lx", r->prng[0], r->prng[1]);
        }
        START { set_backend_request(on_request); }
        HANDLE { reply("get"); }
        """
    )
    words = " ".join(vm.text() for _ in range(40)).split()
    with vm.clone() as other:
        words += other.serve(Request(b"GET", b"/")).body.decode().split()
    assert len(set(words)) == len(words) == 82


# --- Responses ---

RESPOND = r"""
static void on_post(const char *url, const char *arg, const char *type,
                    const uint8_t *data, size_t len)
{
    const long number = atol(url + 1);
    static char type_of[8192];
    memset(type_of, 't', sizeof type_of);
    if (data[0] == 's')
        sys_backend_response(number, "text/plain", 10, "x", 1, NULL);
    if (data[0] == 't')
        backend_response(200, type_of, number, "x", 1);
    if (data[0] == 'n')
        backend_response(200, "text/plain", 10, NULL, number);
    if (data[0] == 'c')
        backend_response(200, data + 1, len - 1, "x", 1);
}
START { set_backend_post(on_post); }
HANDLE { reply("get"); }
"""


def test_a_status_is_200_to_599(guest):
    vm = guest(RESPOND)
    good = [200, 201, 204, 299, 304, 404, 500, 599]
    bad = [199, 600, 0, -1, 100, 999, 32767, -32768]
    assert [do(vm, f"/{status}", b"s")[0] for status in good] == good
    for status in bad:
        assert do(vm, f"/{status}", b"s") == FAILED
        assert vm.failure == f"response: status {status}"


def test_a_content_type_has_at_most_4095_bytes(guest):
    vm = guest(RESPOND)
    assert do(vm, "/4095", b"t") == (200, b"x")
    for length in (4096, 65536, -1):
        assert do(vm, f"/{length}", b"t")[0] == 500
        assert "content type of" in vm.failure


def test_no_content_type_is_left_to_the_host(guest):
    vm = guest(RESPOND)
    answer = vm.request(Request(b"POST", b"/0", b"", b"", b"", b"t"))
    assert answer.head == b"Content-Type: application/octet-stream\r\n"


@pytest.mark.parametrize("kind", [b"a\r\nX: y", b"a\nb", b"a\0b", b"\x7f"])
def test_a_content_type_cannot_split_a_response(guest, kind):
    vm = guest(RESPOND)
    assert do(vm, "/", b"c" + kind) == FAILED
    assert "control characters" in vm.failure


def test_null_is_an_empty_body_only_with_no_length(guest):
    vm = guest(RESPOND)
    assert do(vm, "/0", b"n") == (200, b"")
    assert do(vm, "/1", b"n")[0] == 500
    assert vm.failure == "response: unreadable body"


def test_returning_without_a_response_fails(guest):
    vm = guest("START {} HANDLE {}")
    assert vm.get().status == 500
    assert "returned without a response" in vm.failure


def test_a_response_ends_the_callback(guest):
    vm = guest('START {} HANDLE { reply("first"); reply("second"); __builtin_trap(); }')
    assert [vm.text(), vm.text()] == ["first", "first"]


EXTRA = r"""
static void on_post(const char *url, const char *arg, const char *type,
                    const uint8_t *data, size_t len)
{
    static struct ResponseHeader headers[70];
    static char text[70][32];
    struct BackendResponseExtra extra = {headers, atoi(url + 1), true, 1, 2, 3};
    for (int i = 0; i < 70; i++) {
        headers[i].field = text[i];
        headers[i].field_len = (size_t)sprintf(text[i], "X-%d: %d", i, i * i);
    }
    headers[0].field = (const char *)data;
    headers[0].field_len = len;
    http_append_str(RESPONSE, "X-Before: 1");
    backend_response_extra(201, "a/b", 3, "body", 4, &extra);
}
START { set_backend_post(on_post); }
HANDLE { reply("get"); }
"""


def test_extra_headers_come_last_and_are_at_most_64(guest):
    vm = guest(EXTRA)
    answer = vm.request(Request(b"POST", b"/64", b"", b"", b"", b"X-Zero: 0"))
    assert (answer.status, answer.body) == (201, b"body")
    numbered = [f"X-{i}: {i * i}" for i in range(1, 64)]
    caching = "Cache-Control: public, max-age=1, stale-while-revalidate=2"
    assert lines(answer.head) == [
        "X-Before: 1",
        "X-Zero: 0",
        *numbered,
        f"{caching}, stale-if-error=3",
    ]
    assert do(vm, "/0", b"ignored") == (201, b"body")
    assert do(vm, "/65", b"X-Zero: 0")[0] == 500
    assert vm.failure == "response: 65 extra headers"


def test_headers_that_frame_a_message_are_the_hosts(guest):
    vm = guest(
        r"""
        START {}
        HANDLE {
            http_append_str(RESPONSE, "Content-Length: 99");
            http_append_str(RESPONSE, "transfer-encoding: chunked");
            http_append_str(RESPONSE, "CONNECTION: upgrade");
            http_append_str(RESPONSE, "Content-Type: not/this");
            http_append_str(RESPONSE, "X-Mine: yes");
            reply("x");
        }
        """
    )
    assert vm.get().head == b"Content-Type: text/plain\r\nX-Mine: yes\r\n"


def test_a_program_may_give_type_date_and_server_as_headers(guest):
    vm = guest(
        r"""
        START {}
        HANDLE {
            http_append_str(RESPONSE, "content-type: a/b");
            http_append_str(RESPONSE, "Date: today");
            http_append_str(RESPONSE, "server: mine");
            backend_response(200, NULL, 0, "x", 1);
        }
        """
    )
    answer = vm.get()
    assert answer.head == b"content-type: a/b\r\nDate: today\r\nserver: mine\r\n"
    assert answer.has == Response.HAS_DATE | Response.HAS_SERVER


# --- on_error ---

ON_ERROR = r"""
static void on_error(const char *url, const char *arg, const char *exception)
{
    if (strstr(url, "again"))
        __builtin_trap();
    if (strstr(url, "silent"))
        return;
    http_append_str(RESPONSE, "X-Error: 1");
    char host[64] = "";
    http_find_str(REQUEST, "host", host, sizeof host);
    char text[512];
    const int len = sprintf(text, "%s|%s|%s|%s", url, arg, exception, host);
    backend_response(strstr(url, "teapot") ? 418 : 503, "text/plain", 10, text, len);
}
START { set_on_error(on_error); }
HANDLE {
    http_append_str(RESPONSE, "X-Lost: gathered");
    sys_http_append(RESPONSE, "X-Lost: called", 14);
    if (strstr(url, "good"))
        reply("good");
    if (strstr(url, "status"))
        backend_response(0, "text/plain", 10, "x", 1);
    http_append_str(RESPONSE, "X-Lost: gathered too");
    __builtin_trap();
}
"""


def test_on_error_answers_for_a_request_that_failed(guest):
    vm = guest(ON_ERROR)
    answer = vm.get("/trap")
    assert answer.status == 503
    assert answer.body.startswith(b"/trap||illegal instruction (vector 6) at 0x")
    assert answer.body.endswith(b"|Host: test")
    assert answer.head == b"Content-Type: text/plain\r\nX-Error: 1\r\n"
    assert vm.failure.startswith("illegal instruction")
    assert vm.get("/teapot/status").body == (
        b"/teapot/status||response: status 0|Host: test"
    )


def test_on_error_leaves_good_requests_alone(guest):
    vm = guest(ON_ERROR)
    assert vm.text("/good") == "good"
    assert vm.failure == ""


@pytest.mark.parametrize("url", ["/again", "/silent"])
def test_an_on_error_that_fails_too_is_a_500(guest, url):
    vm = guest(ON_ERROR)
    answer = vm.get(url)
    assert (answer.status, answer.body) == FAILED
    assert b"X-" not in answer.head
    assert vm.failure.startswith("illegal instruction"), "the first reason is kept"
    assert vm.text("/good") == "good"


def test_on_error_answers_for_a_body_that_does_not_fit(guest):
    vm = guest(ON_ERROR, max_memory=16)
    status, body = do(vm, "/large", b"b" * (vm.snapshot.body_limit + 1))
    assert status == 503
    assert b"does not fit" in body
    assert body.endswith(b"|Host: test")


# --- Headers ---

MALFORMED = [
    b"abcd",  # no colon
    b": bc",  # no name
    b"abc:",  # nothing behind the colon
    b"abc: ",
    b"a:bc",  # no space
    b"a:\tbc",
    b" a: b",  # a space at either end
    b"a: b ",
    b"a b: c",  # not a name
    b"a\0b: c",
    b"\xe4b: c",
    b"a: b\r\nc: d",  # would split the response
    b"a: b\nc",
    b"a: b\rc",
    b"a: b\0c",
    b"a: \x7fb",
    b"a:b",  # 3 bytes
    b"a: ",
]
WELL_FORMED = [
    b"a: b",
    b"A-1_.~!#$%&'*+^`|: all these are names",
    b"name: value: with: colons",
    b"tab: a\tb",
    b"high: \xc3\xa4\xff",
    b"width:   42",
]


@pytest.mark.parametrize("url", ["/append", "/sys_append", "/set", "/sys_set"])
def test_a_field_is_name_colon_space_value(guest, url):
    vm = guest(OPERATIONS)
    good = {field: do(vm, url, field) for field in WELL_FORMED}
    assert good == {field: (200, b"%d" % len(field)) for field in WELL_FORMED}
    malformed = [f for f in MALFORMED if b":" in f or "append" in url]
    bad = {field: do(vm, url, field)[0] for field in malformed}
    assert bad == dict.fromkeys(malformed, 500)
    assert vm.failure == "malformed header"


@pytest.mark.parametrize("url", ["/append", "/sys_append", "/set", "/sys_set"])
def test_a_field_has_4_to_65535_bytes(guest, url):
    vm = guest(OPERATIONS)
    for length in (4, 3900, 3960, 3961, 3968, 4000, 65535):
        field = b"a: " + b"v" * (length - 3)
        assert do(vm, url, field) == (200, b"%d" % length)
        answer = vm.request(Request(b"POST", url.encode(), b"", b"", b"", field))
        assert answer.head == b"Content-Type: text/plain\r\n" + field + b"\r\n"
    for length in (65536, 70000, 1 << 20):
        assert do(vm, url, b"a: " + b"v" * (length - 3))[0] == 500
        assert "header" in vm.failure


def test_setting_nothing_does_nothing(guest):
    vm = guest(
        r"""
        START {}
        HANDLE {
            long a = http_set(RESPONSE, "", 0), b = sys_http_set(RESPONSE, "", 0);
            long c = sys_http_set(REQUEST, NULL, 0);
            reply("%ld %ld %ld", a, b, c);
        }
        """
    )
    assert vm.text() == "0 0 0"


def test_append_adds_set_replaces_and_unset_removes(guest):
    vm = guest(
        r"""
        START {}
        HANDLE {
            http_append_str(RESPONSE, "X-A: 1");
            http_append_str(RESPONSE, "x-a: 2");
            http_append_str(RESPONSE, "X-B: 1");
            http_append_str(RESPONSE, "X-C: 1");
            http_append_str(RESPONSE, "X-D: 1");
            http_set_str(RESPONSE, "X-a: 3");
            http_set_str(RESPONSE, "X-New: 1");
            long ret = http_unset_str(RESPONSE, "x-B");
            ret += http_unset(RESPONSE, "X-C: ", 3);
            ret += http_set_str(RESPONSE, "x-d");
            ret += http_unset_str(RESPONSE, "X-None");
            reply("%ld", ret);
        }
        """
    )
    answer = vm.get()
    assert lines(answer.head) == ["X-a: 3", "X-New: 1"]
    assert answer.body == b"15"


@pytest.mark.parametrize("length", [10, 4000])
def test_a_header_may_be_set_again_and_again(guest, length):
    vm = guest(
        r"""
        START {}
        HANDLE {
            http_append_str(RESPONSE, "X-First: 1");
            for (int i = 0; i < 1000; i++) {
                http_setf(RESPONSE, "X-Set: %0*d", atoi(url + 1), i);
                http_unset_str(RESPONSE, i % 2 ? "X-Odd" : "X-Even");
                http_appendf(RESPONSE, i % 2 ? "X-Even: %d" : "X-Odd: %d", i);
            }
            reply("x");
        }
        """
    )
    expected = ["X-First: 1", f"X-Set: {999:0{length}d}", "X-Even: 999"]
    assert lines(vm.get(f"/{length}").head) == expected


def test_both_ways_mixed_keep_the_order(guest):
    vm = guest(
        r"""
        START {}
        HANDLE {
            http_append_str(RESPONSE, "X-1: fast");
            sys_http_append(RESPONSE, "X-2: number", 11);
            http_appendf(RESPONSE, "X-%d: %s", 3, "fast");
            sys_http_set(RESPONSE, "X-1: number", 11);
            http_set_str(RESPONSE, "X-2: fast");
            http_setf(RESPONSE, "X-%d: fast", 4);
            sys_http_append(RESPONSE, "X-5: number", 11);
            char found[32] = "";
            http_append_str(RESPONSE, "X-6: fast");
            const long len = sys_http_find(RESPONSE, "x-6", 3, found, sizeof found);
            sys_http_set(RESPONSE, "X-5", 3);
            struct ResponseHeader last = {"X-7: extra", 10};
            struct BackendResponseExtra extra = {&last, 1};
            http_append_str(RESPONSE, "X-8: fast");
            backend_response_extra(200, "text/plain", 10, found, len, &extra);
        }
        """
    )
    answer = vm.get()
    assert lines(answer.head) == [
        "X-3: fast",
        "X-1: number",
        "X-2: fast",
        "X-4: fast",
        "X-6: fast",
        "X-8: fast",
        "X-7: extra",
    ]
    assert answer.body == b"X-6: fast"


def test_more_headers_than_the_page_holds_keep_their_order(guest):
    vm = guest(
        r"""
        START {}
        HANDLE {
            for (int i = 0; i < atoi(url + 1); i++)
                http_appendf(RESPONSE, "X-%d: %0*d", i, i * 37 % 150 + 1, i);
            reply("x");
        }
        """
    )
    expected = [f"X-{i}: {i:0{i * 37 % 150 + 1}d}" for i in range(256)]
    assert lines(vm.get("/256").head) == expected
    assert vm.get("/257").status == 500
    assert vm.failure == "too many or large header"


def test_the_page_may_be_lost_and_calls_by_number_go_on(guest):
    vm = guest(
        r"""
        START {}
        HANDLE {
            *(volatile uint32_t *)KVM_API_EXCHANGE_ADDRESS = 0;
            char found[64] = "", method[8] = "";
            http_append_str(RESPONSE, "X-1: a");
            http_find_str(REQUEST, "HOST", found, sizeof found);
            http_method(method, sizeof method);
            reply("%s %s %d", found, method, IS_STORAGE());
        }
        """
    )
    for _ in range(2):
        answer = vm.get()
        assert (lines(answer.head), answer.body) == (["X-1: a"], b"Host: test GET 0")
    assert vm.exits[0] > 1


def test_headers_of_the_request_change_and_stay_out_of_the_response(guest):
    vm = guest(
        r"""
        static char text[4096];
        static void find(const char *key)
        {
            char fast[64] = "", number[64] = "";
            const long a = http_find_str(REQUEST, key, fast, sizeof fast);
            const long b = sys_http_find(REQUEST, key, strlen(key), number, 64);
            sprintf(text + strlen(text), "%s/%s/%ld/%ld\n", fast, number, a, b);
        }
        START {}
        HANDLE {
            find("X-A");
            http_set_str(REQUEST, "X-A: 2");
            find("x-a");
            sys_http_append(REQUEST, "X-B: 3", 6);
            find("x-b");
            http_unset_str(REQUEST, "x-a");
            find("X-A");
            http_append_str(REQUEST, "X-A: 4");
            find("X-A");
            find("Host");
            reply("%s", text);
        }
        """
    )
    for _ in range(2):
        answer = vm.get(headers=b"Host: test\r\nX-A: 1\r\n")
        assert answer.head == b"Content-Type: text/plain\r\n"
        assert answer.body.decode().splitlines() == [
            "X-A: 1/X-A: 1/6/6",
            "X-A: 2/X-A: 2/6/6",
            "X-B: 3/X-B: 3/6/6",
            "//0/0",
            "X-A: 4/X-A: 4/6/6",
            "Host: test/Host: test/10/10",
        ]


# Every name in the query is looked up with every size of buffer, both ways. The answer:
# how often a field was found, and how often the two ways differed.
FIND_BOTH_WAYS = r"""
static int found, differ;
static void compare(const char *key, size_t klen, size_t room, int null)
{
    char a[128], b[128];
    memset(a, '~', sizeof a);
    memset(b, '~', sizeof b);
    const long x = http_find(REQUEST, key, klen, null ? NULL : a, room);
    const long y = sys_http_find(REQUEST, key, klen, null ? NULL : b, room);
    found += x > 0;
    differ += x != y || memcmp(a, b, sizeof a) != 0;
}
START {}
HANDLE {
    for (const char *at = strchr(url, '?'); at; at = strchr(at, '&')) {
        const size_t klen = strcspn(++at, "&");
        compare(at, klen, 0, 1);
        for (size_t room = 0; room < 40; room += 1)
            compare(at, klen, room, 0);
    }
    reply("%d %d", found, differ);
}
"""


def test_finding_by_number_and_in_the_page_is_the_same(guest):
    vm = guest(FIND_BOTH_WAYS)
    headers = (
        b"Host: test\r\nAccept: a\r\naccept: second\r\nX-Empty: \r\n"
        b"x-colons: a:b: c\r\nX_[]^: odd\r\nLonger-Name-Here: 1234567890\r\n"
    )
    keys = (
        "host&HOST&Hos&Hostt&accept&ACCEPT&x-empty&x-colons&x-colons:&&:&x_[]^&x_{}~"
        "&longer-name-here&missing&" + "k" * 300
    )
    lengths = [10] * 2 + [9] * 2 + [9, 16, 10, 28]
    found = sum(1 + 40 - length for length in lengths)
    assert vm.get("/?" + keys, headers).body == b"%d 0" % found


def test_a_found_field_is_copied_without_nul_and_only_if_it_fits(guest):
    vm = guest(
        r"""
        START {}
        HANDLE {
            char out[16] = "~~~~~~~~~~~~~~~";
            const long room = atol(url + 2);
            long ret = url[1] == 'f' ? sys_http_find(REQUEST, "host", 4, out, room)
                                     : sys_http_method(out, room);
            reply("%ld %s", ret, out);
        }
        """
    )
    assert vm.text("/f10") == "10 Host: test~~~~~"
    assert vm.text("/f9") == "0 ~~~~~~~~~~~~~~~"
    assert vm.text("/m3") == "3 GET~~~~~~~~~~~~"
    assert vm.text("/m2") == "0 ~~~~~~~~~~~~~~~"


def test_the_method_is_the_same_both_ways(guest):
    vm = guest(
        r"""
        START {}
        HANDLE {
            char a[32] = "", b[32] = "";
            const long x = http_method(a, 31), y = sys_http_method(b, 31);
            char *own = http_alloc_method();
            reply("%s %s %s %ld %ld %ld %ld %ld", a, b, own, x, y,
                  http_method(NULL, 0), sys_http_method(NULL, 0), http_method(a, 1));
        }
        """
    )
    assert vm.get(method="GET").body == b"GET GET GET 3 3 3 3 0"
    assert vm.get(method="M-SEARCH").body == b"M-SEARCH " * 3 + b"8 8 8 8 0"


def test_headers_are_neither_of_request_nor_of_response_fail(guest):
    vm = guest(
        r"""
        START {}
        HANDLE {
            const long where = atol(url + 2);
            if (url[1] == 'a')
                kvm_api_call(KVM_API_HTTP_APPEND, where, (uint64_t)"a: b", 4, 0);
            if (url[1] == 's')
                kvm_api_call(KVM_API_HTTP_SET, where, (uint64_t)"a: b", 4, 0);
            if (url[1] == 'f')
                kvm_api_call(KVM_API_HTTP_FIND, where, (uint64_t)"a", 1, 0);
            reply("x");
        }
        """
    )
    for call in "asf":
        assert vm.get(f"/{call}1").status == 200
        for where in (2, -1, 1 << 32):
            assert vm.get(f"/{call}{where}").status == 500
            assert "headers of side" in vm.failure


# --- The rest ---


def test_log_lines_carry_the_programs_text(guest):
    vm = guest(
        r"""
        START { sys_log("from main", 9); }
        HANDLE {
            sys_log("one line\n", 9);
            sys_log("two\nlines", 9);
            sys_log("", 0);
            vlogf("formatted %d", 42);
            reply("%ld", kvm_api_call(KVM_API_LOG, (uint64_t)"abcd", 3, 0, 0));
        }
        """
    )
    assert vm.text() == "3"
    log = [text for stream, text in vm.lines() if stream is Stream.LOG]
    expected = ["from main", "one line", "two", "lines", "", "formatted 42", "abc"]
    assert log == expected


def test_a_log_is_cut_off_at_64_kb(guest):
    vm = guest(
        r"""
        static char text[100000];
        START { memset(text, 'x', sizeof text); }
        HANDLE {
            reply("%ld", kvm_api_call(KVM_API_LOG, (uint64_t)text, sizeof text, 0, 0));
        }
        """
    )
    assert vm.text() == "65536"
    assert sum(len(t) for s, t in vm.lines() if s is Stream.LOG) == 65536


def test_an_unknown_call_is_enosys_and_a_line_in_the_log(guest):
    vm = guest(
        r"""
        START {}
        HANDLE {
            reply("%ld", kvm_api_call(strtoul(url + 1, NULL, 0), 1, 2, 3, 4));
        }
        """
    )
    for number in ("0x12345", "0", "0xffffffff"):
        assert vm.text("/" + number) == str(ENOSYS)
        host = [text for stream, text in vm.lines() if stream is Stream.HOST]
        assert len([t for t in host if f"host call {int(number, 0):#x} " in t]) == 1


def test_unknown_calls_do_not_flood_the_log(guest):
    vm = guest(
        r"""
        START {}
        HANDLE {
            for (int i = 0; i < 100; i++)
                kvm_api_call(0x12345, 0, 0, 0, 0);
            reply("x");
        }
        """
    )
    assert vm.text() == "x"
    assert 1 <= len(vm.lines()) <= 20


def test_a_call_keeps_all_registers_but_its_result(guest):
    vm = guest(
        r"""
        START {}
        HANDLE {
            static uint64_t in[14], out[14];
            static char xmm[16];
            for (int i = 0; i < 14; i++)
                in[i] = 0x0101010101010101ul * (i + 1);
            memset(xmm, 'x', 16);
            asm volatile(
                "push %%rbp; movups %[xmm], %%xmm7; std\n"
                "mov 0+%[in], %%rbx; mov 8+%[in], %%rcx; mov 16+%[in], %%rdx\n"
                "mov 24+%[in], %%rsi; mov 32+%[in], %%rdi; mov 40+%[in], %%rbp\n"
                "mov 48+%[in], %%r8; mov 56+%[in], %%r9; mov 64+%[in], %%r10\n"
                "mov 72+%[in], %%r11; mov 80+%[in], %%r12; mov 88+%[in], %%r13\n"
                "mov 96+%[in], %%r14; mov 104+%[in], %%r15\n"
                "mov $0x10706, %%eax; out %%eax, $0\n"
                "mov %%rbx, 0+%[out]; mov %%rcx, 8+%[out]; mov %%rdx, 16+%[out]\n"
                "mov %%rsi, 24+%[out]; mov %%rdi, 32+%[out]; mov %%rbp, 40+%[out]\n"
                "mov %%r8, 48+%[out]; mov %%r9, 56+%[out]; mov %%r10, 64+%[out]\n"
                "mov %%r11, 72+%[out]; mov %%r12, 80+%[out]; mov %%r13, 88+%[out]\n"
                "mov %%r14, 96+%[out]; mov %%r15, 104+%[out]\n"
                "movups %%xmm7, %[xmm]; pushfq; pop %%rbx; mov %%rbx, 0+%[in]\n"
                "cld; pop %%rbp"
                : [in] "+m"(in), [out] "+m"(out), [xmm] "+m"(xmm)
                : : "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10",
                    "r11", "r12", "r13", "r14", "r15", "xmm7", "memory", "cc");
            int same = 0, direction = in[0] >> 10 & 1;
            for (int i = 0; i < 14; i++)
                same += out[i] == 0x0101010101010101ul * (i + 1);
            reply("%d %d %.16s", same, direction, xmm);
        }
        """,
        flags=("-static", "-mno-red-zone", "-fno-pie", "-no-pie"),
    )
    assert vm.text() == "14 1 " + "x" * 16


MEMINFO = r"""
static volatile char heap[3 << 20];
START {}
HANDLE {
    struct meminfo before = get_meminfo(), part = {7, 7, 7, 7};
    for (size_t i = 0; i < sizeof heap; i += 4096)
        heap[i] = 1;
    const struct meminfo after = get_meminfo();
    const long len = sys_meminfo(&part, 16);
    reply("%lu %lu %lu %d %ld %lu %lu %lu", after.max_memory >> 20,
          after.max_reqmem >> 20, (after.reqmem_current - before.reqmem_current) >> 20,
          after.reqmem_upper >= after.reqmem_current, len, part.max_memory >> 20,
          part.max_reqmem >> 20, part.reqmem_current);
}
"""


def test_meminfo_tells_the_limits_and_what_was_written(guest):
    vm = guest(MEMINFO, max_memory=64, max_request_memory=32)
    assert vm.text() == "64 32 3 1 16 64 32 7"


def test_meminfo_remembers_the_most_that_a_request_wrote(guest):
    vm = guest(
        r"""
        static volatile char heap[8 << 20];
        START {}
        HANDLE {
            for (size_t i = 0; i < sizeof heap && url[1]; i += 4096)
                heap[i] = 1;
            const struct meminfo now = get_meminfo();
            reply("%lu %lu", now.reqmem_current >> 20, now.reqmem_upper >> 20);
        }
        """
    )
    assert vm.text("/") == "0 0"
    assert vm.text("/x") == "8 8"
    assert vm.text("/") == "0 8"


# --- What it costs ---

HEADERS = r"""
START {}
HANDLE {
    char host[64];
    for (int i = 0; i < atoi(url + 1); i++)
        http_appendf(RESPONSE, "X-Header-%d: a value of some length, %d", i, i);
    http_set_str(RESPONSE, "X-Set: 1");
    http_find_str(REQUEST, "host", host, sizeof host);
    http_method(host, sizeof host);
    reply("x");
}
"""


@pytest.mark.parametrize("count", [0, 1, 32])
def test_a_plain_request_is_one_exit_whatever_the_number_of_headers(guest, count):
    vm = guest(HEADERS)
    sent = b"".join(b"X-%d: value %d\r\n" % (i, i) for i in range(count))
    for _ in range(3):
        assert vm.get(f"/{count}", b"Host: test\r\n" + sent).status == 200
        assert vm.exits == (1, 0)


def test_a_request_with_a_body_is_one_exit(guest):
    vm = guest(OPERATIONS)
    for _ in range(3):
        assert do(vm, "/append", b"X-A: 1") == (200, b"6")
        assert vm.exits == (1, 0)
