"""Programs that go on behind their wait, clones that are not put back, requests that
nobody has made, and where a request's arg comes from."""

from collections.abc import Callable

import pytest
from support.guests import Guest

from skerry.message import Request
from skerry.native import NativeError, Stream, Warming

pytestmark = pytest.mark.core


@pytest.fixture
def program(guest) -> Callable[..., Guest]:
    """guest(source), where the source is all of the program."""
    return lambda source, **options: guest(source, whole=True, **options)


# Counts in its own loop: once a request, if nothing puts it back.
LOOP = r"""
#include "kvm_api.h"
static int started = 0;
int main(void)
{
    struct kvm_request r;
    volatile double half = 0.5;
    register double kept = half * 3;
    started = 7;
    for (int n = 1;; n++) {
        WAIT;
        char text[512];
        int len = snprintf(text, sizeof text,
            "%d %d %.1f %s %.*s %.*s arg=%s type=%s body=%.*s headers=%d %s flags=%d",
            n, started, kept, r.method, r.method_len, r.method, r.url_len, r.url, r.arg,
            r.content_type, (int)r.content_len, (const char *)r.content,
            r.num_headers, r.num_headers ? r.headers[0].field : "", r.info_flags);
        BEFORE;
        backend_response(200, "text/plain", 10, text, len);
    }
}
"""


def loop(wait="wait_for_requests_paused(&r)", before=""):
    return LOOP.replace("WAIT", wait).replace("BEFORE", before)


BY_NUMBER = (
    "kvm_api_call(KVM_API_WAIT_FOR_REQUESTS_PAUSED, (uint64_t)(uintptr_t)&r, 0, 0, 0)"
)


def post(body: bytes = b"abc", url: bytes = b"/x?y") -> Request:
    return Request(b"POST", url, b"test", b"Host: test\r\n", b"text/css", body)


@pytest.mark.parametrize("compiler", ["gcc", "g++"])
@pytest.mark.parametrize("wait", ["wait_for_requests_paused(&r)", BY_NUMBER])
def test_a_paused_program_goes_on_with_each_request_from_its_frozen_wait(
    program, compiler, wait
):
    served = program(loop(wait), compiler=compiler, arg="from the configuration")
    for url in ("/a", "/b?c=d"):
        assert served.text(url) == (
            f"1 7 1.5 GET GET {url} arg=from the configuration type= body= "
            "headers=1 Host: test flags=0"
        )
    assert served.request(post()).body == (
        b"1 7 1.5 POST POST /x?y arg=from the configuration type=text/css body=abc "
        b"headers=1 Host: test flags=0"
    )


@pytest.mark.parametrize("ephemeral", [True, False])
def test_random_bits_are_fresh_behind_the_wait(program, ephemeral):
    show = 'len = sprintf(text, "%lx %lx", r.prng[0], r.prng[1])'
    served = program(loop(before=show), ephemeral=ephemeral, hold=ephemeral)
    words = " ".join(served.text() for _ in range(20)).split()
    assert len(set(words)) == len(words) == 40


def test_a_paused_request_costs_one_exit(program):
    served = program(loop())
    served.get()
    served.get()
    assert served.exits == (1, 0)


def test_all_registers_are_there_again_behind_the_wait(program):
    served = program(REGISTERS)
    for _ in range(2):
        assert served.text() == "1 2 3 4 5 6 7 8 9 10 11 12 1 11 1 0 77 "


REGISTERS = r"""
#include "kvm_api.h"
struct kvm_request place;
long seen[17];
#define SEE(n, register) "mov %%" register ", 8 * " #n " + seen(%%rip)\n"
int main(void)
{
    __asm__ volatile(
        "sub $256, %%rsp; movq $77, -128(%%rsp)\n"
        "mov $1, %%rbx; mov $2, %%rcx; mov $3, %%rsi; mov $4, %%r8; mov $5, %%r9\n"
        "mov $6, %%r10; mov $7, %%r11; mov $8, %%r12; mov $9, %%r13; mov $10, %%r14\n"
        "mov $11, %%r15; mov $12, %%rdx; movq %%rbx, %%xmm3; movq %%r15, %%mm2\n"
        "std; lea place(%%rip), %%rdi; mov %0, %%eax; out %%eax, $0\n"
        SEE(0, "rbx") SEE(1, "rcx") SEE(2, "rsi") SEE(3, "r8") SEE(4, "r9")
        SEE(5, "r10") SEE(6, "r11") SEE(7, "r12") SEE(8, "r13") SEE(9, "r14")
        SEE(10, "r15") SEE(11, "rdx") "movq %%xmm3, %%rdx\n" SEE(12, "rdx")
        "movq %%mm2, %%rdx; emms\n" SEE(13, "rdx") SEE(15, "rax")
        "mov -128(%%rsp), %%rdx\n" SEE(16, "rdx")
        "pushfq; pop %%rdx; cld; shr $10, %%rdx; and $1, %%edx\n" SEE(14, "rdx")
        "add $256, %%rsp\n"
        :
        : "i"(KVM_API_WAIT_FOR_REQUESTS_PAUSED)
        : "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12",
          "r13", "r14", "r15", "memory", "cc");
    char text[400] = "";
    for (int i = 0; i < 17; i++)
        sprintf(text + strlen(text), "%ld ", seen[i]);
    backend_response_str(200, "text/plain", text);
}
"""


@pytest.mark.parametrize(
    ("callbacks", "without_body", "with_body"),
    [
        ("set_backend_post(on_post);", b"paused", b"post"),
        ("set_backend_get(on_get);", b"get", b"get"),
        ("set_backend_request(on_request);", b"request", b"request"),
    ],
)
def test_a_request_goes_to_the_paused_program_if_no_callback_takes_it(
    program, callbacks, without_body, with_body
):
    served = program(f"""
#include "kvm_api.h"
#define SAY(who) backend_response_str(200, "text/plain", who)
static void on_get(const char *url, const char *arg) {{ SAY("get"); }}
static void on_post(const char *url, const char *arg, const char *type,
                    const uint8_t *data, size_t len) {{ SAY("post"); }}
static void on_request(const struct kvm_request *request) {{ SAY("request"); }}
int main(void)
{{
    struct kvm_request r;
    {callbacks}
    wait_for_requests_paused(&r);
    SAY("paused");
}}
""")
    for _ in range(2):
        assert served.get().body == without_body
        assert served.request(post()).body == with_body


def test_a_clone_that_is_not_ephemeral_goes_on_where_it_was(program):
    served = program(loop(), ephemeral=False, hold=False)
    assert [served.text().split()[0] for _ in range(5)] == list("12345")
    assert not served.discarded


def test_without_a_loop_memory_stays_too(program):
    served = program(COUNTING, ephemeral=False, hold=False)
    assert [served.text() for _ in range(3)] == ["1", "2", "3"]
    with served.clone() as other:
        answer = other.serve(Request(b"GET", b"/", b"", b"", b"", b""))
        assert answer and answer.body == b"1"


COUNTING = r"""
#include "kvm_api.h"
static int count;
static void on_get(const char *url, const char *arg)
{
    char text[80];
    long was = 9;
    if (strstr(url, "keep"))
        was = sys_make_ephemeral(0);
    if (strstr(url, "drop"))
        was = kvm_api_call(KVM_API_MAKE_EPHEMERAL, 1, 0, 0, 0);
    if (was != 9)
        sprintf(text, "%d, was %ld", ++count, was);
    else
        sprintf(text, "%d", ++count);
    backend_response_str(200, "text/plain", text);
}
int main(void) { set_backend_get(on_get); wait_for_requests(); }
"""


def test_a_program_may_choose_if_the_configuration_lets_it(program):
    served = program(COUNTING, control_ephemeral=True, hold=False)
    asked = ["/", "/", "/keep", "/", "/", "/drop", "/", "/"]
    answers = [served.text(url) for url in asked]
    assert answers == ["1", "1", "1, was 1", "2", "3", "4, was 0", "1", "1"]


def test_else_it_may_not(program):
    served = program(COUNTING, hold=False)
    assert served.text("/keep") == "1, was -1"
    assert served.text() == "1"


def test_a_kept_clone_that_fails_is_not_used_again(program):
    served = program(
        loop(before='if (strstr(r.url, "fail")) *(volatile int *)0 = 1'),
        ephemeral=False,
        hold=False,
    )
    assert [served.text().split()[0] for _ in range(2)] == ["1", "2"]
    assert served.get("/fail").status == 500
    assert served.discarded
    assert served.text().split()[0] == "1"


@pytest.mark.parametrize(
    ("wait", "reason"),
    [
        (
            "wait_for_requests_paused(&r); wait_for_requests_paused(&r)",
            "wait_for_requests_paused without a response",
        ),
        (
            "wait_for_requests_paused(&r); r.url = 0; wait_for_requests()",
            "wait_for_requests in a request",
        ),
    ],
)
def test_a_paused_program_has_to_answer(program, wait, reason):
    served = program(loop(wait))
    assert served.get() and served.failure == reason


@pytest.mark.parametrize("request_at", ["0", "8", "main", "-1ul", "0x6000"])
def test_a_request_can_only_be_where_the_program_may_write(program, request_at):
    wait = f"wait_for_requests_paused((struct kvm_request *){request_at})"
    with pytest.raises(NativeError, match="unwritable request"):
        program(loop(wait))


def test_two_ways_of_waiting_do_not_mix_on_a_machine_that_is_kept(program):
    served = program(
        loop()
        .replace("started = 7;", "started = 7; set_backend_post(on_post);")
        .replace(
            "int main",
            "static void on_post(const char *u, const char *a, const char *c,"
            "const uint8_t *d, size_t n) { backend_response(200, 0, 0, 0, 0); }\n"
            "int main",
        ),
        ephemeral=False,
        hold=False,
    )
    assert served.get().status == 200
    assert served.request(post()).status == 200
    assert served.get().status == 500
    assert "cannot go on behind its wait" in served.failure


# --- Warm-up ---

WARM = r"""
#include "kvm_api.h"
static int warm, cold;
static void on_request(const struct kvm_request *r)
{
    char text[200], find[80] = "";
    *(r->info_flags & KVM_REQUEST_WARMUP ? &warm : &cold) += 1;
    if (strstr(r->url, "fail"))
        *(volatile int *)0 = 1;
    http_find_str(REQUEST, "X-Why", find, 80);
    sprintf(text, "%d %d %s", warm, cold, find);
    if (warm == 3 && cold == 0)
        sys_log(r->url, strlen(r->url));
    backend_response_str(200, "text/plain", text);
}
int main(void) { set_backend_request(on_request); wait_for_requests(); }
"""


def test_warm_up_requests_come_before_the_freeze(program):
    warm = Warming(3, "GET", "/warm", "X-Why: warm\r\n")
    served = program(WARM, warmup=warm)
    for _ in range(2):
        assert served.text() == "3 1 "
    assert (Stream.LOG, "/warm") in served.lines()


def test_a_paused_program_is_warmed_up_in_its_loop(program):
    served = program(loop(), warmup=Warming(4, "GET", "/", ""))
    for _ in range(2):
        assert served.text().startswith("5 7 1.5 GET")
        assert served.text().endswith("flags=0")


def test_nothing_of_the_warm_up_requests_is_left_in_the_hosts_memory(program):
    secret = "S3cr3t-of-the-warm-up"
    served = program(SEARCH, warmup=Warming(2, "GET", f"/{secret}", ""))
    assert served.text(f"/{secret}") == "1"


# Counts how often its own url is on the call stack.
SEARCH = r"""
#include "kvm_api.h"
static void on_get(const char *url, const char *arg)
{
    char here, text[20];
    size_t len = strlen(url);
    int found = 0;
    for (const char *at = (const char *)((uintptr_t)&here & ~4095ul) - 65536;
         at <= url; at++)
        found += *at == url[0] && memcmp(at, url, len) == 0;
    sprintf(text, "%d", found);
    backend_response_str(200, "text/plain", text);
}
int main(void) { set_backend_get(on_get); wait_for_requests(); }
"""


def test_a_warm_up_request_that_fails_fails_the_start(program):
    with pytest.raises(NativeError) as raised:
        program(WARM, warmup=Warming(1, "GET", "/fail", ""))
    assert raised.value.step == "warm-up"
    assert raised.value.reason.startswith("request 1: page fault writing 0x0")


# --- arg ---

ARG = r"""
#include "kvm_api.h"
static void on_get(const char *url, const char *arg)
{ backend_response_str(200, "text/plain", arg); }
static void on_post(const char *url, const char *arg, const char *type,
                    const uint8_t *data, size_t len)
{ backend_response_str(200, "text/plain", arg); }
static void on_error(const char *url, const char *arg, const char *why)
{ backend_response_str(200, "text/plain", arg); }
int main(void)
{
    set_backend_get(on_get); set_backend_post(on_post); set_on_error(on_error);
    wait_for_requests();
}
"""


def test_an_arg_comes_from_the_configuration(program):
    served = program(ARG, arg="a b")
    assert served.text() == "a b"
    assert served.request(post()).body == b"a b"


@pytest.mark.parametrize(
    ("headers", "arg"),
    [
        (b"Host: x\r\nX-Arg: one two\r\n", "one two"),
        (b"x-arg:three\r\nX-Arg: four\r\n", "three"),
        (b"X-Argument: no\r\n", ""),
        (b"", ""),
    ],
)
def test_or_from_the_header_that_the_configuration_names(program, headers, arg):
    assert program(ARG, arg_header="X-Arg").get("/", headers).body.decode() == arg
