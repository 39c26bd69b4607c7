"""Who connects sockets of programs: what it is asked comes from strangers."""

import errno
import os
import socket
import struct

import pytest
from support.client import wait_until
from support.leaks import descriptors
from support.peers import Peer, closed_port

from skerry.connector import open_connector
from skerry.egress import Policy, address

ASK = struct.Struct("=64sHH16s")


@pytest.fixture
def peer():
    with Peer() as made:
        yield made


@pytest.fixture
def door(peer):
    with socket.socket(fileno=open_connector(Policy([f"127.0.0.1:{peer.port}"]))) as it:
        it.settimeout(30)
        yield it


def ask_for(port: int, host: str = "127.0.0.1", family: int = socket.AF_INET) -> bytes:
    return ASK.pack(b"test", family, port, socket.inet_pton(family, host))


def asked(door: socket.socket, data: bytes) -> tuple[bytes, list[int]]:
    """What comes of (data), sent to (door): bytes and descriptors."""
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            socket.send_fds(door, [data], [theirs.fileno()])
        ours.settimeout(30)
        got, fds, _, _ = socket.recv_fds(ours, 100, 4)
        return got, fds


def number(of: int) -> tuple[bytes, list[int]]:
    return struct.pack("i", of), []


def test_a_connection_comes_once_it_is_made(door, peer):
    got, (fd,) = asked(door, ask_for(peer.port))
    assert got == struct.pack("i", 0)
    with socket.socket(fileno=fd) as made:
        made.setblocking(True)
        made.sendall(b"say hello\n")
        assert made.recv(100) == b"hello"


def test_what_cannot_be_is_an_error(door, peer):
    mapped = ask_for(peer.port, "::ffff:127.0.0.2", socket.AF_INET6)
    assert asked(door, ask_for(closed_port())) == number(errno.EACCES)
    assert asked(door, mapped) == number(errno.EACCES)
    unix = ASK.pack(b"test", socket.AF_UNIX, 1, b"/tmp/x")
    assert asked(door, unix) == number(errno.EAFNOSUPPORT)


def test_nonsense_gets_no_answer_and_ends_nothing(door, peer):
    held = descriptors()
    whole = ask_for(peer.port)
    for data in (b"x", whole[:-1], whole + b"x"):
        assert asked(door, data) == (b"", [])
    door.send(whole)  # no descriptor to answer on
    with open("/dev/null") as file:
        socket.send_fds(door, [whole], [file.fileno()])
    ours, theirs = socket.socketpair()
    with ours, theirs:
        socket.send_fds(door, [b"x"], [theirs.fileno()] * 3)
    _, (fd,) = asked(door, whole)
    os.close(fd)
    wait_until(lambda: descriptors() <= held)


def test_who_does_not_wait_any_more_has_nothing_made(door, peer):
    for _ in range(100):
        ours, theirs = socket.socketpair()
        with theirs:
            socket.send_fds(door, [ask_for(peer.port)], [theirs.fileno()])
        ours.close()
    wait_until(lambda: peer.open == 0)
    got: list[int] = []
    while not got:  # what is given up may still count, for a moment
        error, got = asked(door, ask_for(peer.port))
        assert error in (struct.pack("i", 0), struct.pack("i", errno.EAGAIN))
    os.close(got[0])


@pytest.mark.parametrize(
    ("entry", "place", "port", "allowed"),
    [
        ("10.0.0.0/8", "10.1.2.3", 80, True),
        ("10.0.0.0/8", "10.1.2.3", 5432, False),
        ("10.0.0.0/8:*", "10.1.2.3", 5432, True),
        ("localhost", "127.0.0.1", 443, True),
        ("localhost", "::1", 443, True),
        ("localhost", "127.0.0.2", 443, False),
        ("127.0.0.1", "::ffff:127.0.0.1", 80, True),
        ("*", "93.184.215.14", 443, True),
        ("*", "::ffff:10.0.0.1", 443, False),
        ("*", "169.254.169.254", 80, False),
        ("*", "0.0.0.0", 80, False),
        ("*", "64:ff9b::7f00:1", 80, False),
        ("example.com", "93.184.215.14", 443, False),
    ],
)
def test_a_socket_goes_where_an_entry_has_the_address(entry, place, port, allowed):
    found = address(place)
    assert found is not None
    assert Policy([entry]).may_connect(found, port) == allowed
