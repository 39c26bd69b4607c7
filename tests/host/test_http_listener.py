"""The listener: who connects is taken, or waits; and it never gives up, or spins."""

import asyncio
import errno
import resource
import socket

import pytest
from support.leaks import descriptors

from skerry.http.descriptors import most_connections
from skerry.http.listener import Listener, bind


class Queue:
    """A listening socket. accept() does what (steps) say; then nobody waits."""

    def __init__(self, steps):
        self.steps = steps
        self.is_closed = False

    def accept(self):
        step = self.steps.pop(0) if self.steps else BlockingIOError()
        if isinstance(step, Exception):
            raise step
        return step, "address"

    def getsockname(self):
        return "127.0.0.1", 80

    def close(self):
        self.is_closed = True


class Loop:
    """An event loop that does nothing before it is told to."""

    def __init__(self):
        self.readers = {}
        self.timers = []
        self.now = 1000.0

    def add_reader(self, queue, callback, *arguments):
        self.readers[queue] = lambda: callback(*arguments)

    def remove_reader(self, queue):
        self.readers.pop(queue, None)

    def call_later(self, seconds, callback, *arguments):
        timer = Timer(self.now + seconds, lambda: callback(*arguments))
        self.timers.append(timer)
        return timer

    def time(self):
        return self.now

    def later(self, seconds):
        """Sleeps, and calls what is due."""
        self.now += seconds
        due = [each for each in self.timers if each.at <= self.now]
        self.timers = [each for each in self.timers if each not in due]
        for each in due:
            each.call()

    def turn(self):
        for reader in list(self.readers.values()):
            reader()


class Timer:
    def __init__(self, at, call):
        self.at, self.call = at, call

    def cancel(self):
        self.call = lambda: None


def listen(*steps):
    queue, loop, clients = Queue(list(steps)), Loop(), []
    return queue, loop, clients, Listener([queue], clients.append, loop)


FAILURES = [
    OSError(errno.EMFILE, "Too many open files"),
    OSError(errno.ENFILE, "Too many open files in system"),
    OSError(errno.ENOMEM, "Cannot allocate memory"),
    OSError(errno.ENOBUFS, "No buffer space available"),
    MemoryError(),
]


@pytest.mark.parametrize("failure", FAILURES, ids=repr)
def test_when_accept_fails_clients_wait_and_the_loop_does_not_spin(failure, caplog):
    _, loop, clients, _ = listen("first", failure, failure, "second")
    loop.turn()
    assert (clients, loop.readers) == (["first"], {})
    loop.later(0.3)
    loop.turn()
    assert (clients, loop.readers) == (["first"], {})
    loop.later(0.3)
    loop.turn()
    assert clients == ["first", "second"]
    (line,) = caplog.messages
    assert line.startswith("new connections have to wait: ")


def test_the_log_says_once_a_minute_that_clients_wait(caplog):
    _, loop, _, _ = listen(*[FAILURES[0]] * 240)
    for _ in range(240):
        loop.turn()
        loop.later(0.5)
    assert len(caplog.messages) == 2


def test_a_client_that_has_left_already_is_no_failure(caplog):
    _, loop, clients, _ = listen(ConnectionAbortedError(), "second")
    loop.turn()
    loop.turn()
    assert (clients, caplog.messages) == (["second"], [])


def test_many_that_connect_at_once_do_not_hold_up_the_others():
    _, loop, clients, _ = listen(*range(100))
    loop.turn()
    assert len(clients) == 64
    loop.turn()
    assert clients == list(range(100))


def test_a_listener_that_is_closed_while_it_pauses_stays_closed():
    queue, loop, clients, listener = listen(FAILURES[0], "late")
    loop.turn()
    listener.close()
    listener.close()
    loop.later(1)
    assert (queue.is_closed, loop.readers, clients) == (True, {}, [])


def test_an_address_that_cannot_be_had_leaves_no_socket_open():
    async def take_twice():
        (taken,) = await bind("127.0.0.1", 0, False)
        before = descriptors()
        with taken, pytest.raises(OSError, match="Address already in use"):
            await bind("127.0.0.1", taken.getsockname()[1], False)
        assert len(descriptors()) < len(before)

    asyncio.run(take_twice())


def test_a_name_with_two_addresses_is_listened_to_on_both():
    async def listen():
        sockets = await bind("localhost", 0, False)
        families = {each.family for each in sockets}
        for each in sockets:
            each.close()
        return families

    known = socket.getaddrinfo("localhost", 0, type=socket.SOCK_STREAM)
    assert asyncio.run(listen()) == {each[0] for each in known}


def test_connections_leave_descriptors_for_guests():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    assert most_connections(1 << 40) == hard // 4 * 3
    assert most_connections(10) == 10
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
