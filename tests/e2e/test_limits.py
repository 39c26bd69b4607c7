"""Programs that take too much: their requests fail, those of others go on."""

from contextlib import ExitStack

import pytest
from support.client import Raw, wait_until
from support.programs import GATE, HELLO, TROUBLE, enter

# Two requests must be inside at the same time for either to be answered. Notes how many
# there ever were.
PAIRS = r"""
#include <string.h>
static struct { int begun, inside, most; } *shared;
static void spin(int rounds)
{
    while (rounds--)
        __builtin_ia32_pause();
}
START { shared = SHM_ALLOC_TYPE(*shared); }
HANDLE {
    if (strstr(url, "/most"))
        reply("%d", shared->most);
    int mine = __sync_add_and_fetch(&shared->begun, 1);
    int now = __sync_add_and_fetch(&shared->inside, 1);
    for (int seen = shared->most; seen < now; seen = shared->most)
        __sync_bool_compare_and_swap(&shared->most, seen, now);
    while (__atomic_load_n(&shared->begun, __ATOMIC_SEQ_CST) < (mine + 1) / 2 * 2)
        spin(100);
    spin(1000000);
    __sync_sub_and_fetch(&shared->inside, 1);
    reply("done");
}
"""

# /NAME/hold stays inside a storage function until /NAME/open; /NAME/begun tells how
# many have begun to.
HOLDER = {
    "storage": True,
    "shared_memory": 2,
    "max_storage_time": 20,
    "max_request_time": 20,
    "source": r"""
#include <string.h>
static volatile struct { int begun, open; } *gate;
static void hold(size_t n, struct virtbuffer buf[n], size_t res)
{
    while (!gate->open)
        __builtin_ia32_pause();
    storage_return_nothing();
}
START { gate = SHM_ALLOC_TYPE(*gate); STORAGE_ALLOW(hold); }
HANDLE {
    if (strstr(url, "/begun"))
        reply("%d", gate->begun);
    if (strstr(url, "/open"))
        gate->open = 1;
    else if (strstr(url, "/hold")) {
        __sync_add_and_fetch(&gate->begun, 1);
        reply("%ld", storage_call(hold, 0, 0, 0, 0));
    }
    reply("ok");
}
""",
}


SORRY = r"""
static void on_error(const char *url, const char *arg, const char *reason)
{
    reply("sorry, %s: %s", url, reason);
}
START { set_on_error(on_error); }
HANDLE { for (;;) __asm__ volatile("pause"); }
"""

PROGRAMS = {
    "hello": HELLO,
    "trouble": TROUBLE,
    "single": TROUBLE | {"concurrency": 1},
    "gate": GATE | {"concurrency": 4},
    "sorry": {"source": SORRY, "max_request_time": 0.2},
    "pairs": {"source": PAIRS, "shared_memory": 2, "concurrency": 2},
    "holder1": HOLDER,
    "holder2": HOLDER,
    "impatient": HOLDER | {"max_storage_time": 1},
}


def test_a_guest_that_loops_is_a_500_and_others_are_served_meanwhile(server):
    with Raw(server.port) as looping:
        looping.get("/trouble/loop")
        served = 0
        while looping.is_silent():
            assert server.get("/hello").body == b"Hello World!"
            assert server.get("/trouble").body == b"fine"
            served += 1
        assert looping.answer().status == 500
    assert served > 0
    server.wait_for(r"\[trouble\] request failed: time limit reached")


def test_requests_that_take_long_delay_no_other_program(server):
    with ExitStack() as held:
        clients = [held.enter_context(Raw(server.port)) for _ in range(3)]
        for client in clients:
            enter(client, server)
        for _ in range(100):
            assert server.get("/hello").body == b"Hello World!"
        assert all(client.is_silent() for client in clients)
        assert server.get("/gate/open").body == b"done"
        assert {client.answer().body for client in clients} == {b"through"}


def test_on_error_answers_for_a_guest_that_loops(server):
    for _ in range(2):
        answer = server.get("/sorry/x")
        assert answer.body == b"sorry, /sorry/x: time limit reached"
        assert answer.status == 200
    server.wait_for(r"\[sorry\] request failed: time limit reached")


def test_no_more_requests_run_at_the_same_time_than_configured(server):
    with ExitStack() as held:
        clients = [held.enter_context(Raw(server.port)) for _ in range(8)]
        for client in clients:
            client.get("/pairs")
        assert {client.answer().body for client in clients} == {b"done"}
    assert server.get("/pairs/most").body == b"2"


def test_a_request_that_gets_no_clone_in_time_is_a_503(server):
    with ExitStack() as held:
        clients = [held.enter_context(Raw(server.port)) for _ in range(5)]
        for client in clients:
            client.get("/single/loop")
        answers = [client.answer() for client in clients]
    assert {answer.status for answer in answers} == {500, 503}
    busy = [answer for answer in answers if answer.status == 503]
    assert all(answer.headers["Retry-After"] == "1" for answer in busy)
    assert all(b"busy" in answer.body for answer in busy)
    assert server.get("/single").body == b"fine"


@pytest.mark.parametrize("holders", [1, 2])
def test_a_storage_function_that_takes_long_holds_up_no_other_program(server, holders):
    """With two, the second waits for the storage that the first is in."""
    name = f"/holder{holders}"
    with ExitStack() as held:
        clients = [held.enter_context(Raw(server.port)) for _ in range(holders)]
        for client in clients:
            client.get(f"{name}/hold")
        wait_until(lambda: int(server.get(f"{name}/begun").body) == holders)
        for _ in range(50):
            assert server.get("/hello").body == b"Hello World!"
        assert all(client.is_silent() for client in clients)
        assert server.get(f"{name}/open").body == b"ok"
        assert [client.answer().body for client in clients] == [b"0"] * holders


def test_a_storage_function_that_loops_fails_alone_and_storage_goes_on(server):
    assert server.get("/impatient/hold").body == b"-1"
    server.wait_for(r"\[impatient\] storage function hold failed: time limit reached")
    assert server.get("/impatient/open").body == b"ok"
    assert server.get("/impatient/hold").body == b"0"
