"""What a program says of the caching of its response, and what clients are told."""

import pytest

pytestmark = pytest.mark.core

# The url says what is said: "/CACHEABLE,TTL,GRACE,KEEP", in ms by number, else in
# seconds; "/x..." in BackendResponseExtra, "/-" nothing.
CACHING = r"""
#ifdef BY_NUMBER
#define say(yes, ttl, grace, keep) \
    kvm_api_call(0x10005, yes, (uint64_t)((ttl) * 1000), (uint64_t)((grace) * 1000), \
                 (uint64_t)((keep) * 1000))
#else
#define say set_cacheable
#endif
START {}
HANDLE {
    struct BackendResponseExtra extra;
    char *at = (char *)url + 1;
    memset(&extra, 0, sizeof extra);
    const int in_extra = *at == 'x', first = strtol(at + in_extra, &at, 10);
    float t[3] = {};
    for (int i = 0; i < 3 && *at == ','; i++)
        t[i] = strtof(at + 1, &at);
    if (strstr(url, "own"))
        http_set_str(RESPONSE, "cache-control: private");
    extra.cached = in_extra && first;
    extra.ttl = t[0], extra.grace = t[1], extra.keep = t[2];
    if (url[1] != '-' && !in_extra)
        say(first, t[0], t[1], t[2]);
    if (strstr(url, "twice"))
        say(1, 5, 0, 0);
    if (strstr(url, "fail"))
        sys_log((char *)8, 1);
    sys_backend_response(200, "a/b", 3, "x", 1, &extra);
}
"""
PUBLIC = "Cache-Control: public, max-age="
SAID = {
    "/-": None,
    "/1,60,0,0": PUBLIC + "60",
    "/1,0.999,0,0": PUBLIC + "0",
    "/1,1.5,20,300": PUBLIC + "1, stale-while-revalidate=20, stale-if-error=300",
    "/1,60,0.5,9": PUBLIC + "60, stale-if-error=9",
    "/1,1e12,0,0": PUBLIC + "2147483647",
    "/0,60,20,300": "Cache-Control: no-store",
    "/0,1,1,1,twice": PUBLIC + "5",
    "/1,60,0,0,own": "cache-control: private",
    "/x0,60,20,300": None,
    "/x1,60.7,20,300": PUBLIC + "60, stale-while-revalidate=20, stale-if-error=300",
    "/x1,-1,nan,-inf": PUBLIC + "0",
    "/x1,inf,3e9,1e30": PUBLIC
    + "2147483647, stale-while-revalidate=2147483647, stale-if-error=2147483647",
    "/x0,0,0,0,twice": PUBLIC + "5",
    "/x1,7,0,0,twice": PUBLIC + "7",
    "/x1,7,0,0,own": "cache-control: private",
}


@pytest.fixture(params=["by number", "c", "c++"])
def program(request, guest):
    flags = ["-static"] + ["-DBY_NUMBER"] * ("number" in request.param)
    return guest(
        CACHING, compiler="g++" if "+" in request.param else "gcc", flags=tuple(flags)
    )


def told(answer) -> str | None:
    """The one line about caching in an answer, or None."""
    lines = [
        line
        for line in answer.head.decode().split("\r\n")
        if line.lower().startswith("cache-control")
    ]
    assert len(lines) <= 1
    return lines[0] if lines else None


def test_clients_are_told_what_the_program_says_of_caching(program):
    for url, expected in SAID.items():
        answer = program.get(url)
        assert (answer.status, told(answer)) == (200, expected), url


def test_what_is_no_number_is_no_time(guest):
    vm = guest(
        'START {} HANDLE { set_cacheable(true, -1.0f, __builtin_nanf(""), -1e30f);'
        ' reply("x"); }'
    )
    assert told(vm.get()) == PUBLIC + "0"


def test_what_a_failed_request_said_of_caching_is_forgotten(guest):
    vm = guest(
        r"""
        static void on_error(const char *url, const char *arg, const char *exception)
        {
            reply("sorry");
        }
        START { set_on_error(on_error); }
        HANDLE { sys_set_cacheable(true, 60000, 0, 0); sys_log((char *)8, 1); }
        """
    )
    answer = vm.get()
    assert (answer.body, told(answer)) == (b"sorry", None)


def test_the_headers_function_says_so_without_an_exit(guest):
    vm = guest('START {} HANDLE { set_cacheable(true, 1, 0, 0); reply("x"); }')
    assert told(vm.get()) == PUBLIC + "1"
    assert vm.exits == (1, 0)
    vm = guest('START {} HANDLE { sys_set_cacheable(true, 1000, 0, 0); reply("x"); }')
    assert told(vm.get()) == PUBLIC + "1"
    assert vm.exits == (2, 0)


def test_gathered_times_of_the_wrong_size_fail_the_request(guest):
    vm = guest(
        "START {} HANDLE {"
        ' kvm_api_gather(KVM_API_SET_CACHEABLE, "1234567", 7); reply("x"); }'
    )
    assert vm.get().status == 500
    assert vm.failure == "gathered header operation 0x10005"


def test_caching_outside_of_a_request_fails_the_storage_call(guest):
    vm = guest(
        r"""
        static void in_storage(size_t n, struct virtbuffer buf[], size_t res)
        {
            set_cacheable(true, 1, 1, 1);
            storage_return_nothing();
        }
        START {}
        HANDLE { reply("%ld", storage_call(in_storage, 0, 0, 0, 0)); }
        """,
        storage=True,
    )
    assert vm.text() == "-1"
    assert "set_cacheable outside of a request" in vm.lines()[0][1]
