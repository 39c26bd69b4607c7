"""Connects sockets of programs to other hosts, for processes that run guests and may
not. See connector.h for what is said.

What it is asked comes from a stranger: a process that a guest has taken over gets
connections to where some program of this skerry may go, and no others. It gets them
once they are made: a socket that leads nowhere yet could be turned elsewhere."""

import array
import asyncio
import contextlib
import errno
import os
import select
import socket
import struct
import threading
from collections.abc import Callable
from ipaddress import ip_address

from skerry.egress import Address, Policy, plain
from skerry.ready import ready

_ASK = struct.Struct("=64sHH16s")  # struct connector_ask
_ERROR = struct.Struct("=i")
_ROOM = socket.CMSG_SPACE(4)
_MOST = 64  # connections that one process asks for at a time
_SECONDS = 30.0  # until a connection is made: no request waits so long
_NO_MEANS = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))

PolicyOf = Callable[[str], Policy]


class Connector:
    """Connects for who asks at the other end of (door), which it owns; (policy_of) says
    where a program may go, by its name."""

    def __init__(self, door: socket.socket, policy_of: PolicyOf) -> None:
        door.setblocking(False)
        self._door = door
        self._policy_of = policy_of
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Returns when nobody can ask any more; then all that is unfinished ends."""
        try:
            while await self._take():
                pass
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            self._door.close()

    async def _take(self) -> bool:
        """One ask, or none; False at the end."""
        try:
            data, rights, _, _ = self._door.recvmsg(
                _ASK.size + 1, _ROOM, socket.MSG_CMSG_CLOEXEC
            )
        except BlockingIOError:
            await ready(self._door.fileno())
            return True
        except OSError:  # no room for what came with it: it is gone
            await asyncio.sleep(0)
            return True
        fds = [fd for _, _, some in rights for fd in array.array("i", some)]
        if not data and not fds:
            return False
        for fd in fds[1:]:
            os.close(fd)
        if fds:
            self._begin(data, fds[0])
        return True

    def _begin(self, data: bytes, fd: int) -> None:
        """Who asks for nonsense gets no answer."""
        try:
            back = socket.socket(fileno=fd)
        except OSError:
            os.close(fd)
            return
        if len(data) != _ASK.size:
            back.close()
        elif len(self._tasks) >= _MOST:
            _answer(back, errno.EAGAIN)
        else:
            task = asyncio.ensure_future(self._serve(data, back))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _serve(self, data: bytes, back: socket.socket) -> None:
        with contextlib.closing(back):
            try:
                made = await self._connect(data, back)
            except OSError as error:
                number = error.errno or errno.ENETUNREACH
                _answer(back, errno.EAGAIN if number in _NO_MEANS else number)
            else:
                with made:
                    _answer(back, 0, made)

    async def _connect(self, data: bytes, back: socket.socket) -> socket.socket:
        """A connection, the caller's; OSError. Ends early when (back) is closed."""
        name, family, port, raw = _ASK.unpack(data)
        program = name.rstrip(b"\0").decode("utf-8", "replace")
        if family not in (socket.AF_INET, socket.AF_INET6):
            raise OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))
        found = ip_address(raw if family == socket.AF_INET6 else raw[:4])
        if not self._policy_of(program).may_connect(plain(found), port):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        made = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            await _reach(made, found, port, back)
        except BaseException:
            made.close()
            raise
        return made


async def _reach(
    made: socket.socket, found: Address, port: int, back: socket.socket
) -> None:
    """Returns when (made) is connected to the very address that was judged."""
    number = made.connect_ex((str(found), port))
    if number == errno.EINPROGRESS:
        if not await _either(made.fileno(), back.fileno()):
            raise TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))
        number = made.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if number == 0 and not _is_writable(made):
            number = errno.ECANCELED  # who asked has left
    if number:
        raise OSError(number, os.strerror(number))


async def _either(connecting: int, back: int) -> bool:
    """Returns when (connecting) has come to an end, or (back) is closed; False: neither
    in time."""
    waits = [
        asyncio.ensure_future(ready(connecting, writing=True)),
        asyncio.ensure_future(ready(back)),
    ]
    try:
        done, _ = await asyncio.wait(
            waits, timeout=_SECONDS, return_when=asyncio.FIRST_COMPLETED
        )
        return bool(done)
    finally:
        for each in waits:
            each.cancel()
        await asyncio.gather(*waits, return_exceptions=True)


def _is_writable(sock: socket.socket) -> bool:
    looking = select.poll()
    looking.register(sock, select.POLLOUT)
    return bool(looking.poll(0))


def _answer(
    back: socket.socket, number: int, made: socket.socket | None = None
) -> None:
    """Who does not listen gets no answer."""
    rights = []
    if made:
        fds = array.array("i", [made.fileno()])
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)]
    with contextlib.closing(back), contextlib.suppress(OSError):
        flags = socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL
        back.sendmsg([_ERROR.pack(number)], rights, flags)


def open_connector(policy: Policy) -> int:
    """Has a thread of this process connect what (policy) allows, whatever the program.
    Returns the descriptor to ask at, the caller's; the thread ends when it and its
    copies are closed."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)

    def run() -> None:
        asyncio.run(Connector(ours, lambda name: policy).run())

    threading.Thread(target=run, name="connector", daemon=True).start()
    return theirs.detach()
