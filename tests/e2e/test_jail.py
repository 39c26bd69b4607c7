"""A server in its jail, under every kind of load. A system call that is not on the list
ends it (support/server.py): so what it uses is on the list."""

import os
import re
import signal
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.client import Raw, crowd, wait_until
from support.nobody import NOBODY, as_nobody
from support.processes import status
from support.programs import COUNTER, HELLO, TROUBLE
from support.server import EXAMPLES, Server, write_config

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="root opens what others cannot")

# Bodies both ways, storage, much memory, sleep, random numbers, lines of all kinds.
BUSY = r"""
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
static size_t total;
static void add(size_t n, struct virtbuffer buf[n], size_t res)
{
    total += buf[0].len;
    storage_return(&total, sizeof total);
}
static void on_post(const char *url, const char *arg, const char *type,
                    const uint8_t *data, size_t len)
{
    size_t sum;
    storage_call(add, data, len, &sum, sizeof sum);
    backend_response(200, "text/plain", 10, data, len);
}
START { set_backend_post(on_post); STORAGE_ALLOW(add); }
HANDLE {
    struct timespec t = {0, 5000000};
    size_t size = 3 << 20;
    char *data = malloc(size);
    if (strstr(url, "/sleep"))
        nanosleep(&t, NULL);
    printf("a line\n");
    fflush(stdout);
    sys_log("another", 7);
    memset(data, 'x', size);
    getrandom(data, 1000, 0);
    clock_gettime(CLOCK_REALTIME, &t);
    backend_response(200, "text/plain", 10, data, size);
}
"""
# An exception in its handler's hands, and an alarm.
SIGNALS = r"""
#include <signal.h>
#include <ucontext.h>
#include <unistd.h>
#define RIP 16 /* REG_RIP has a name for GNU sources only */
static volatile int rang;
static void ring(int number) { rang = 1; }
static void skip(int number, siginfo_t *info, void *context)
{
    ((ucontext_t *)context)->uc_mcontext.gregs[RIP] += 2;
}
START {
    struct sigaction action = {.sa_sigaction = skip, .sa_flags = SA_SIGINFO};
    sigaction(SIGILL, &action, NULL);
    signal(SIGALRM, ring);
}
HANDLE {
    asm volatile("ud2");
    ualarm(1000, 0);
    while (!rang)
        ;
    reply("rang");
}
"""
PROGRAMS = {
    "hello": HELLO,
    "trouble": TROUBLE | {"max_request_time": 0.02, "concurrency": 2},
    "signals": {"source": SIGNALS},
    "busy": {"source": BUSY, "storage": True, "concurrency": 3},
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    file = write_config(tmp_path_factory.mktemp("programs"), PROGRAMS)
    with Server(file) as made:
        yield made
        assert made.stop() == 0
        assert "Traceback" not in made.log


def test_ordinary_requests_are_served(server) -> None:
    assert server.get("/hello").body == b"Hello World!"
    assert server.get("/nowhere").status == 404
    for body in (b"small", bytes(100_000), bytes(5 << 20)):
        assert server.request("POST", "/busy", body).body == body


def test_a_program_handles_its_signals(server) -> None:
    assert server.get("/signals").body == b"rang"


def test_crowds_are_served_inline_and_on_threads(server) -> None:
    for paths in (["/hello"] * 20, ["/busy"] * 6, ["/busy/sleep"] * 6):
        answers = crowd(server.port, paths, 5)
        assert {answer.status for answer in answers} == {200}


def test_clones_that_are_lost_are_replaced(server) -> None:
    for path in ("/trouble/crash", "/trouble/mute", "/trouble/loop"):
        # Until then 503: a new clone may take longer than a request may wait.
        wait_until(lambda path=path: server.get(path).status == 500)
    answers = crowd(server.port, ["/trouble/crash", "/trouble/loop"] * 3, 3)
    assert {answer.status for answer in answers} <= {500, 503}
    wait_until(lambda: server.get("/trouble").status == 200)


def test_rude_clients_are_endured(server) -> None:
    for i in range(20):
        client = Raw(server.port)
        client.send(b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"[: 1 + 2 * i])
        (client.reset if i % 2 else client.close)()
    with Raw(server.port) as client:
        client.send(b"nonsense\r\n\r\n")
        assert client.answer().status == 400


def test_a_log_that_nobody_reads_ends_nothing(tmp_path) -> None:
    file = write_config(tmp_path, {"busy": PROGRAMS["busy"]})
    with Server(file, deaf=True) as server:
        for _ in range(3):
            assert server.get("/busy").status == 200
        assert server.stop() == 0


def test_the_examples_are_served(server) -> None:
    with Server(EXAMPLES) as examples:
        for path in ("/hello", "/counter", "/scounter", "/echo", "/greet?name=Ada"):
            assert examples.get(path).status == 200
        assert examples.stop() == 0


# --- Who they are ---

# Starts as storage, and then never as what serves requests.
STUCK = r"""
#include <stdlib.h>
#include <string.h>
START { while (strcmp(getenv("KVM_TYPE"), "request") == 0) ; }
HANDLE {}
"""


def assert_jailed(pid: int) -> None:
    has = status(pid)
    user = NOBODY if os.geteuid() == 0 else os.geteuid()
    assert has["Uid"].split() == [str(user)] * 4
    assert int(has["CapEff"], 16) == int(has["CapPrm"], 16) == 0
    assert (has["NoNewPrivs"], has["Seccomp"]) == ("1", "2")


def test_start_up_code_runs_in_a_jail_as_requests_do(serve, tmp_path) -> None:
    """Once the file has the state of its storage, a guest has run in the boot
    process."""
    file = tmp_path / "state"
    keys = {"storage": True, "storage_file": str(file), "max_boot_time": 60}
    server = serve(hello=HELLO)
    assert_jailed(server.pid)
    write_config(tmp_path, {"hello": HELLO, "stuck": keys | {"source": STUCK}})
    server.process.send_signal(signal.SIGHUP)
    wait_until(lambda: file.exists() and file.stat().st_size > 0)
    (booter,) = server.all_of("skerry.booter")
    assert_jailed(booter)


def test_all_threads_are_in_all_of_the_jail_and_that_is_said_once(serve_by_two) -> None:
    server = serve_by_two(hello=HELLO, keeper={"source": COUNTER, "storage": True})
    server.get("/keeper")
    (line,) = re.findall("^programs run in a jail: (.*)$", server.log, re.M)
    assert re.search(r"(Landlock \d+|no Landlock .*), seccomp$", line)
    assert "threads" not in line


@AS_ROOT
def test_a_storage_file_is_opened_by_who_may_for_those_who_may_not(tmp_path) -> None:
    """The directory is root's, and nobody else can enter it."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    keys = {"source": COUNTER, "storage": True, "storage_file": str(closed / "state")}
    file = write_config(tmp_path, {"keeper": keys})
    for count in (b"1", b"2"):
        with Server(file) as server:
            assert server.get("/keeper").body == count
    assert stat.filemode((closed / "state").stat().st_mode) == "-rw-------"
    assert (closed / "state").stat().st_uid == 0


def test_a_storage_file_that_cannot_be_opened_is_said_and_fails_alone(serve) -> None:
    file = Path("/proc/self/storage")  # where nobody can make a file
    keys = {"source": COUNTER, "storage": True, "storage_file": str(file)}
    server = serve(hello=HELLO, keeper=keys)
    assert server.get("/hello").status == 200
    assert server.get("/keeper").status == 503
    server.wait_for(f"error: program 'keeper': storage file: {file}: No such file")


def test_a_stopped_worker_does_not_outlive_its_supervisor(serve) -> None:
    """It becomes another user, which makes the kernel forget whom it is to die with."""
    server = serve(hello=HELLO)
    worker = server.pid
    os.kill(worker, signal.SIGSTOP)
    server.process.kill()
    server.wait()
    wait_until(lambda: has_ended(worker))


def test_any_user_may_serve_who_may_open_the_device(tmp_path) -> None:
    """With a program that keeps what it stores in a file of that user's."""
    keys = {"source": COUNTER, "storage": True, "storage_file": str(tmp_path / "state")}
    file = write_config(tmp_path, {"hello": HELLO, "keeper": keys})
    under = [] if os.geteuid() else as_nobody(tmp_path)
    with Server(file, under=under) as server:
        user = os.geteuid() or NOBODY
        assert status(server.process.pid)["Uid"].split() == [str(user)] * 4
        assert_jailed(server.pid)
        assert server.get("/hello").status == 200
        assert server.get("/keeper").body == b"1"


def has_ended(pid: int) -> bool:
    """Also when whoever has inherited it does not wait for it."""
    try:
        return status(pid)["State"].startswith("Z")
    except OSError:
        return True
