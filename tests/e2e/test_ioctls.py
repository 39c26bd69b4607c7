"""What a request costs: every ioctl of the serving process, seen from outside."""

import subprocess
import time

import pytest
from support.client import ask, connection
from support.programs import COUNTER, HELLO
from support.tracer import NAMES, Tracer, ioctl_name

# Reads 32 request headers and answers with as many of its own.
HEADERS = r"""
START {}
HANDLE {
    char name[16], value[64];
    size_t sum = 0;
    for (int i = 0; i < 32; i++) {
        snprintf(name, sizeof name, "X-In-%d", i);
        sum += http_find_str(REQUEST, name, value, sizeof value);
        http_setf(RESPONSE, "X-Out-%d: %d", i, i);
    }
    reply("%zu", sum);
}
"""
TWICE = """
#include <unistd.h>
START {}
HANDLE { write(1, "", 0); reply("ok"); }
"""
CLOCK = r"""
#include <time.h>
START {}
HANDLE {
    struct timespec t;
    for (int i = 0; i < 1000; i++)
        clock_gettime(CLOCK_MONOTONIC, &t);
    reply("%ld", t.tv_sec * 1000000000 + t.tv_nsec);
}
"""
# Writes more pages than reset copies back: it has KVM report them anew.
MANY = r"""
static volatile char pages[400][4096];
START {}
HANDLE { for (int i = 0; i < 400; i++) pages[i][0] = 1; reply("ok"); }
"""
# Buffers that a C library maps for each of them, with start-up's holes beside them.
BUFFERS = r"""
#include <stdlib.h>
#include <string.h>
static char *volatile kept;
START { char *hole = malloc(1 << 20); kept = malloc(1 << 20); free(hole); }
HANDLE {
    size_t sizes[] = {200 << 10, 300 << 10, 150 << 10};
    long sum = 0;
    for (int i = 0; i < 3; i++) {
        char *volatile some = malloc(sizes[i]), *volatile others = malloc(sizes[i]);
        memset(some, 1, sizes[i]), memset(others, 2, sizes[i]);
        sum += some[100] + others[sizes[i] - 1];
        free(some), free(others);
    }
    reply("%ld", sum);
}
"""


PROGRAMS = {
    "hello": HELLO,
    "headers": {"source": HEADERS},
    "counter": {"source": COUNTER, "storage": True},
    "twice": {"source": TWICE},
    "many": {"source": MANY},
    "buffers": {"source": BUFFERS},
    "clock": {"source": CLOCK},
}
FIONBIO = "ioctl 0x5421"  # the event loop's, before it waits for a message


@pytest.fixture
def traced(server):
    """traced(path, headers): the ioctls of one request, or of (count), after others of
    its kind on a connection that exists; and the last answer."""

    def trace(path, headers=None, count=1):
        with connection(server.port) as client:

            def work():
                return [ask(client, "GET", path, None, headers) for _ in range(count)]

            work()
            with Tracer(server.pid) as tracer:
                seen, answers = tracer.ioctls_during(work)
        assert server.get("/hello").status == 200
        return seen, answers[-1]

    return trace


def test_a_plain_request_is_one_kvm_run_and_no_other_ioctl(traced):
    seen, answer = traced("/hello")
    assert answer.body == b"Hello World!"
    assert seen == ["KVM_RUN"]


def test_headers_cost_no_ioctl(traced):
    sent = {f"X-In-{i}": f"value {i}" for i in range(32)}
    seen, answer = traced("/headers", sent)
    length = sum(len(f"{name}: {value}") for name, value in sent.items())
    assert int(answer.body) == length
    assert [answer.headers[f"X-Out-{i}"] for i in range(32)] == [
        str(i) for i in range(32)
    ]
    assert seen == ["KVM_RUN"]


def test_the_clock_costs_no_ioctl(traced):
    before = time.monotonic_ns()
    seen, answer = traced("/clock")
    assert before <= int(answer.body) <= time.monotonic_ns()
    assert seen == ["KVM_RUN"]


def test_memory_that_a_request_maps_and_unmaps_costs_no_ioctl(traced):
    seen, answer = traced("/buffers")
    assert (answer.status, answer.body) == (200, b"9")
    assert len(seen) > 2, "mmap and munmap are exits"
    assert set(seen) == {"KVM_RUN"}


def test_a_storage_call_is_three_kvm_runs_and_no_other_ioctl(traced):
    seen, answer = traced("/counter")
    assert (answer.status, int(answer.body)) == (200, 2)
    assert seen == ["KVM_RUN"] * 3


def test_many_requests_are_as_many_kvm_runs(traced):
    seen, _ = traced("/hello", count=50)
    others = [each for each in seen if each != "KVM_RUN"]
    assert len(seen) - len(others) == 50
    assert others in ([], [FIONBIO]), "but for a word with the supervisor"


def test_an_unknown_program_is_no_ioctl_at_all(traced):
    seen, answer = traced("/none")
    assert (answer.status, seen) == (404, [])


def test_the_tracer_counts_an_exit_for_a_system_call(traced):
    seen, _ = traced("/twice")
    assert seen == ["KVM_RUN"] * 2


def test_the_tracer_sees_how_many_pages_are_given_back(traced):
    seen, answer = traced("/many")
    assert answer.body == b"ok"
    assert seen == ["KVM_RUN", "KVM_RESET_DIRTY_RINGS"]


def test_ioctls_have_the_names_of_the_kernel(tmp_path):
    """The tracer's table against linux/kvm.h."""
    lines = (f'printf("%lu {each}\\n", (long){each});' for each in NAMES.values())
    source, program = tmp_path / "names.c", tmp_path / "names"
    source.write_text(
        "#include <linux/kvm.h>\n#include <stdio.h>\n#include <sys/ioctl.h>\n"
        f"int main(void) {{ {''.join(lines)} }}\n"
    )
    subprocess.run(["cc", "-w", "-o", program, source], check=True)
    said = subprocess.run([program], check=True, capture_output=True, text=True).stdout
    rows = [line.split() for line in said.splitlines()]
    assert len(rows) == len(NAMES)
    assert all(ioctl_name(int(number)) == name for number, name in rows)
