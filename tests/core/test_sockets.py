"""Sockets that lead to other hosts. One program makes many calls, good and bad, with a
server of the test at the other end; it runs on this Linux and in a guest."""

import errno
import os
import socket
import struct
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.client import wait_until
from support.guests import PRELUDE, Guest, compile_guest
from support.leaks import Held
from support.oracle import DESCRIPTORS, SHOW, differing, on_linux, results
from support.peers import Peer, closed_port

from skerry import native

pytestmark = pytest.mark.core

# One line a call: "CALL = RESULT", the result a number or a name of an error. PEER is
# the server of IPv4, PEER6 that of IPv6, NOBODY an address where no one listens.
PROGRAM = (
    SHOW
    + DESCRIPTORS
    + r"""
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>

static char p[1 << 20], room[100000];
static struct sockaddr_in peer, nobody, any;
static struct sockaddr_in6 peer6, mapped;
#define SAY(fd, words) IS(write(fd, words "\n", sizeof words) == sizeof words)

/* What poll finds once there is one of (events). */
static long events_when(int fd, int events)
{
    struct pollfd one = {fd, events};
    if (poll(&one, 1, 5000) < 0)
        return -errno;
    return events_of(fd);
}
static long option(int fd, int level, int name)
{
    int value = 77;
    socklen_t len = sizeof value;
    return getsockopt(fd, level, name, &value, &len) ? -errno : value;
}
static long set(int fd, int level, int name, int value)
{
    return setsockopt(fd, level, name, &value, sizeof value) ? -errno : 0;
}
static int link_to(int family, const void *address, socklen_t len, int flags)
{
    int fd = socket(family, SOCK_STREAM | flags, 0);
    if (connect(fd, address, len) && errno != EINPROGRESS)
        return -errno;
    return fd;
}
#define LINK(flags) link_to(AF_INET, &peer, sizeof peer, flags)
static long take(int fd, size_t size)
{
    size_t have = 0;
    long n;
    while (have < size && (n = read(fd, p + have, size - have)) > 0)
        have += n;
    return have;
}
static int handled;
static void on_signal(int number) { handled = number; }

static void making(void)
{
    struct stat st;
    TRY(socket, AF_INET, SOCK_STREAM, 0);
    TRY(socket, AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP);
    TRY(socket, AF_INET6, SOCK_STREAM, 0);
    TRY(socket, AF_INET, SOCK_STREAM, IPPROTO_UDP);
    TRY(socket, AF_INET, SOCK_STREAM | 0x100, 0);
    TRY(socket, 99, SOCK_STREAM, 0);
    TRY(socket, AF_INET, SOCK_SEQPACKET, 0);
    TRY(fcntl, 3, F_GETFL);
    TRY(fcntl, 4, F_GETFL);
    TRY(fcntl, 4, F_GETFD);
    IS(fstat(3, &st) ? -errno : st.st_mode);
    IS(events_of(3));
    TRY(read, 3, p, 5);
    TRY(read, 3, p, 0);
    TRY(sendto, 3, p, 5, MSG_NOSIGNAL, 0, 0);
    TRY(shutdown, 3, SHUT_RDWR);
    TRY(shutdown, 3, 7);
    TRY(lseek, 3, 0, SEEK_CUR);
    TRY(pread64, 3, p, 1, 0);
    TRY(ftruncate, 3, 0);
    TRY(fsync, 3);
    TRY(ioctl, 3, 0x5401, p);
    close_all();
}

static void names(void)
{
    socklen_t len = sizeof any, none = 0, negative = -1;
    int fd = socket(AF_INET, SOCK_STREAM, 0), other = socket(AF_INET6, SOCK_STREAM, 0);
    IS(getsockname(fd, (void *)&any, &len));
    IS(len);
    IS(any.sin_family);
    IS(any.sin_port);
    len = 100;
    TRY(getsockname, other, p, &len);
    IS(len);
    TRY(getsockname, fd, BAD, &len);
    TRY(getsockname, fd, p, BAD);
    TRY(getsockname, fd, p, &negative);
    TRY(getsockname, fd, p, &none);
    IS(none);
    TRY(getsockname, 0, p, &len);
    TRY(getsockname, 99, p, &len);
    TRY(getpeername, fd, p, &len);
    close_all();
    fd = LINK(0);
    len = sizeof any;
    IS(getpeername(fd, (void *)&any, &len));
    IS(memcmp(&any, &peer, 8));
    len = 4;
    IS(getpeername(fd, (void *)&any, &len));
    IS(len);
    len = sizeof any;
    IS(getsockname(fd, (void *)&any, &len));
    IS(any.sin_addr.s_addr == peer.sin_addr.s_addr && any.sin_port != 0);
    close_all();
}

static void connecting(void)
{
    struct sockaddr_in bad = peer;
    struct sockaddr_storage huge = {AF_INET};
    int fd = socket(AF_INET, SOCK_STREAM, 0), six = socket(AF_INET6, SOCK_STREAM, 0);
    bad.sin_family = AF_INET6;
    TRY(connect, fd, BAD, sizeof peer);
    TRY(connect, fd, &peer, 1);
    TRY(connect, fd, &peer, 15);
    TRY(connect, fd, &peer, -1);
    TRY(connect, fd, &huge, sizeof huge + 1);
    TRY(connect, fd, &bad, sizeof bad);
    TRY(connect, six, &peer6, 23);
    TRY(connect, six, &peer, sizeof peer);
    TRY(connect, 0, &peer, sizeof peer);
    TRY(connect, 99, &peer, sizeof peer);
    TRY(connect, fd, &nobody, sizeof nobody);
    IS(option(fd, SOL_SOCKET, SO_ERROR));
    TRY(connect, fd, &nobody, sizeof nobody);
    TRY(connect, fd, &peer, sizeof peer);
    TRY(connect, fd, &peer, sizeof peer);
    IS(events_of(fd));
    IS(option(fd, SOL_SOCKET, SO_ERROR));
    TRY(connect, six, &peer6, sizeof peer6);
    TRY(connect, six, &peer6, sizeof peer6);
    close_all();
    six = socket(AF_INET6, SOCK_STREAM, 0);
    TRY(connect, six, &mapped, sizeof mapped);
    SAY(six, "say over");
    IS(take(six, 4));
    close_all();
}

static void without_waiting(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    TRY(connect, fd, &peer, sizeof peer);
    IS(events_when(fd, POLLOUT));
    IS(option(fd, SOL_SOCKET, SO_ERROR));
    TRY(connect, fd, &peer, sizeof peer);
    TRY(connect, fd, &peer, sizeof peer);
    TRY(read, fd, p, 5);
    TRY(recvfrom, fd, p, 5, MSG_PEEK, 0, 0);
    SAY(fd, "say hello");
    IS(events_when(fd, POLLIN));
    TRY(read, fd, p, 100);
    TRY(read, fd, p, 100);
    SAY(fd, "close");
    IS(events_when(fd, POLLIN));
    TRY(read, fd, p, 100);
    close_all();
    fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    TRY(connect, fd, &nobody, sizeof nobody);
    IS(events_when(fd, POLLOUT));
    IS(option(fd, SOL_SOCKET, SO_ERROR));
    IS(option(fd, SOL_SOCKET, SO_ERROR));
    IS(events_of(fd));
    TRY(read, fd, p, 100);
    TRY(sendto, fd, p, 1, MSG_NOSIGNAL, 0, 0);
    TRY(getpeername, fd, p, p);
    TRY(connect, fd, &nobody, sizeof nobody);
    IS(events_of(fd));
    close_all();
    fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    TRY(connect, fd, &nobody, sizeof nobody);
    events_when(fd, POLLOUT);
    TRY(read, fd, p, 100);
    TRY(read, fd, p, 100);
    close_all();
    fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    TRY(connect, fd, &nobody, sizeof nobody);
    events_when(fd, POLLOUT);
    TRY(connect, fd, &peer, sizeof peer);
    TRY(connect, fd, &peer, sizeof peer);
    IS(events_when(fd, POLLOUT));
    close_all();
}

static void bytes(void)
{
    struct iovec iov[3] = {{"say ab", 6}, {"", 0}, {"cde\n", 4}};
    struct iovec into[3] = {{room, 2}, {room + 10, 0}, {room + 20, 10}};
    struct sockaddr_in from;
    socklen_t len = sizeof from;
    int fd = LINK(0), count = 9;
    TRY(writev, fd, iov, 3);
    IS(events_when(fd, POLLIN));
    TRY(ioctl, fd, FIONREAD, &count);
    IS(count);
    TRY(recvfrom, fd, p, 100, MSG_PEEK, 0, 0);
    TRY(recvfrom, fd, p, 2, MSG_PEEK, &from, &len);
    IS(len);
    TRY(readv, fd, into, 3);
    IS(memcmp(room, "ab", 2) || memcmp(room + 20, "cde", 3));
    TRY(recvfrom, fd, p, 10, MSG_DONTWAIT, 0, 0);
    TRY(ioctl, fd, FIONREAD, &count);
    IS(count);
    TRY(write, fd, BAD, 5);
    TRY(write, fd, p, 0);
    SAY(fd, "say 1");
    IS(events_when(fd, POLLIN));
    TRY(read, fd, BAD, 5);
    IS(take(fd, 1));
    TRY(sendto, fd, "say more\n", 9, 0, &peer, sizeof peer);
    IS(take(fd, 4));
    SAY(fd, "big 700000");
    IS(take(fd, 700000));
    int other = dup(fd);
    SAY(other, "say both");
    close(fd);
    IS(take(other, 4));
    TRY(fcntl, other, F_SETFL, O_RDWR | O_NONBLOCK);
    TRY(read, other, p, 1);
    close_all();
}

static void messages(void)
{
    struct iovec iov[2] = {{"say messa", 9}, {"ges\n", 4}};
    struct iovec into[2] = {{p, 3}, {p + 3, 9}};
    struct msghdr out = {.msg_iov = iov, .msg_iovlen = 2};
    struct msghdr in = {.msg_iov = into, .msg_iovlen = 2, .msg_name = room,
                        .msg_namelen = 16, .msg_control = room, .msg_controllen = 100,
                        .msg_flags = 77};
    struct msghdr many = {.msg_iov = iov, .msg_iovlen = 1025};
    struct msghdr nowhere = {.msg_iov = BAD, .msg_iovlen = 1};
    int two[2], fd = LINK(0);
    TRY(sendmsg, fd, &out, MSG_NOSIGNAL);
    IS(events_when(fd, POLLIN));
    TRY(recvmsg, fd, &in, MSG_PEEK | MSG_DONTWAIT);
    IS(memcmp(p, "messages", 8));
    in.msg_namelen = 16, in.msg_controllen = 100, in.msg_flags = 77;
    TRY(recvmsg, fd, &in, MSG_CMSG_CLOEXEC);
    IS(in.msg_namelen);
    IS(in.msg_controllen);
    TRY(recvmsg, fd, &in, MSG_DONTWAIT);
    TRY(recvmsg, fd, BAD, 0);
    TRY(sendmsg, fd, BAD, 0);
    TRY(sendmsg, fd, &many, 0);
    TRY(sendmsg, fd, &nowhere, 0);
    TRY(sendmsg, 0, &out, 0);
    TRY(recvmsg, 99, &in, 0);
    close_all();
    socketpair(AF_UNIX, SOCK_STREAM, 0, two);
    TRY(sendmsg, two[0], &out, 0);
    TRY(recvmsg, two[1], &in, 0);
    IS(in.msg_namelen);
    close_all();
}

static void endings(void)
{
    int fd = LINK(0);
    SAY(fd, "count");
    memset(p, 'x', sizeof p);
    for (size_t sent = 0; sent < sizeof p;) {
        long n = write(fd, p + sent, sizeof p - sent);
        if (n <= 0)
            break;
        sent += n;
    }
    TRY(shutdown, fd, SHUT_WR);
    TRY(write, fd, p, 1);
    TRY(sendto, fd, p, 1, MSG_NOSIGNAL, 0, 0);
    IS(take(fd, 100));
    IS(strncmp(p, "1048576", 7));
    IS(events_of(fd));
    TRY(read, fd, p, 1);
    close_all();
    fd = LINK(0);
    SAY(fd, "reset");
    IS(events_when(fd, POLLIN));
    TRY(read, fd, p, 1);
    TRY(read, fd, p, 1);
    TRY(shutdown, fd, SHUT_RDWR);
    close_all();
    fd = LINK(0);
    SAY(fd, "reset");
    events_when(fd, POLLIN);
    IS(option(fd, SOL_SOCKET, SO_ERROR));
    handled = 0;
    TRY(write, fd, p, 1);
    IS(handled);
    close_all();
    fd = LINK(0);
    TRY(shutdown, fd, SHUT_RD);
    IS(events_of(fd));
    TRY(read, fd, p, 1);
    TRY(write, fd, "say 1\n", 6);
    close_all();
}

static void options(void)
{
    struct timeval t = {0, 20000}, back;
    socklen_t len = sizeof back, tiny = 2;
    int fd = socket(AF_INET, SOCK_STREAM, 0), value = 1;
    IS(option(fd, SOL_SOCKET, SO_TYPE));
    IS(option(fd, SOL_SOCKET, SO_DOMAIN));
    IS(option(fd, SOL_SOCKET, SO_PROTOCOL));
    IS(option(fd, SOL_SOCKET, SO_ACCEPTCONN));
    IS(option(fd, SOL_SOCKET, SO_KEEPALIVE));
    IS(set(fd, SOL_SOCKET, SO_KEEPALIVE, 5));
    IS(option(fd, SOL_SOCKET, SO_KEEPALIVE));
    IS(set(fd, SOL_SOCKET, SO_KEEPALIVE, 0));
    IS(option(fd, SOL_SOCKET, SO_KEEPALIVE));
    IS(set(fd, SOL_SOCKET, SO_REUSEADDR, 1));
    IS(set(fd, IPPROTO_TCP, TCP_NODELAY, 1));
    IS(option(fd, IPPROTO_TCP, TCP_NODELAY));
    IS(option(fd, IPPROTO_TCP, TCP_KEEPIDLE));
    IS(option(fd, IPPROTO_TCP, TCP_KEEPCNT));
    IS(set(fd, IPPROTO_TCP, TCP_KEEPINTVL, 0));
    IS(set(fd, IPPROTO_TCP, TCP_KEEPINTVL, 15));
    IS(option(fd, IPPROTO_TCP, TCP_KEEPINTVL));
    IS(set(fd, 77, 77, 1));
    IS(set(fd, SOL_SOCKET, 999, 1));
    IS(option(fd, SOL_SOCKET, 999));
    TRY(setsockopt, fd, SOL_SOCKET, SO_KEEPALIVE, &value, 3);
    TRY(setsockopt, fd, SOL_SOCKET, SO_KEEPALIVE, BAD, 4);
    TRY(setsockopt, 0, SOL_SOCKET, SO_KEEPALIVE, &value, 4);
    TRY(getsockopt, fd, SOL_SOCKET, SO_TYPE, BAD, &len);
    TRY(getsockopt, fd, SOL_SOCKET, SO_TYPE, &value, BAD);
    TRY(getsockopt, fd, SOL_SOCKET, SO_TYPE, &value, &tiny);
    IS(tiny);
    TRY(setsockopt, fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t);
    TRY(getsockopt, fd, SOL_SOCKET, SO_RCVTIMEO, &back, &len);
    IS(len);
    IS(back.tv_sec);
    IS(back.tv_usec >= 16000 && back.tv_usec <= 20000);
    TRY(setsockopt, fd, SOL_SOCKET, SO_SNDTIMEO, &t, 4);
    t.tv_usec = 1000000;
    TRY(setsockopt, fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof t);
    TRY(connect, fd, &peer, sizeof peer);
    IS(option(fd, IPPROTO_TCP, TCP_NODELAY));
    TRY(read, fd, p, 1);
    close_all();
    fd = LINK(0);
    IS(option(fd, IPPROTO_TCP, TCP_NODELAY));
    IS(set(fd, IPPROTO_TCP, TCP_NODELAY, 1));
    IS(option(fd, IPPROTO_TCP, TCP_NODELAY));
    close_all();
}

static long edge(int set)
{
    struct epoll_event e = {0};
    int n = epoll_wait(set, &e, 1, 5000);
    return n == 1 ? e.events : n;
}
static void waiting(void)
{
    struct epoll_event e = {EPOLLIN | EPOLLOUT | EPOLLET | EPOLLRDHUP};
    struct epoll_event level = {EPOLLIN};
    int set = epoll_create1(0), fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct timeval tv = {5, 0};
    fd_set in;
    TRY(epoll_ctl, set, EPOLL_CTL_ADD, fd, &e);
    IS(edge(set));
    TRY(connect, fd, &peer, sizeof peer);
    IS(edge(set));
    TRY(epoll_wait, set, &e, 1, 0);
    SAY(fd, "say one");
    IS(edge(set));
    TRY(epoll_wait, set, &e, 1, 0);
    IS(read(fd, p, 1));
    TRY(epoll_wait, set, &e, 1, 0);
    SAY(fd, "say two");
    IS(edge(set));
    IS(take(fd, 5));
    SAY(fd, "close");
    IS(edge(set));
    TRY(epoll_wait, set, &e, 1, 0);
    close(fd);
    fd = LINK(0);
    TRY(epoll_ctl, set, EPOLL_CTL_ADD, fd, &level);
    TRY(epoll_wait, set, &e, 1, 0);
    SAY(fd, "say three");
    IS(edge(set));
    TRY(epoll_wait, set, &e, 1, 0);
    FD_ZERO(&in);
    FD_SET(fd, &in);
    IS(select(fd + 1, &in, 0, 0, &tv));
    IS(FD_ISSET(fd, &in) != 0);
    close_all();
}

static void try_all(const char *ports)
{
    int port, port6, none;
    sscanf(ports, "/%d/%d/%d", &port, &port6, &none);
    peer = nobody = (struct sockaddr_in){AF_INET, htons(port), {htonl(0x7f000001)}};
    nobody.sin_port = htons(none);
    peer6 = (struct sockaddr_in6){AF_INET6, htons(port6), 0, IN6ADDR_LOOPBACK_INIT};
    mapped = (struct sockaddr_in6){AF_INET6, htons(port)};
    inet_pton(AF_INET6, "::ffff:127.0.0.1", &mapped.sin6_addr);
    signal(SIGPIPE, on_signal);
    close_all();
    making();
    names();
    connecting();
    without_waiting();
    bytes();
    messages();
    endings();
    options();
    waiting();
}

static void on_get(const char *url, const char *arg)
{
    try_all(url);
    backend_response(200, "text/plain", 10, text, used);
}
int main(int argc, char **argv)
{
    if (IS_LINUX_MAIN()) {
        try_all(argv[1]);
        return fwrite(text, used, 1, stdout) != 1;
    }
    set_backend_get(on_get);
    wait_for_requests();
}
"""
)

# What is meant to be otherwise: {call: (on Linux, in a guest, why)}.
DIFFERENT: dict[str, tuple[str, str, str]] = {}


@pytest.fixture
def peers():
    """The path that says where they are."""
    with Peer() as four, Peer("::1") as six:
        yield f"/{four.port}/{six.port}/{closed_port()}"


def test_sockets_answer_as_linux_does(guest, peers):
    linux = on_linux(compile_guest(PROGRAM), peers)
    vm = guest(PROGRAM, whole=True, hosts=["127.0.0.1:*", "[::1]:*"])
    found = results(vm.text(peers))
    expected = dict(linux)
    for call, (theirs, ours, _) in DIFFERENT.items():
        assert expected[call] == theirs
        expected[call] = ours
    assert differing(found, expected) == {}
    assert vm.text(peers) == "".join(
        f"{k.split(' #')[0]} = {v}\n" for k, v in found.items()
    )


# --- Where they may lead ---

# /FAMILY/ADDRESS/PORT: what connect says, as a number; then "say hello", and what came.
CONNECT = r"""
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
static int frozen = -1;
static int link_to(const char *url)
{
    char text[64];
    int port, six = url[1] == '6';
    struct sockaddr_in to = {AF_INET};
    struct sockaddr_in6 to6 = {AF_INET6};
    sscanf(url + 3, "%63[^/]/%d", text, &port);
    inet_pton(six ? AF_INET6 : AF_INET, text, six ? (void *)&to6.sin6_addr
                                                   : (void *)&to.sin_addr);
    to.sin_port = to6.sin6_port = htons(port);
    int fd = frozen >= 0 ? frozen : socket(six ? AF_INET6 : AF_INET, SOCK_STREAM, 0);
    int ret = six ? connect(fd, (void *)&to6, sizeof to6)
                  : connect(fd, (void *)&to, sizeof to);
    return ret ? -errno : fd;
}
static const char *hear(int fd)
{
    static char heard[100];
    if (fd < 0)
        return "";
    write(fd, "say hello\n", 10);
    long n = read(fd, heard, 99);
    heard[n > 0 ? n : 0] = 0;
    return heard;
}
"""
TELL = 'HANDLE { int fd = link_to(url); reply("%d %s", fd, hear(fd)); }'


def failed(number: int) -> str:
    return f"-{number} "


# By address, v4-mapped too; and what leads to this machine by other names.
PLACES = [
    ("4/127.0.0.1", True),
    ("6/::ffff:127.0.0.1", True),
    ("4/127.0.0.2", False),
    ("6/::ffff:127.0.0.2", False),
    ("4/0.0.0.0", False),
    ("6/::", False),
    ("6/::1", False),
    ("6/::127.0.0.1", False),
    ("6/2002:7f00:1::", False),
    ("6/64:ff9b::7f00:1", False),
    ("4/169.254.169.254", False),
    ("4/224.0.0.1", False),
    ("4/255.255.255.255", False),
    ("4/10.0.0.1", False),
    ("6/fe80::1", False),
]


def test_only_addresses_that_are_allowed_are_reached(guest):
    with Peer() as peer:
        hosts = [f"127.0.0.1:{peer.port}", f"*:{peer.port}", f"localhost.x:{peer.port}"]
        vm = guest(CONNECT + "START {}" + TELL, hosts=hosts)
        for place, allowed in PLACES:
            answer = vm.text(f"/{place}/{peer.port}")
            assert answer == ("3 hello" if allowed else failed(errno.EACCES)), place
        assert vm.text(f"/4/127.0.0.1/{peer.port + 1}") == failed(errno.EACCES)
        assert peer.total == 2
    told = [text for _, text in vm.lines() if "connect" in text]
    assert told == [
        f"connect to 127.0.0.2:{peer.port}: EACCES: allowed_hosts has no such address"
    ]


def test_without_allowed_hosts_nobody_is_reached(guest):
    with Peer() as peer:
        vm = guest(CONNECT + "START {}" + TELL)
        assert vm.text(f"/4/127.0.0.1/{peer.port}") == failed(errno.EACCES)
        assert vm.text(f"/6/::1/{peer.port}") == failed(errno.EACCES)
        assert peer.total == 0
    (told,) = [text for _, text in vm.lines() if "connect" in text]
    assert told.startswith(f"connect to 127.0.0.1:{peer.port}: EACCES: allowed_hosts")


INWARD = r"""
#include <errno.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
static char bytes[128] = {AF_INET};
START {}
HANDLE {
    int fd = socket(AF_INET, SOCK_STREAM, 0), n = 0, found[8];
    #define TRY(call) found[n++] = call < 0 ? errno : 0
    TRY(bind(fd, (void *)bytes, 16));
    TRY(listen(fd, 5));
    TRY(accept(fd, 0, 0));
    TRY(syscall(SYS_accept4, fd, 0, 0, 0));
    TRY(bind(0, (void *)bytes, 16));
    TRY(listen(99, 5));
    TRY(sendto(fd, "x", 1, MSG_FASTOPEN, (void *)bytes, 16));
    TRY(socket(AF_INET, SOCK_DGRAM, 0));
    reply("%d %d %d %d %d %d %d %d", found[0], found[1], found[2], found[3], found[4],
          found[5], found[6], found[7]);
}
"""


def test_sockets_lead_outward_only(guest):
    vm = guest(INWARD)
    inward = [errno.EACCES] + [errno.EOPNOTSUPP] * 3
    others = [errno.ENOTSOCK, errno.EBADF, errno.EOPNOTSUPP, errno.EPROTONOSUPPORT]
    for _ in range(2):
        assert [int(each) for each in vm.text().split()] == inward + others
    (told,) = [text for _, text in vm.lines()]
    assert "outward only" in told


# --- Whose they are ---

START_UP = r"""
static int early;
START {
    early = link_to("/4/127.0.0.1/PORT");
    frozen = socket(AF_INET, SOCK_STREAM, 0);
}
HANDLE {
    int fd = link_to(url);
    reply("%d %d %s", early, fd, hear(fd));
}
"""


def test_a_frozen_machine_has_sockets_but_no_connections(guest):
    with Peer() as peer:
        source = CONNECT + START_UP.replace("PORT", str(peer.port))
        vm = guest(source, hosts=["127.0.0.1:*"])
        for _ in range(3):
            found = vm.text(f"/4/127.0.0.1/{peer.port}")
            assert found == f"-{errno.ENETDOWN} 4 hello"
            assert vm.vm.differing_pages() == 0
        assert peer.total == 3
        data, fd = vm.snapshot.export()
        with native.Snapshot.attach(data, os.dup(fd), None) as snapshot:
            assert snapshot.export()[0] == data
    (told,) = [text for _, text in vm.lines()]
    assert told.startswith("connect: ENETDOWN: only a request connects")


STORAGE = r"""
static void ask(size_t n, struct virtbuffer buf[n], size_t res)
{
    int ret = link_to(buf[0].data);
    storage_return(&ret, sizeof ret);
}
START { STORAGE_ALLOW(ask); }
HANDLE {
    int ret = 77;
    struct virtbuffer one = {(void *)url, strlen(url) + 1};
    storage_call(ask, &one, 1, &ret, sizeof ret);
    reply("%d", ret);
}
"""


def test_storage_has_no_connections(guest):
    with Peer() as peer:
        vm = guest(CONNECT + STORAGE, storage=True, hosts=["127.0.0.1:*"])
        assert vm.text(f"/4/127.0.0.1/{peer.port}") == str(-errno.ENETDOWN)
        assert peer.total == 0


# What a request leaves open, however it ends.
LEAVES = (
    CONNECT
    + r"""
START {}
HANDLE {
    char end = url[0] ? url[strlen(url) - 1] : 0;
    for (int i = 0; i < 3; i++)
        link_to(url);
    if (end == 'c')
        *(volatile int *)0 = 1;
    if (end == 't')
        for (;;) ;
    if (end == 'w')
        hear(link_to(url)), read(3, (char *)&end, 1);
    reply("ok");
}
"""
)


def test_connections_end_with_their_request_however_it_ends(guest):
    with Peer() as peer:
        vm = guest(LEAVES, hosts=["127.0.0.1:*"], limit=1)
        before = None
        for number in range(20):
            late = ("/t", "/w") if number in (5, 15) else ()
            for how in ("/", "/c", *late):
                answer = vm.get(f"/4/127.0.0.1/{peer.port}{how}")
                assert answer.status == (200 if how == "/" else 500)
                wait_until(lambda: peer.open == 0)
            if number == 5:
                time.sleep(0.5)  # the other ends are of this process, and close late
                before = Held.now()
        assert before is not None
        wait_until(lambda: Held.now().descriptors <= before.descriptors)
        Held.now().assert_same(before)


MANY = (
    CONNECT
    + r"""
START {}
HANDLE {
    int made = 0, last;
    while ((last = link_to(url)) >= 0)
        made++;
    close(3);
    int again = link_to(url);
    reply("%d %d %d", made, last, again);
}
"""
)


def test_a_machine_has_16_connections_at_most(guest):
    with Peer() as peer:
        vm = guest(MANY, hosts=["127.0.0.1:*"])
        for _ in range(2):
            found = vm.text(f"/4/127.0.0.1/{peer.port}")
            assert found == f"16 {-errno.ENOBUFS} 3"


# --- Waiting ---

THREADS = (
    CONNECT
    + r"""
#include <pthread.h>
static char heard[100];
static volatile int stop, counted;
static void *listen_there(void *url)
{
    strcpy(heard, hear(link_to(url)));
    stop = 1;
    return 0;
}
static void *count(void *unused)
{
    while (!stop)
        counted++;
    return 0;
}
START {}
HANDLE {
    pthread_t one, two;
    pthread_create(&one, 0, listen_there, (void *)url);
    pthread_create(&two, 0, url[strlen(url) - 1] == 'b' ? count : listen_there,
                   (void *)url);
    pthread_join(one, 0), pthread_join(two, 0);
    reply("%s", heard);
}
"""
)


@pytest.mark.parametrize("how", ["/busy/b", "/idle/i"])
def test_a_thread_waits_for_its_connection_while_others_run_or_wait(guest, how):
    with Peer() as peer:
        vm = guest(THREADS, hosts=["127.0.0.1:*"], flags=("-static", "-pthread"))
        assert vm.text(f"/4/127.0.0.1/{peer.port}{how}") == "hello"


SLEEPS = (
    CONNECT
    + r"""
#include <time.h>
static long ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}
START {}
HANDLE {
    int fd = link_to(url);
    long before = ms();
    write(fd, "say news\n", 9);
    usleep(100000);
    reply("%d", ms() - before >= 100);
}
"""
)


def test_news_of_a_connection_end_no_sleep(guest):
    with Peer() as peer:
        vm = guest(SLEEPS, hosts=["127.0.0.1:*"])
        assert vm.text(f"/4/127.0.0.1/{peer.port}") == "1"


# --- Hostile ---

ANYTHING = r"""
#include <errno.h>
#include <sys/socket.h>
#include <string.h>
#include <unistd.h>
START {}
static void on_post(const char *url, const char *arg, const char *type,
                    const uint8_t *data, size_t len)
{
    int fd = socket(data[0] & 1 ? AF_INET6 : AF_INET, SOCK_STREAM, 0);
    int ret = connect(fd, (void *)(data + 1), len - 1);
    reply("%d", ret ? errno : 0);
}
HANDLE {}
"""


@pytest.fixture(scope="module")
def anything():
    source = PRELUDE.replace("set_backend_get(on_get)", "set_backend_post(on_post)")
    source = source.replace("int main", "static void on_post();\nint main")
    elf = compile_guest(source + ANYTHING).read_bytes()
    with Guest(elf, hosts=["192.0.2.1:1"]) as made:
        yield made


@given(six=st.booleans(), name=st.binary(max_size=140))
@settings(max_examples=150)
def test_no_bytes_of_an_address_lead_anywhere_else(anything, six, name):
    family = socket.AF_INET6 if six else socket.AF_INET
    for bytes_ in (name, struct.pack("H", family) + name):
        answer = anything.post(bytes([six]) + bytes_)
        assert answer.status == 200, anything.failure
        known = (errno.EACCES, errno.EINVAL, errno.EAFNOSUPPORT, 0)
        assert int(answer.body) in known
        assert int(answer.body) or bytes_[:2] == b"\0\0"
