"""Tasks of storage, run by whichever worker comes first, whatever dies meanwhile."""

import os
import signal
import time

import pytest
from support.client import Raw, wait_until
from support.guests import PRELUDE, compile_guest
from support.server import Server, skerry, write_config

PERIOD = 0.02  # seconds, of the timer in TASKS

# Storage counts ticks of a timer that its main orders, and what requests order: /more a
# task that counts, /gate one that counts and then waits until /open. /ticks, /added
# and /entered tell how many there were; the last counts also what was taken back.
TASKS = {
    "storage": True,
    "shared_memory": 2,
    "source": r"""
#include <string.h>
static volatile struct gate { int entered, open; } *gate;
static long counts[2];
static void tick(size_t n, struct virtbuffer buf[], size_t res) { counts[0]++; }
static void add(size_t n, struct virtbuffer buf[], size_t res) { counts[1]++; }
static void wait(size_t n, struct virtbuffer buf[], size_t res)
{
    counts[1]++;
    __sync_fetch_and_add(&gate->entered, 1);
    while (!gate->open)
        __builtin_ia32_pause();
}
static void fail(size_t n, struct virtbuffer buf[], size_t res)
{
    __builtin_trap();
}
static void undone(size_t n, struct virtbuffer buf[], size_t res)
{
    storage_task(add, 0, 0);
}
static void tell(size_t n, struct virtbuffer buf[], size_t res)
{
    storage_return(counts, sizeof counts);
}
START {
    gate = SHM_ALLOC_TYPE(struct gate);
    if (IS_STORAGE() && getenv("TICK"))
        schedule_storage_task(tick, 0, 0, 0, atof(getenv("TICK")));
}
HANDLE {
    long now[2];
    if (strstr(url, "/more"))
        reply("%ld", storage_task(add, 0, 0));
    if (strstr(url, "/gate"))
        reply("%ld", storage_task(wait, 0, 0));
    if (strstr(url, "/fail"))
        reply("%ld", storage_task(fail, 0, 0));
    if (strstr(url, "/undone"))
        reply("%ld", storage_call(undone, 0, 0, 0, 0));
    if (strstr(url, "/later"))
        reply("%ld", schedule_storage_task(add, 0, 0, 3600, 0));
    if (strstr(url, "/entered"))
        reply("%d", gate->entered);
    if (strstr(url, "/open")) {
        gate->open = 1;
        reply("opened");
    }
    storage_call(tell, 0, 0, now, sizeof now);
    reply("%ld", now[strstr(url, "/added") != 0]);
}
""",
}
TICKING = TASKS | {"environment": [f"TICK={PERIOD}"]}


def ask(server: Server, path: str) -> int:
    return int(server.get(f"/tasks/{path}").body)


def counts(server: Server) -> tuple[int, int, int]:
    """Tasks that were run, that failed, that wait."""
    (program,) = server.status()["programs"]
    return tuple(program[f"tasks_{each}"] for each in ("run", "failed", "pending"))


def kill_workers(server: Server) -> None:
    """Kills all of them, and waits until their successors are there."""
    old = server.workers
    for pid in old:
        os.kill(pid, signal.SIGKILL)
    wait_until(
        lambda: len(server.workers) == len(old) and not {*old} & {*server.workers}
    )


def test_a_task_runs_once_and_soon(serve_by_two):
    server = serve_by_two(tasks=TASKS)
    for _ in range(20):
        assert ask(server, "more") == 0
    wait_until(lambda: ask(server, "added") == 20)
    wait_until(lambda: counts(server) == (20, 0, 0))


def test_a_timer_goes_on_whichever_worker_is_killed(serve_by_two):
    begin = time.monotonic()
    server = serve_by_two(tasks=TICKING)
    for number in (0, 1, 0, 1):
        before = ask(server, "ticks")
        wait_until(lambda before=before: ask(server, "ticks") > before)
        os.kill(server.workers[number], signal.SIGKILL)
        wait_until(lambda: len(server.workers) == 2)
    before = ask(server, "ticks")
    wait_until(lambda: ask(server, "ticks") > before + 10)
    ticks = ask(server, "ticks")
    assert ticks <= (time.monotonic() - begin) / PERIOD + 1
    wait_until(lambda: counts(server)[2] == 1)


def test_a_task_whose_worker_is_killed_is_run_by_another_from_the_state_before(
    serve_by_two,
):
    server = serve_by_two(tasks=TASKS)
    assert ask(server, "gate") == 0
    wait_until(lambda: ask(server, "entered") == 1)
    kill_workers(server)
    wait_until(lambda: ask(server, "entered") == 2)
    server.get("/tasks/open")
    wait_until(lambda: ask(server, "added") == 1)
    wait_until(lambda: counts(server) == (1, 0, 0))


def test_a_task_that_has_cost_three_workers_is_given_up(serve_by_two):
    server = serve_by_two(tasks=TASKS)
    assert ask(server, "gate") == 0
    for tries in (1, 2, 3):
        wait_until(lambda tries=tries: ask(server, "entered") == tries)
        kill_workers(server)
    server.wait_for(r"\[tasks\] storage task 0x\w+ is given up: 3 processes ended")
    assert ask(server, "added") == 0
    assert ask(server, "more") == 0
    wait_until(lambda: counts(server) == (1, 1, 0))
    assert (ask(server, "entered"), ask(server, "added")) == (3, 1)


def test_what_is_ordered_is_run_exactly_once_while_workers_are_killed(serve_by_two):
    server = serve_by_two(tasks=TASKS)
    asked = ordered = 0
    for number in range(6):
        for _ in range(20):
            asked += 1
            try:
                ordered += ask(server, "more") == 0
            except (OSError, ValueError):
                continue
        os.kill(server.workers[number % 2], signal.SIGKILL)
        wait_until(lambda: len(server.workers) == 2)
    wait_until(lambda: counts(server)[2] == 0)
    assert ordered <= ask(server, "added") <= asked
    assert ordered > 0
    added = ask(server, "added")
    wait_until(lambda: counts(server) == (added, 0, 0))


def test_a_task_that_a_call_orders_which_is_rolled_back_never_runs(serve_by_two):
    server = serve_by_two(tasks=TASKS)
    assert ask(server, "undone") == -1
    assert ask(server, "more") == 0
    wait_until(lambda: counts(server) == (1, 0, 0))
    assert ask(server, "added") == 1


def test_a_task_that_fails_is_logged_and_counted(serve_by_two):
    server = serve_by_two(tasks=TASKS)
    assert ask(server, "fail") == 0
    server.wait_for(r"\[tasks\] storage task 0x\w+ failed: illegal instruction")
    wait_until(lambda: counts(server) == (1, 1, 0))


def test_while_a_task_runs_requests_without_storage_are_answered(serve):
    server = serve(tasks=TASKS | {"concurrency": 1})
    assert ask(server, "gate") == 0
    wait_until(lambda: ask(server, "entered") == 1)
    assert ask(server, "entered") == 1
    server.get("/tasks/open")
    assert ask(server, "added") == 1


def test_an_order_that_has_to_wait_holds_up_no_other_request(serve):
    server = serve(tasks=TASKS | {"concurrency": 2, "max_request_time": 60})
    assert ask(server, "gate") == 0
    wait_until(lambda: ask(server, "entered") == 1)
    with Raw(server.port) as slow:
        slow.get("/tasks/more")
        assert ask(server, "entered") == 1
        assert slow.is_silent()
        server.get("/tasks/open")
        assert slow.answer().body == b"0"
    wait_until(lambda: ask(server, "added") == 2)


def test_an_order_that_waits_for_too_long_is_none(serve):
    server = serve(tasks=TASKS | {"concurrency": 2, "max_request_time": 0.5})
    assert ask(server, "gate") == 0
    wait_until(lambda: ask(server, "entered") == 1)
    assert server.get("/tasks/more").status == 500
    server.get("/tasks/open")
    wait_until(lambda: counts(server) == (1, 0, 0))


def test_a_worker_ends_without_waiting_for_a_task_which_another_runs(serve_by_two):
    server = serve_by_two(tasks=TASKS)
    assert ask(server, "gate") == 0
    for entered in range(1, 6):  # more often than a task may cost a worker
        wait_until(lambda entered=entered: ask(server, "entered") >= entered)
        old = server.workers
        for pid in old:
            os.kill(pid, signal.SIGTERM)
        wait_until(lambda old=old: not {*old} & {*server.workers})
        wait_until(lambda: len(server.workers) == 2)
    server.get("/tasks/open")
    wait_until(lambda: ask(server, "added") == 1)
    wait_until(lambda: counts(server) == (1, 0, 0))


# --- Reload, and the end ---

AGAIN = r"(?m)^configuration loaded again: (.*)$"


def reload(server: Server, directory: object, **programs: object) -> str:
    write_config(directory, programs)
    server.process.send_signal(signal.SIGHUP)
    return server.wait_for(AGAIN)[1]


def test_tasks_live_on_when_a_reload_keeps_the_storage(serve_by_two, tmp_path):
    server = serve_by_two(tasks=TICKING)
    assert ask(server, "later") == 0
    said = reload(server, tmp_path, tasks=TICKING | {"concurrency": 2})
    assert said.startswith("changed: tasks")
    before = ask(server, "ticks")
    wait_until(lambda: ask(server, "ticks") > before)
    wait_until(lambda: counts(server)[2] == 2)


def test_tasks_end_with_their_storage_and_main_orders_them_anew(serve_by_two, tmp_path):
    anew = TICKING | {"live_update": "fresh"}
    server = serve_by_two(tasks=anew)
    assert ask(server, "later") == 0
    more = anew | {"environment": [*TICKING["environment"], "OTHER=1"]}
    assert reload(server, tmp_path, tasks=more).startswith("changed: tasks")
    wait_until(lambda: ask(server, "ticks") > 0)
    wait_until(lambda: counts(server)[2] == 1)


@pytest.mark.parametrize("durability", ["process", "fsync"])
def test_what_tasks_have_done_is_in_the_file_and_what_waits_is_not(
    config, tmp_path, durability
):
    file = config(
        tasks=TICKING
        | {"storage_file": str(tmp_path / "kept"), "durability": durability}
    )
    with Server(file, workers=2) as server:
        assert (ask(server, "later"), ask(server, "more")) == (0, 0)
        wait_until(lambda: ask(server, "added") == 1)
        wait_until(lambda: ask(server, "ticks") > 2)
        assert server.stop() == 0
    with Server(file, workers=2) as server:
        assert ask(server, "ticks") > 2
        assert ask(server, "added") == 1
        wait_until(lambda: counts(server)[2] == 1)


# --- Without a server ---


def test_skerry_run_runs_what_is_due_before_it_ends():
    program = compile_guest(
        PRELUDE
        + r"""
        static void say(size_t n, struct virtbuffer buf[], size_t res)
        {
            sys_log(buf[0].data, buf[0].len);
        }
        static void again(size_t n, struct virtbuffer buf[], size_t res)
        {
            storage_task(again, 0, 0);
        }
        START {}
        HANDLE {
            storage_task(say, "the task ran", 12);
            schedule_storage_task(say, "too late", 8, 60, 0);
            storage_task(again, 0, 0);
            reply("the answer");
        }
        """
    )
    done = skerry("run", program)
    assert done.returncode == 0
    assert done.stdout.endswith(b"the answer")
    assert b"the task ran" in done.stderr
    assert b"too late" not in done.stderr


def test_status_shows_tasks_to_people_too(serve):
    server = serve(tasks=TICKING)
    done = skerry("status", "--listen", f"127.0.0.1:{server.port}")
    head = [line for line in done.stdout.decode().splitlines() if "tasks_run" in line]
    assert head[0].split()[-3:] == ["tasks_run", "tasks_failed", "tasks_pending"]
