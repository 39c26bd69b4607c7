"""What is put back after every request: a second request finds nothing of the first.
Registers are in test_reset_registers.py."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skerry.message import Request
from skerry.native import Vm

pytestmark = pytest.mark.core

MB = 1 << 20
PAGE = 4096
FEW = 256  # up to so many written pages are copied back, more are dropped
RING = 2048  # so many pages fit into the dirty ring
MOST = 3000
EXAMPLES = 8


def get(url):
    return Request(b"GET", url.encode(), b"test", b"Host: test\r\n", b"", b"")


def serve(guest, url):
    """Serves GET (url), and resets. Returns the text, the pages that differed from the
    frozen machine in between, those that reset put back, and those that differ now."""
    vm = guest.vm
    answer = vm.serve(get(url))
    assert answer.status == 200, vm.reason
    differing = vm.differing_pages()
    return answer.body.decode(), differing, vm.reset(), vm.differing_pages()


# Each place: what a request looks at as p, before it writes there.
PLACES = {
    "data": "static char place[100] = {1}; p = place;",
    "bss": "static char place[3 * 4096]; p = place + 5000;",
    "heap": "p = heap;",
    "new heap": "p = malloc(1000);",
    "large block": "p = large + 123456;",
    "new large block": "p = malloc(300000); p += 200000;",
    "stack": "char place[100000]; p = place + 10;",
    "stack of main": "p = mains;",
    "thread-local": "static __thread char place[8]; p = place;",
    "its arguments": "p = (char *)arg;",
    "exchange page": "p = (char *)KVM_API_EXCHANGE_ADDRESS + 4000;",
}


@pytest.mark.parametrize("place", PLACES)
def test_reset_forgets_memory(guest, place):
    vm = guest(
        "static char *heap, *large, *mains;"
        "START { heap = calloc(1, 1000);"
        " large = calloc(1, 300000); mains = __builtin_frame_address(0); }"
        "HANDLE { volatile char *p;" + PLACES[place] + "int before = *p; *p += 77;"
        'reply("%d", before); }'
    )
    first = vm.text()
    assert [vm.text(), vm.text()] == [first, first]


MANY_PAGES = r"""
static char room[3000][4096] __attribute__((aligned(4096)));
START {}
HANDLE {
    int pages = atoi(url + 1), dirty = 0;
    for (int i = 0; i < 3000; i++)
        dirty += room[i][0] != 0 || room[i][4095] != 0;
    for (int i = 0; i < pages; i++)
        room[(i * 7919) % 3000][i % 2 * 4095] = 1;
    reply("%d", dirty);
}
"""


def test_reset_forgets_many_pages(guest):
    """... by whatever way it takes, in whatever order; and its list is complete."""
    vm = guest(MANY_PAGES, max_memory=20)
    for pages in (1, 3, FEW - 25, FEW, FEW + 1, 3, RING, RING + 1, 0, MOST, MOST, 3):
        body, differing, put_back, left = serve(vm, f"/{pages}")
        assert (body, left) == ("0", 0)
        assert pages <= differing <= put_back
    for pages in range(FEW - 12, FEW + 2):  # with its stack, one of them is FEW
        assert vm.text(f"/{pages}") == "0"
    assert vm.vm.differing_pages() == 0


def test_reset_puts_back_few_pages_for_a_small_request(guest):
    """... also after a request that has written many."""
    vm = guest(MANY_PAGES, max_memory=20)
    counts = []
    for pages in (1, 1, MOST, 1):
        vm.vm.serve(get(f"/{pages}"))
        counts.append(vm.vm.reset())
    assert counts[1] == counts[3] < counts[2]


@pytest.mark.parametrize("size", [10, 65536 + 10])
def test_a_clone_is_put_back_with_its_answer(guest, size):
    """... when nobody has to look at it, and however large the answer."""
    vm = guest(
        "static char answer[100000], room[3000][4096]; START {}"
        "HANDLE { for (int i = atoi(url + 1); i >= 0; i--) room[i][9]++;"
        '  answer[0] = room[0][9]; backend_response(200, "a/b", 3, answer, SIZE); }',
        flags=("-static", f"-DSIZE={size}"),
        max_memory=20,
    )
    with Vm(vm.snapshot, vm.console, 10.0) as clone:
        for pages in (3, 500, MOST - 1, 3):
            assert clone.serve(get(f"/{pages}")).body == b"\1" + bytes(size - 1)
            assert not (clone.rare and clone.discard)
            assert clone.differing_pages() == 0


# What the host writes for a program is not in the dirty ring: it must be noted too.
HOST_WRITES = {
    "getrandom": "getrandom(p, 200, 0)",
    "clock_gettime": "clock_gettime(CLOCK_MONOTONIC, (void *)p)",
    "uname": "syscall(SYS_uname, p)",
    "sigaction": "syscall(SYS_rt_sigaction, SIGUSR1, 0, p, 8)",
    "fstat": "syscall(SYS_fstat, 1, p)",
    "zeroed heap": "memset(sbrk(40960), 1, 40960), sbrk(-40960), sbrk(40960)",
    "zeroed mapping": "munmap(memset(MAP(40960), 1, 40960), 40960), MAP(40960)",
    "moved mapping": "mremap(memset(MAP(8192), 1, 8192), 8192, 40960, 1)",
    "madvise": "madvise(p - 256 + 4096, 8192, MADV_DONTNEED)",
    "method": "sys_http_method(p, 100)",
    "field": 'sys_http_find(0, "Host", 4, p, 100)',
    "meminfo": "sys_meminfo((void *)p, sizeof(struct meminfo))",
    "replacement": 'sys_regex_subst(sys_regex_compile("a", 1), "a", "b", p, 9, 0)',
}


def test_reset_forgets_what_the_host_wrote(guest):
    cases = "".join(
        f"case {n}: {c}; break;" for n, c in enumerate(HOST_WRITES.values())
    )
    vm = guest(
        "#include <sys/mman.h>\n#include <sys/random.h>\n"
        "#include <sys/syscall.h>\n#include <signal.h>\n#include <unistd.h>\n"
        "#include <time.h>\n"
        "#define MAP(n) mmap(0, n, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)\n"
        "static char room[8 * 4096] __attribute__((aligned(4096)));"
        "START { memset(room, 0x11, sizeof room); }"
        "HANDLE { char *p = room + 4096 * 2 + 256;"
        "switch (atoi(url + 1)) {" + cases + '} reply("done"); }',
        max_memory=8,
    )
    for number, call in enumerate(HOST_WRITES):
        body, differing, put_back, left = serve(vm, f"/{number}")
        assert (body, left) == ("done", 0), call
        assert 0 < differing <= put_back, call


# "/AT.SIZE,AT.SIZE,": answers how many bytes there are not 7, then sets them to 8.
RANDOM_WRITES = r"""
static unsigned char room[3 << 20];
START { memset(room, 7, sizeof room); }
static int pass(const char *s, int write)
{
    int changed = 0;
    for (; *s; s++) {
        long at = strtol(s, (char **)&s, 10), size = strtol(s + 1, (char **)&s, 10);
        for (long i = at; i < at + size; i++) {
            changed += room[i] != 7;
            if (write)
                room[i] = 8;
        }
    }
    return changed;
}
HANDLE { int changed = pass(url + 1, 0); pass(url + 1, 1); reply("%d", changed); }
"""

ranges = st.tuples(
    st.integers(0, MB), st.sampled_from([1, 8, PAGE, 10 * PAGE, 300 * PAGE, 2 * MB])
)


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.data())
def test_reset_forgets_any_set_of_writes(guest, data):
    vm = guest(RANDOM_WRITES, max_memory=8)
    for writes in data.draw(st.lists(st.lists(ranges, max_size=6), max_size=4)):
        url = "/" + "".join(f"{at}.{size}," for at, size in writes)
        assert vm.text(url) == "0"
        assert vm.vm.differing_pages() == 0


def test_clones_do_not_see_each_other(guest):
    vm = guest('static int n; START {} HANDLE { reply("%d", n++); }')
    with vm.clone() as other:
        for clone in (vm.vm, other):  # neither is put back before the end
            assert clone.serve(get("/")).body == b"0"


# What a kernel keeps for a program. Each answers what it finds, and then changes it.
KERNEL_STATE = {
    "break": 'long now = BRK(0); BRK(now + 50000); reply("%lx", now);',
    "break, lowered": 'long now = BRK(0); BRK(low); reply("%lx", now);',
    "mappings": 'reply("%p", MAP(70000));',
    "unmapped": 'munmap(early, 65536); reply("%d", MAP(65536) == early);',
    "closed stdout": 'reply("%d", close(1));',
    "closed stdin": 'reply("%ld %d", read(0, low, 1), close(0));',
    "signal handlers": """struct sigaction was, now = {.sa_handler = SIG_IGN};
        sigaction(SIGUSR1, &now, &was); reply("%p", was.sa_handler);""",
    "signal mask": """sigset_t was, now; sigfillset(&now);
        sigprocmask(SIG_SETMASK, &now, &was);
        reply("%d", sigismember(&was, SIGINT));""",
    "signal stack": """stack_t was, now = {.ss_sp = low, .ss_size = 65536};
        sigaltstack(&now, &was); reply("%p %zu", was.ss_sp, was.ss_size);""",
    "stdio buffers": 'printf("half a line"); reply("%zu", __fpending(stdout));',
    "random numbers": 'reply("%d", rand());',
    "exit handlers": 'static int n; atexit(on_exit_do); reply("%d", n++);',
}


@pytest.mark.parametrize("state", KERNEL_STATE)
def test_reset_forgets_kernel_state(guest, state):
    vm = guest(
        "#include <signal.h>\n#include <stdio_ext.h>\n#include <sys/mman.h>\n"
        "#include <sys/syscall.h>\n#include <unistd.h>\n"
        "#define MAP(n) mmap(0, n, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)\n"
        "#define BRK(to) syscall(SYS_brk, to)\n"
        "static void *low, *early; static void on_exit_do(void) {}"
        "START { low = sbrk(4096); early = MAP(65536); MAP(65536); }"
        "HANDLE {" + KERNEL_STATE[state] + "}"
    )
    first = vm.text()
    assert [vm.text(), vm.text()] == [first, first]


# Ways to gather a field: through the exchange page, by number, and when that is full.
GATHER = {
    "gathered": 'http_append_str(RESP, "X-Secret: 1");',
    "by number": 'sys_http_append(RESP, "X-Secret: 1", 11);',
    "replaced": 'http_set_str(RESP, "X-Secret: 1");',
    "many": 'for (int i = 0; i < 200; i++) http_appendf(RESP, "X-Secret: %0200d", i);',
    "request": 'http_append_str(REQUEST, "X-Secret: 1");',
    "request, replaced": 'http_set_str(REQUEST, "Host: X-Secret");',
}
SECRETIVE = """
static int errors;
static void on_error(const char *url, const char *arg, const char *why)
{
    reply("error %d", errors++);
}
START { set_on_error(on_error); }
HANDLE {
    char found[100] = "", host[100] = "", number[100] = "";
    http_find(REQUEST, "Host", 4, host, sizeof host);
    http_find(REQUEST, "X-Secret", 8, found, sizeof found);
    sys_http_find(REQUEST, "Host", 4, number, sizeof number);
    if (url[1] == 's' || url[1] == 'c') { GATHER }
    if (url[1] == 'c')
        *(volatile int *)0 = 0;
    reply("%s %s%s", host, number, found);
}
"""


@pytest.mark.parametrize("way", GATHER)
@pytest.mark.parametrize("url", ["/set", "/crash"])
def test_reset_forgets_header_fields(guest, way, url):
    """... also those that a request had gathered when it failed."""
    vm = guest(SECRETIVE.replace("GATHER", GATHER[way]))
    for _ in range(2):
        first = vm.get(url)
        assert vm.discarded == (url == "/crash")
        assert first.status == 200 and (url == "/set" or first.body == b"error 0")
        if url == "/crash":
            assert b"Secret" not in first.head
        after = vm.get("/")
        assert after.body == b"Host: test Host: test" and b"Secret" not in after.head


@pytest.mark.parametrize("byte", [0x00, 0xFF, 0x20])
def test_reset_forgets_a_spoilt_exchange_page(guest, byte):
    vm = guest(
        "HANDLE { char method[9] = {0}; http_method(method, 8);"
        '  http_append_str(RESP, "X-Right: yes");'
        "  if (url[1] == 's') memset((void *)KVM_API_EXCHANGE_ADDRESS, BYTE, 4096);"
        '  reply("%s %d", method, (int)IS_STORAGE()); } START {}'.replace(
            "BYTE", str(byte)
        )
    )
    vm.get("/spoil")
    after = vm.get("/")
    assert after.body == b"GET 0" and b"X-Right: yes\r\n" in after.head


BODIES = """
static void on_post(const char *url, const char *arg, const char *type,
                    const uint8_t *data, size_t len)
{
    reply("%p", data);
}
START { set_backend_post(on_post); }
HANDLE {
    const char *at = (const char *)strtoul(url + 1, NULL, 16);
    int left = 0;
    for (int i = 0; i < 100000; i++)
        left += at[i] != 0;
    reply("%d", left);
}
"""


def test_reset_forgets_the_body(guest):
    vm = guest(BODIES)
    for _ in range(2):
        address = vm.post(b"secret" * 10000).body.decode()
        assert vm.text("/" + address) == "0"


def test_reset_forgets_the_head_of_the_request(guest):
    vm = guest(
        "START {} HANDLE { char top; int secrets = 0;"
        "  for (const char *p = &top - 200000; p < url; p++) secrets += *p == 'S';"
        '  reply("%d", secrets); }'
    )
    vm.get("/" + "S" * 50000, b"Host: SSS\r\nX: " + b"S" * 50000 + b"\r\n")
    assert vm.text() == "0"
