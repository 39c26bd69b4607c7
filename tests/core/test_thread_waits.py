"""Threads wait for what others do with descriptors: pipes, events, timers, sets."""

from collections.abc import Callable

import pytest
from support.guests import Guest
from support.pthreads import threaded

pytestmark = pytest.mark.core


@pytest.fixture
def program(guest) -> Callable[..., Guest]:
    return threaded(guest)


PIPES = r"""
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
static int to[2], from[2], event;
static void *echo(void *arg)
{
    char byte;
    while (read(to[0], &byte, 1) == 1 && byte != '.') {
        byte++;
        write(from[1], &byte, 1);
    }
    close(from[1]);
    return 0;
}
static void *signal_soon(void *arg)
{
    const uint64_t one = 1;
    pass((long)arg);
    write(event, &one, 8);
    return 0;
}
static long by_epoll(void)
{
    struct epoll_event wanted = {EPOLLIN}, got;
    const int set = epoll_create1(0);
    epoll_ctl(set, EPOLL_CTL_ADD, event, &wanted);
    return epoll_wait(set, &got, 1, -1);
}
static long by_poll(int ms) { return poll(&(struct pollfd){event, POLLIN}, 1, ms); }
static void begin(void)
{
    pipe(to);
    pipe(from);
    event = eventfd(0, 0);
    spawn(echo, 0);
}
static void talk(char *text, size_t room)
{
    uint64_t count = 0;
    size_t used = 0;
    write(to[1], "abc.", 4);
    while (read(from[0], text + used, 1) == 1)
        used++;
    used += sprintf(text + used, " %ld", by_poll(10));
    spawn(signal_soon, 20);
    used += sprintf(text + used, " %ld", by_epoll());
    read(event, &count, 8);
    spawn(signal_soon, 0);
    used += sprintf(text + used, " %ld", by_poll(-1));
    read(event, &count, 8);
    spawn(signal_soon, 5);
    read(event, &count, 8);
    sprintf(text + used, " %lu", count);
}
START { begin(); }
HANDLE { char text[64]; talk(text, 64); reply("%s", text); }
"""


def test_threads_wait_for_each_others_pipes_and_events(program):
    """... also one that main has made, which waits when it is frozen."""
    vm = program(PIPES)
    assert [vm.text() for _ in range(3)] == ["bcd 0 1 1 1"] * 3
    assert vm.vm.differing_pages() == 0


STUCK = r"""
static int ends[2];
static void *get(void *arg) { char byte; return (void *)read(ends[0], &byte, 1); }
START { pipe(ends); }
HANDLE { if (url[1]) result_of(spawn(get, 0)); reply("fine"); }
"""


def test_threads_that_wait_for_what_nobody_does_fail_and_say_so(program):
    vm = program(STUCK)
    assert vm.get("/stuck").status == 500
    assert vm.failure == "deadlock: all threads wait for each other"
    assert vm.text() == "fine"
