"""A program fetches: what it asks for, and what it gets, by number and by header."""

import errno
import time

import pytest

from skerry.message import Request
from skerry.native import Vm, Warming
from skerry.wanted import MOST, Fetched, failed

pytestmark = pytest.mark.core

PAGE = Fetched(
    0, 200, b"text/html", b"Server: x\r\nContent-Type: text/html\r\n", b"Hello fetch!"
)

# A program in C and C++. One byte of the URL says which way the call is made, and which
# mistake, if any. It answers with all that it finds, and that nothing else has changed.
FETCH = r"""
#include "kvm_api.h"
#include <string.h>

static char url[70000], headers[4096], content[4096];

static long by_number(const char *at, size_t len, const struct curl_options *options,
                      struct curl_op *op)
{
    long ret = 0x20000;
    register const void *fourth __asm__("rcx") = op;
    __asm__ volatile("out %%eax, $0" : "+a"(ret)
                     : "D"(at), "S"(len), "d"(options), "r"(fourth) : "memory");
    return ret;
}

static void answer(long ret, const struct curl_op *op)
{
    char text[8192];
    int len = snprintf(text, sizeof text, "%ld|%u|%s|%u|%u|%u|%.*s|%.*s", ret,
        op->status, op->ctype, op->ctlen, op->headers_length, op->content_length,
        ret ? 0 : (int)op->headers_length, headers,
        ret ? 0 : (int)op->content_length, content);
    backend_response(200, "text/plain", 10, text, (size_t)len);
}

static void on_post(const char *path, const char *arg, const char *type,
                    const uint8_t *data, size_t len)
{
    struct curl_op op;
    struct curl_options options;
    struct curl_fields fields;
    memset(&op, 0, sizeof op);
    memset(&options, 0, sizeof options);
    memset(&fields, 0, sizeof fields);
    op.headers = headers;
    op.headers_length = sizeof headers;
    op.content = content;
    op.content_length = sizeof content;
    memcpy(url, data, len);
    CASE
    answer(path[1] == 'n' ? by_number(at, len, with, to) : sys_fetch(at, len, with, to),
           to == &op ? to : &op);
}

int main(void)
{
    set_backend_post(on_post);
    wait_for_requests();
}
"""


class Fetches:
    """Stands in for who fetches: notes what is wanted, and gives (got)."""

    def __init__(self, got=PAGE):
        self.got = got
        self.wanted = []

    def __call__(self, wanted):
        self.wanted.append(wanted)
        return self.got


WAYS = [
    pytest.param((compiler, path), id=f"{compiler}-{path[1:]}")
    for compiler in ("gcc", "g++")
    for path in ("/number", "/header")
]


@pytest.fixture(params=WAYS)
def fetching(request, guest):
    """fetching(case, got, url): what the program answers, split; .wanted is what it
    asked for. (case) is C: it may change the call."""
    compiler, path = request.param

    def make(case="", got=PAGE, url=b"http://example.com/page"):
        source = FETCH.replace(
            "CASE",
            "const char *at = url; struct curl_op *to = &op;"
            "struct curl_options *with = NULL;" + case,
        )
        fetches = Fetches(got)
        vm = guest(source, whole=True, compiler=compiler, fetch=fetches)
        made = Request(b"POST", path.encode(), b"", b"Host: a\r\n", b"a/b", url)
        response = vm.request(made)
        assert response.status == 200, vm.failure
        make.wanted = fetches.wanted
        return response.body.decode("latin-1").split("|")

    return make


def test_a_get_brings_status_type_headers_and_content(fetching):
    assert fetching() == [
        "0",
        "200",
        "text/html",
        "9",
        str(len(PAGE.headers)),
        "12",
        PAGE.headers.decode(),
        "Hello fetch!",
    ]
    (wanted,) = fetching.wanted
    assert wanted.url == b"http://example.com/page"
    assert wanted.body is None and wanted.fields == b"" and wanted.room == 4096
    assert not wanted.follow and not wanted.dummy


def test_what_is_to_be_posted_goes_out_with_its_fields_and_options(fetching):
    fields = """
    op.post_buffer = "some body"; op.post_buflen = 9;
    fields.ptr[0] = "X-One: 1"; fields.len[0] = 8;
    fields.ptr[11] = "Accept: */*"; fields.len[11] = 11;
    options.follow_location = 1; options.dummy_fetch = 1; options.tcp_fast_open = 1;
    curl_with_fields(&options, &fields);
    with = &options;
    """
    assert fetching(fields)[0] == "0"
    (wanted,) = fetching.wanted
    assert wanted.body == b"some body"
    assert wanted.fields == b"X-One: 1\r\nAccept: */*\r\n"
    assert wanted.follow and wanted.dummy


def test_unused_members_that_nobody_set_are_not_fields(fetching):
    garbage = "options.unused = (char *)1; options.unused2 = 7; with = &options;"
    assert fetching(garbage)[0] == "0"
    assert fetching.wanted[0].fields == b""


def test_an_empty_post_is_a_post(fetching):
    assert fetching('op.post_buffer = "";')[0] == "0"
    assert fetching.wanted[0].body == b""


def test_without_memory_for_it_only_the_length_is_told(fetching):
    told = fetching("op.headers = NULL; op.content_length = 0;")
    assert told[:1] + told[4:6] == ["0", str(len(PAGE.headers)), "12"]
    assert told[7].strip("\0") == ""
    assert fetching.wanted[0].room == MOST


ANY_LENGTH = r"""
#include <string.h>
#include <sys/mman.h>
START {}
HANDLE {
    struct curl_op op = {0}, again = {0};
    char *old = (char *)mmap(0, 65536, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(old, 'o', 65536);
    munmap(old, 65536);
    long ret = sys_fetch(url, strlen(url), NULL, &op);
    if (ret)
        reply("%ld %p %u", ret, op.content, op.content_length);
    ret = sys_fetch(url, strlen(url), NULL, &again);
    const char *at = (const char *)op.content, *other = (const char *)again.content;
    unsigned n = op.content_length;
    if (n == 0)
        reply("%ld %p", ret, at);
    reply("%ld %u %d %d %d %d", ret, n, at[0], at[n - 1], at[n], at != other);
}
"""


@pytest.mark.parametrize("size", [1, 4095, 4097, 100_000])
def test_without_a_place_for_the_content_the_host_finds_one(guest, size):
    vm = guest(ANY_LENGTH, fetch=Fetches(Fetched(0, 200, content=b"c" * size)))
    for _ in range(3):  # also when the memory was another's, and when it is reset
        assert vm.text() == f"0 {size} 99 99 0 1"


def test_a_content_of_no_bytes_needs_no_place(guest):
    vm = guest(ANY_LENGTH, fetch=Fetches(Fetched(0, 204)))
    assert vm.text() == "0 (nil)"


def test_a_program_that_has_no_memory_left_for_the_content_is_told(guest):
    large = Fetched(0, 200, content=bytes(MOST))
    vm = guest(ANY_LENGTH, fetch=Fetches(large), max_memory=16)
    assert vm.text() == f"{-errno.ENOMEM} (nil) 0"


def test_a_long_content_type_is_cut_at_127_bytes(fetching):
    told = fetching(got=Fetched(0, 201, b"t/" + b"x" * 200, b"", b""))
    assert told[:4] == ["0", "201", "t/" + "x" * 125, "127"]


@pytest.mark.parametrize(
    "number", [errno.EACCES, errno.ETIMEDOUT, errno.ECONNREFUSED, errno.ELOOP]
)
def test_an_error_comes_as_it_is_and_changes_nothing(fetching, number):
    told = fetching("op.status = 7;", failed(number))
    assert told == [str(-number), "7", "", "0", "4096", "4096", "", ""]


MISTAKES = {
    "no URL": ("len = 0;", errno.EINVAL),
    "a long URL": ("len = 8193;", errno.EINVAL),
    "an unreadable URL": ("at = (char *)8;", errno.EFAULT),
    "a URL that wraps": ("at = (char *)-4096;", errno.EFAULT),
    "no result": ("to = NULL;", errno.EFAULT),
    "a result in code": ("to = (struct curl_op *)(void *)by_number;", errno.EFAULT),
    "a result beyond": ("to = (struct curl_op *)-64;", errno.EFAULT),
    "unreadable options": ("with = (struct curl_options *)8;", errno.EFAULT),
    "headers in code": ("op.headers = (char *)(void *)by_number;", errno.EFAULT),
    "content beyond": ("op.content = (void *)-4096;", errno.EFAULT),
    "content too long": ("op.content_length = 0xffffffff;", errno.EFAULT),
    "an unreadable body": ("op.post_buffer = (void *)8; op.post_buflen = 1;", 14),
    "a body from nowhere": ("op.post_buflen = 1;", errno.EFAULT),
    "a large body": ("op.post_buffer = url; op.post_buflen = 16777217;", errno.EFBIG),
    "an interface": ('options.interface = "eth0"; with = &options;', errno.EACCES),
    "no verifying": ("options.dont_verify_host = 1; with = &options;", errno.EACCES),
    "unreadable fields": (
        "curl_with_fields(&options, (struct curl_fields *)8); with = &options;",
        errno.EFAULT,
    ),
    "an unreadable field": (
        "fields.ptr[3] = (char *)8; fields.len[3] = 9;"
        "curl_with_fields(&options, &fields); with = &options;",
        errno.EFAULT,
    ),
    "a field of no line": (
        'fields.ptr[3] = "A: b\\r\\nC: d"; fields.len[3] = 10;'
        "curl_with_fields(&options, &fields); with = &options;",
        errno.EINVAL,
    ),
    "a long field": (
        "fields.ptr[0] = url; fields.len[0] = 8193;"
        "curl_with_fields(&options, &fields); with = &options;",
        errno.EINVAL,
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_has_its_number_and_nothing_is_fetched(fetching, mistake):
    case, number = MISTAKES[mistake]
    assert fetching(case)[0] == str(-number)
    assert fetching.wanted == []


@pytest.mark.parametrize("case", ["op.headers_length = 40;", "op.content_length = 11;"])
def test_an_answer_that_does_not_fit_is_an_error(fetching, case):
    got = Fetched(0, 200, b"a/b", b"A: " + b"x" * 36 + b"\r\n", b"Hello fetch!")
    told = fetching(case, got)
    assert told[:2] == [str(-errno.EMSGSIZE), "0"]


def test_an_answer_that_fits_exactly_fits(fetching):
    case = "op.headers_length = 41; op.content_length = 12;"
    got = Fetched(0, 200, b"a/b", b"A: " + b"x" * 36 + b"\r\n", b"Hello fetch!")
    assert fetching(case, got)[0] == "0"


# --- Where it is called, and how often ---

MANY = r"""
static long at_start;
static long fetch(void)
{
    struct curl_op op = {0};
    return sys_fetch("/x", 2, NULL, &op);
}
static void in_storage(size_t n, struct virtbuffer buf[n], size_t res)
{
    fetch();
    storage_return("x", 1);
}
START { at_start = fetch(); STORAGE_ALLOW(in_storage); }
HANDLE {
    if (url[1] == 's')
        reply("%ld", storage_call(in_storage, 0, 0, NULL, 0));
    if (url[1] == 'a')
        reply("%ld", at_start);
    if (url[1] == 'c') {
        fetch();
        *(volatile int *)0;
    }
    long ret;
    int n = 0;
    while ((ret = fetch()) == 0)
        n++;
    reply("%d %ld", n, ret);
}
"""


def test_a_request_may_fetch_32_times(guest):
    vm = guest(MANY, fetch=Fetches())
    assert vm.text() == f"32 {-errno.EDQUOT}"
    assert vm.text() == f"32 {-errno.EDQUOT}"


def test_start_up_does_not_fetch(guest):
    assert guest(MANY, fetch=Fetches()).text("/at_start") == str(-errno.EAGAIN)


def test_a_warm_up_request_does_not_fetch(guest):
    source = r"""
    static long seen = 1;
    START {}
    HANDLE {
        struct curl_op op = {0};
        if (seen == 1)
            seen = sys_fetch("/x", 2, NULL, &op);
        reply("%ld", seen);
    }
    """
    vm = guest(source, fetch=Fetches(), warmup=Warming(1, "GET", "/", ""))
    assert vm.text() == str(-errno.EAGAIN)


def test_a_function_that_makes_pieces_does_not_fetch(guest):
    source = r"""
    static char text[16];
    static struct streaming_content piece(void *arg, size_t max, size_t written,
                                          size_t total)
    {
        struct curl_op op = {0};
        struct streaming_content some = {text, 3};
        snprintf(text, sizeof text, "%3ld", sys_fetch("/x", 2, NULL, &op));
        return some;
    }
    START {} HANDLE { begin_streaming_response(200, "a/b", 3, 3, piece, NULL); }
    """
    vm = guest(source, fetch=Fetches())
    assert vm.text() == str(-errno.EAGAIN)


def test_a_program_that_goes_on_behind_its_wait_fetches(guest):
    source = r"""
    #include "kvm_api.h"
    int main(void)
    {
        struct kvm_request r;
        for (;;) {
            char content[16];
            struct curl_op op = {0};
            wait_for_requests_paused(&r);
            op.content = content;
            op.content_length = sizeof content;
            sys_fetch(r.url, r.url_len, NULL, &op);
            backend_response(200, op.ctype, op.ctlen, content, op.content_length);
        }
    }
    """
    fetches = Fetches()
    vm = guest(source, whole=True, fetch=fetches)
    assert [vm.text("/a"), vm.text("/b")] == ["Hello fetch!"] * 2
    assert [each.url for each in fetches.wanted] == [b"/a", b"/b"]


def test_a_fetch_in_storage_fails_the_function(guest):
    vm = guest(MANY, storage=True, fetch=Fetches())
    assert vm.text("/storage") == "-1"
    assert any("fetch in storage" in text for _, text in vm.lines())


def test_a_request_may_crash_after_a_fetch(guest):
    vm = guest(MANY, fetch=Fetches())
    assert vm.get("/crash").status == 500
    assert vm.text("/") == f"32 {-errno.EDQUOT}"


ON_ERROR = r"""
static void on_error(const char *url, const char *arg, const char *reason)
{
    char content[16];
    struct curl_op op = {0};
    op.content = content;
    op.content_length = sizeof content;
    reply("%ld %.*s", sys_fetch("/x", 2, NULL, &op), (int)op.content_length, content);
}
START { set_on_error(on_error); }
HANDLE { *(volatile int *)0; }
"""


def test_on_error_may_fetch(guest):
    vm = guest(ON_ERROR, fetch=Fetches())
    assert vm.text("/") == "0 Hello fetch!"


# --- Time, and a clone that is closed meanwhile ---


def test_the_time_of_a_fetch_does_not_count_for_the_request(guest):
    def fetch(wanted):
        time.sleep(1.5)
        return PAGE

    source = r"""
    START {} HANDLE {
        struct curl_op op = {0};
        long ret = sys_fetch("/x", 2, NULL, &op);
        if (url[1] == 'l')
            for (;;) ;
        reply("%ld", ret);
    }
    """
    vm = guest(source, fetch=fetch, limit=1.0)
    assert vm.text("/") == "0"
    assert vm.get("/loop").status == 500  # and what remains of its time still ends
    assert vm.failure == "time limit reached"


def test_a_clone_that_waits_may_be_closed(guest):
    subject = guest(MANY, fetch=Fetches())
    vm = Vm(subject.snapshot, subject.console, 5.0)
    assert vm.serve(Request(b"GET", b"/", b"", b"Host: a\r\n")) is None
    assert vm.waits and vm.wanted().url == b"/x"
    vm.close()


def test_what_a_fetch_brought_is_forgotten(guest):
    source = r"""
    static char content[64];
    START {} HANDLE {
        struct curl_op op = {0};
        op.content = content;
        op.content_length = sizeof content;
        if (url[1] == 'f')
            sys_fetch("/x", 2, NULL, &op);
        reply("%s", content);
    }
    """
    vm = guest(source, fetch=Fetches())
    assert [vm.text("/fetch"), vm.text("/look")] == ["Hello fetch!", ""]
    assert vm.vm.differing_pages() == 0
