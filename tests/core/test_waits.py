"""Pipes, counters, timers and sets of epoll: whose they are, what happens to who waits
for them, and how many there may be. What single calls answer is in test_descriptors."""

import os

import pytest
from support.leaks import Held

from skerry import native
from skerry.errors import SkerryError
from skerry.message import Request

pytestmark = pytest.mark.core
GNU = ("-static", "-D_GNU_SOURCE")

# --- What belongs to whom ---

# Start-up makes one of each; a request uses all of them up, and tells what it found.
KEPT = r"""
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>
static int ends[2], both[2], counter, set, file, timer, watched;
START {
    struct epoll_event e = {EPOLLIN | EPOLLONESHOT, {.fd = 77}};
    struct itimerspec past = {{0, 0}, {1, 0}};
    pipe2(ends, O_NONBLOCK);
    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, both);
    counter = eventfd(5, EFD_NONBLOCK);
    file = memfd_create("file", 0);
    timer = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK);
    timerfd_settime(timer, TFD_TIMER_ABSTIME, &past, 0);
    set = epoll_create1(0);
    epoll_ctl(set, EPOLL_CTL_ADD, counter, &e);
    write(ends[1], "pipe", 4);
    write(both[0], "pair", 4);
    write(file, "memory", 6);
}
HANDLE {
    char a[100] = "", b[100] = "", c[100] = "";
    struct epoll_event e = {0};
    uint64_t count = 0, ticks = 0;
    int told = epoll_wait(set, &e, 1, 0);
    read(counter, &count, 8), read(timer, &ticks, 8);
    read(ends[0], a, 99), read(both[1], b, 99), pread(file, c, 99, 0);
    write(ends[1], "again", 5), write(both[0], "again", 5);
    pwrite(file, "LONGER THAN IT WAS", 18, 0);
    epoll_ctl(set, EPOLL_CTL_ADD, ends[0], &e);
    while (eventfd(7, 0) >= 0)
        ;
    if (url[1] == 'c')
        close(ends[1]), close(both[0]), close(set), close(file), dup2(0, counter);
    if (url[1] == 'f')
        *(volatile int *)0 = 1;
    reply("%d %d %d %s %s %s %d", told, e.data.fd, (int)count, a, b, c, (int)ticks);
}
"""
FOUND = "1 77 5 pipe pair memory 1"


def test_each_clone_has_its_own_pipes_timers_and_counters(guest):
    """... as start-up has left them, whatever requests before have done with them."""
    vm = guest(KEPT)
    for path in ("/", "/close", "/fail", "/", "/close", "/"):
        answer = vm.get(path)
        assert answer.status == 500 or answer.body.decode() == FOUND
        assert (answer.status == 500) == (path == "/fail")
        assert vm.vm.differing_pages() == 0
    request = Request(b"GET", b"/", b"test", b"", b"", b"")
    with vm.clone() as one, vm.clone() as two:
        assert [x.serve(request).body.decode() for x in (one, two)] == [FOUND] * 2


def test_they_go_to_another_process_with_the_program(guest):
    vm = guest(KEPT)
    data, fd = vm.snapshot.export()
    with native.Snapshot.attach(data, os.dup(fd), None) as snapshot:
        assert snapshot.export()[0] == data
        with native.Vm(snapshot, vm.console, 10.0, 0.0, None, hold=True) as clone:
            request = Request(b"GET", b"/", b"test", b"", b"", b"")
            for _ in range(2):
                assert clone.serve(request).body.decode() == FOUND
                clone.reset()


def test_a_parcel_with_a_part_missing_is_refused(guest):
    data, fd = guest(KEPT).snapshot.export()
    for cut in (1, 100, 5000, 70000):
        with pytest.raises(SkerryError, match="frozen machine"):
            native.Snapshot.attach(data[:-cut], os.dup(fd), None)


def test_what_a_request_makes_is_gone_when_it_ends(guest):
    vm = guest(KEPT)
    before = None
    for number in range(100):
        assert vm.text("/close") == FOUND
        before = before or Held.now() if number == 10 else before
    assert before is not None
    Held.now().assert_same(before)


STORAGE = r"""
#include <sys/eventfd.h>
#include <unistd.h>
static int counter, calls;
static void add(size_t n, struct virtbuffer buf[n], size_t res)
{
    uint64_t one = 1, found[3] = {0, 0, ++calls};
    int made = eventfd(10, 0);
    write(counter, &one, 8), write(made, &one, 8);
    read(counter, &found[0], 8), read(made, &found[1], 8);
    write(counter, &one, 8);
    storage_return(found, sizeof found);
}
START {
    STORAGE_ALLOW(add);
    if (IS_STORAGE())
        counter = eventfd(5, EFD_NONBLOCK);
}
HANDLE {
    uint64_t found[3];
    storage_call(add, 0, 0, found, sizeof found);
    reply("%d %d %d", (int)found[0], (int)found[1], (int)found[2]);
}
"""


def test_each_storage_call_finds_them_as_start_up_has_left_them(guest):
    vm = guest(STORAGE, storage=True)
    assert [vm.text() for _ in range(3)] == ["6 11 1", "6 11 2", "6 11 3"]


# --- Waiting ---

WAITS = r"""
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>
static char room[1 << 17];
static void failed(const char *url, const char *arg, const char *why)
{
    reply("failed");
}
START { set_on_error(failed); }
HANDLE {
    int ends[2], both[2], counter = eventfd(0, 0), set = epoll_create1(0);
    int timer = timerfd_create(CLOCK_MONOTONIC, 0);
    uint64_t most = -2, count = 0;
    struct epoll_event e = {EPOLLIN};
    struct pollfd one = {counter, POLLIN};
    struct itimerspec soon = {{0, 0}, {0, 5000000}};
    pipe(ends), socketpair(AF_UNIX, SOCK_STREAM, 0, both);
    epoll_ctl(set, EPOLL_CTL_ADD, counter, &e);
    switch (url[1]) {
    case 'a': read(ends[0], &count, 8); break;
    case 'b': write(ends[1], room, sizeof room), write(ends[1], room, 1); break;
    case 'c': read(counter, &count, 8); break;
    case 'd': write(counter, &most, 8), write(counter, &most, 8); break;
    case 'e': read(timer, &count, 8); break;
    case 'f': epoll_wait(set, &e, 1, -1); break;
    case 'g': poll(&one, 1, -1); break;
    case 'h': select(0, 0, 0, 0, 0); break;
    case 'i': read(both[0], &count, 8); break;
    case 'j': close(ends[0]), write(ends[1], "", 1); break;
    case 'm':
        timerfd_settime(timer, 0, &soon, 0), usleep(6000);
        one = (struct pollfd){timer, POLLOUT}, poll(&one, 1, -1);
        break;
    case 'k': poll(&one, 1, 1000000); break;
    case 'l': timerfd_settime(timer, 0, &soon, 0), read(timer, &count, 8); break;
    }
    reply("%d", (int)count);
}
"""
EMPTY = "deadlock: waits for an empty pipe that nobody can fill"


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/a", EMPTY),
        ("/b", "deadlock: waits for a full pipe that nobody can empty"),
        ("/c", "deadlock: waits for an eventfd that nobody can write to"),
        ("/d", "deadlock: waits for a full eventfd that nobody can read from"),
        ("/e", "deadlock: waits for a timer that nobody has set"),
        ("/f", "deadlock: waits for epoll events that nobody can cause"),
        ("/g", "deadlock: waits for descriptors that nobody can make ready"),
        ("/h", "deadlock: waits for descriptors that nobody can make ready"),
        ("/i", EMPTY),
        ("/m", "deadlock: waits for descriptors that nobody can make ready"),
        ("/j", "ended itself with signal 13 (SIGPIPE)"),
    ],
)
def test_what_would_wait_for_ever_fails_at_once_and_says_why(guest, path, why):
    """... not when the time of the request is over."""
    vm = guest(WAITS, limit=1000.0)
    assert vm.text(path) == "failed"
    assert vm.failure.startswith(why)
    assert vm.text("/l") == "1"


def test_a_wait_ends_with_the_time_of_its_request(guest):
    vm = guest(WAITS, limit=0.2)
    assert vm.text("/k") == "failed"
    assert vm.failure.startswith("time limit reached")
    assert vm.text("/") == "0"


def test_a_program_that_waits_is_left_to_itself_and_taken_up_again(guest):
    """The loop's thread has other things to do: a wait is interrupted as a run is."""
    vm = guest(WAITS)
    request = Request(b"GET", b"/l", b"test", b"", b"", b"")
    with native.Vm(vm.snapshot, vm.console, 10.0, 0.001, None, hold=True) as clone:
        answer, resumed = clone.serve(request), 0
        while answer is None:
            answer, resumed = clone.resume(), resumed + 1
        assert (answer.body, resumed > 0) == (b"1", True)


# --- Limits ---

FULL = r"""
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>
static char room[1 << 20];
static struct pollfd many[100000];
static long result(long value) { return value < 0 ? -errno : value; }
START {}
HANDLE {
    int ends[64], n = 0, sets[30];
    long last = 0, wrote = 0, kept = 0;
    struct epoll_event e = {EPOLLIN};
    switch (url[1]) {
    case 'p': /* pipes, full */
        while (!pipe2(ends, O_NONBLOCK) && (last = write(ends[1], room, 65536)) > 0)
            wrote += last;
        reply("%ld %s", wrote, strerrorname_np(errno));
        return;
    case 'm': /* files without a name, as large as may be */
        for (n = 0; n < 40; n++) {
            ends[0] = memfd_create("", 0);
            while ((last = write(ends[0], room, 1 << 20)) > 0)
                wrote += last;
        }
        ftruncate(ends[0], 1 << 30);
        last = result(pwrite(ends[0], "x", 1, (1 << 30) - 1));
        n = pread(ends[0], room, 4096, 1 << 29);
        reply("%ld %s %d", wrote, strerrorname_np(-last), n);
        return;
    case 'f':
        reply("%s", poll(many, 100000, 0) < 0 ? strerrorname_np(errno) : "?");
        return;
    case 's': /* every set in every other, where that goes */
        for (n = 0; n < 30; n++)
            sets[n] = epoll_create1(0);
        for (int a = 0; a < 30; a++)
            for (int b = 0; b < 30; b++) {
                last = result(epoll_ctl(sets[a], EPOLL_CTL_ADD, sets[b], &e));
                wrote += last == 0, kept += last == -ELOOP;
            }
        for (last = n = 0; n < 30; n++)
            last += epoll_wait(sets[n], &e, 1, 0);
        reply("%ld %d %ld", wrote, kept > 0, last);
        return;
    case 'w': /* under numbers that are closed again, the same pipe over and over */
        sets[0] = epoll_create1(0);
        pipe(ends);
        for (n = 3; n < 60 && !last; n++)
            for (int fd = 6; fd < 64 && !last; fd++) {
                dup2(n % 2 ? ends[0] : ends[1], fd);
                last = result(epoll_ctl(sets[0], EPOLL_CTL_ADD, fd, &e));
                last = last == -EEXIST ? 0 : last;
            }
        reply("%s", last ? strerrorname_np(-last) : "all");
        return;
    }
}
"""


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/pipes", "1048576 ENOMEM"),
        ("/memory", "16777216 ENOSPC 4096"),
        ("/fds", "EINVAL"),
        ("/sets", "29 1 0"),
        ("/watches", "ENOSPC"),
    ],
)
def test_what_a_machine_has_of_them_has_a_bound(guest, path, found):
    vm = guest(FULL, flags=GNU)
    assert [vm.text(path) for _ in range(3)] == [found] * 3
    assert vm.vm.differing_pages() == 0
