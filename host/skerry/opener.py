"""The opener of a program: opens files for processes that run guests and may not.

It runs on a thread of its own, in a process that runs no guests, and answers until all
who could ask are gone. What it is asked comes from a stranger: a process that a guest
has taken over gets what the program is allowed, and no more. See opener.h for what is
said."""

import array
import contextlib
import errno
import os
import socket
import stat
import struct
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from skerry import listing
from skerry.allowed import Above, Allowed, Place, Policy, Real, State
from skerry.libraries import Libraries
from skerry.openat import look, open_below
from skerry.state import keep_state, open_state

_ASK = struct.Struct("<IIII")  # struct opener_ask
_ANSWER = struct.Struct("<iIII")  # struct opener_answer before its stat
_NO_STAT = bytes(144)
_LONGEST = 4096  # bytes of a path
_ROOM = socket.CMSG_SPACE(2 * 4)
_OPEN, _STAT, _LINK, _KEEP = 1, 2, 3, 4
_REQUEST, _START, _STORAGE = 0, 1, 2
_READABLE, _WRITABLE, _EXECUTABLE = 1, 2, 4
_PASSED = (  # of the flags of open()
    os.O_ACCMODE | os.O_CREAT | os.O_EXCL | os.O_TRUNC | os.O_DIRECTORY | os.O_NOFOLLOW
)
_ITSELF = b"/proc/self/exe"  # where a dynamic linker asks what $ORIGIN is
_TMPFILE = os.O_TMPFILE & ~os.O_DIRECTORY


@dataclass(frozen=True, slots=True)
class _Answer:
    """(fd), if there is one, is closed once it is sent."""

    error: int = 0
    may: int = 0
    is_state: bool = False
    stat: bytes = _NO_STAT
    text: bytes = b""
    fd: int = -1

    def pack(self) -> bytes:
        head = _ANSWER.pack(self.error, self.may, self.is_state, len(self.text))
        return head + self.stat + self.text


def open_door(policy: Policy) -> int:
    """Has a thread open what (policy) allows. Returns the descriptor to ask at, the
    caller's; the thread ends when it and its copies in all processes are closed.
    OSError when a path of (policy) is not there."""
    opener = _Opener(policy)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    threading.Thread(
        target=opener.run, args=(ours,), name="opener", daemon=True
    ).start()
    return theirs.detach()


class _Opener:
    def __init__(self, policy: Policy) -> None:
        self._allowed = Allowed(policy)
        self._libraries = Libraries() if policy.linked else None
        self._state = policy.state
        self._linked = policy.linked

    def run(self, door: socket.socket) -> None:
        with door, contextlib.closing(self):
            while True:
                try:
                    data, rights, _, _ = door.recvmsg(
                        _ASK.size + _LONGEST, _ROOM, socket.MSG_CMSG_CLOEXEC
                    )
                except OSError:  # no room for what came with it: it is gone
                    continue
                fds = [fd for _, _, some in rights for fd in array.array("i", some)]
                if not data and not fds:
                    return
                try:
                    self._serve(data, fds)
                finally:
                    for fd in fds:
                        os.close(fd)

    def close(self) -> None:
        self._allowed.close()
        if self._libraries:
            self._libraries.close()

    def _serve(self, data: bytes, fds: Sequence[int]) -> None:
        """Who asks for nonsense, or does not listen, gets no answer."""
        if len(data) < _ASK.size or not fds:
            return
        answer = self._answer(data, fds[1] if len(fds) > 1 else -1)
        try:
            _send(fds[0], answer)
        except OSError:
            pass
        finally:
            if answer.fd >= 0:
                os.close(answer.fd)

    def _answer(self, data: bytes, given: int) -> _Answer:
        what, who, flags, mode = _ASK.unpack_from(data)
        path = data[_ASK.size :]
        try:
            if what == _KEEP:
                return self._keep(who, given)
            if not path.startswith(b"/") or b"\0" in path:
                return _Answer(errno.EINVAL)
            if what == _LINK and path == _ITSELF and self._linked:
                return _Answer(text=os.fsencode(os.path.realpath(self._linked)))
            place = self._find(path)
            if what == _OPEN:
                return self._open(place, who, flags, mode)
            if what == _STAT:
                return self._stat(place, who, not flags & os.O_NOFOLLOW)
            return self._link(place) if what == _LINK else _Answer(errno.EINVAL)
        except FileNotFoundError:
            creating = what == _OPEN and flags & os.O_CREAT
            return _Answer(errno.EACCES if creating else errno.ENOENT)
        except OSError as error:
            return _Answer(error.errno or errno.EIO)

    def _find(self, path: bytes) -> Place:
        """What is allowed by name comes first."""
        try:
            return self._allowed.find(path)
        except FileNotFoundError:
            if self._libraries is None:
                raise
            return self._libraries.find(path)

    def _keep(self, who: int, given: int) -> _Answer:
        if who != _STORAGE or self._state is None or given < 0:
            return _Answer(errno.EACCES)
        keep_state(self._state, given)
        return _Answer()

    # --- open ---

    def _open(self, place: Place, who: int, flags: int, mode: int) -> _Answer:
        if flags & _TMPFILE:
            return _Answer(errno.EOPNOTSUPP)
        writes = flags & os.O_ACCMODE != os.O_RDONLY or flags & (
            os.O_CREAT | os.O_TRUNC
        )
        if writes and not self._may_write(place, who):
            return self._refuse_writing(place, flags)
        if isinstance(place, Above):
            return _above(place, opening=True)
        if isinstance(place, State):
            return self._open_state(flags)
        fd = open_below(
            place.base, place.path, flags & _PASSED, mode & 0o666, place.links
        )
        st = os.fstat(fd)
        if not stat.S_ISDIR(st.st_mode):
            return _Answer(stat=listing.pack_stat(st), fd=fd)
        try:
            packed, path = listing.pack_stat(st), _virtual(place, fd)
            made = listing.make(packed, path, listing.records(fd))
            return _Answer(stat=packed, fd=made)
        finally:
            os.close(fd)

    def _may_write(self, place: Place, who: int) -> bool:
        if isinstance(place, State):
            return who == _STORAGE
        return isinstance(place, Real) and place.writable and who != _REQUEST

    def _refuse_writing(self, place: Place, flags: int) -> _Answer:
        """As Linux does on files that may not be written: what there is comes first."""
        if isinstance(place, Real):
            os.close(look(place.base, place.path, links=place.links))
            if flags & os.O_CREAT and flags & os.O_EXCL:
                return _Answer(errno.EEXIST)
        return _Answer(errno.EACCES)

    def _open_state(self, flags: int) -> _Answer:
        assert self._state is not None
        if flags & os.O_DIRECTORY:
            return _Answer(errno.ENOTDIR)
        fd, is_copy = open_state(self._state, flags)
        packed = listing.pack_stat(os.fstat(fd))
        return _Answer(stat=packed, fd=fd, is_state=is_copy)

    # --- stat, readlink ---

    def _stat(self, place: Place, who: int, follow: bool) -> _Answer:
        if isinstance(place, Above):
            return _above(place, opening=False)
        fd = self._look(place, follow)
        try:
            st = os.fstat(fd)
            text = b""
            if stat.S_ISDIR(st.st_mode) and isinstance(place, Real):
                text = _virtual(place, fd)
            may = _rights(fd, st.st_mode)
            if not self._may_write(place, who):
                may &= ~_WRITABLE
            return _Answer(may=may, stat=listing.pack_stat(st), text=text)
        finally:
            os.close(fd)

    def _look(self, place: Real | State, follow: bool) -> int:
        if isinstance(place, Real):
            return look(place.base, place.path, follow, place.links)
        assert self._state is not None
        return open_state(self._state, os.O_RDONLY)[0]

    def _link(self, place: Place) -> _Answer:
        if not isinstance(place, Real):
            return _Answer(errno.EINVAL)
        fd = look(place.base, place.path, follow=False)
        try:
            if not stat.S_ISLNK(os.fstat(fd).st_mode):
                return _Answer(errno.EINVAL)
            return _Answer(text=os.fsencode(os.readlink("", dir_fd=fd))[: _LONGEST - 1])
        finally:
            os.close(fd)


def _send(to: int, answer: _Answer) -> None:
    rights = []
    if answer.fd >= 0:
        fds = array.array("i", [answer.fd])
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)]
    flags = socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL
    back = socket.socket(fileno=to)
    try:
        back.sendmsg([answer.pack()], rights, flags)
    finally:
        back.detach()


def _above(place: Above, opening: bool) -> _Answer:
    packed = listing.plain_directory()
    if not opening:
        return _Answer(may=_READABLE | _EXECUTABLE, stat=packed, text=place.virtual)
    fd = listing.make(packed, place.virtual, listing.names(place.names))
    return _Answer(stat=packed, fd=fd)


def _virtual(place: Real, fd: int) -> bytes:
    """What the program calls directory (fd), which (place) has led to, without links
    and dots on the way."""
    top, real = (
        os.fsencode(os.readlink(f"/proc/self/fd/{each}")) for each in (place.top, fd)
    )
    top = top.rstrip(b"/")
    # One that has been moved meanwhile is where it was looked for, for all we tell.
    rest = real.removeprefix(top) if real.startswith(top + b"/") else b""
    return (place.virtual.rstrip(b"/") + rest)[: _LONGEST - 1] or b"/"


def _rights(fd: int, mode: int) -> int:
    """What this process may do with (fd)."""
    if stat.S_ISLNK(mode):
        return _READABLE | _WRITABLE | _EXECUTABLE
    return sum(
        bit
        for bit, right in (
            (_READABLE, os.R_OK),
            (_WRITABLE, os.W_OK),
            (_EXECUTABLE, os.X_OK),
        )
        if os.access(f"/proc/self/fd/{fd}", right)
    )
