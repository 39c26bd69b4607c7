"""Processes that skerry starts: each runs a module of ours, and has a channel."""

import asyncio
import ctypes
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from typing import Any, Generic, TypeVar

from skerry import cgroup
from skerry.channel import Channel
from skerry.jail import Jail
from skerry.machine import open_machine
from skerry.messages import Jailed

_PR_SET_PDEATHSIG = 1
_THREADS = 4096  # that a child may have: far more than it needs

T = TypeVar("T")


class Child(Generic[T]):
    """A process that runs (module): started when constructed, over with ended().

    Its first arguments are its end of the channel and our pid, then come (arguments);
    it inherits (fds) under the same numbers. What it says is of type (kind)."""

    def __init__(
        self,
        module: str,
        kind: Any,
        arguments: Sequence[object] = (),
        fds: Sequence[int] = (),
    ) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            end = theirs.fileno()
            # -P: a file in the current directory is not a module of ours.
            command = [sys.executable, "-P", "-m", module, end, os.getpid(), *arguments]
            self._process = subprocess.Popen(
                [str(each) for each in command],
                stdin=subprocess.DEVNULL,
                pass_fds=(end, *fds),
                process_group=0,  # Ctrl-C is for the supervisor
            )
        self.channel: Channel[T] = Channel(ours, kind)
        self.pid = self._process.pid

    async def ended(self) -> str:
        """Waits for its end, and says how it ended."""
        handle = os.pidfd_open(self.pid)
        loop = asyncio.get_running_loop()
        over = asyncio.Event()
        loop.add_reader(handle, over.set)
        try:
            await over.wait()
        finally:
            loop.remove_reader(handle)
            os.close(handle)
        return _how(self._process.wait())

    def signal(self, number: int) -> None:
        """Sends signal (number) if it still runs."""
        self._process.send_signal(number)

    def close(self) -> None:
        """Ends it at once, if it still runs, and the channel. May be called again."""
        self._process.kill()
        self._process.wait()
        self.channel.close()
        cgroup.remove(cgroup.name_of(self.pid))


def _how(status: int) -> str:
    if status >= 0:
        return f"exit status {status}"
    try:
        return f"killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"killed by signal {-status}"


def die_with(parent: int) -> None:
    """In a child: end when process (parent) does, however that ends."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(1)


def adopt(end: str, kind: Any) -> Channel[Any]:
    """In a child: the channel, from the argument that names it."""
    return Channel(socket.socket(fileno=int(end)), kind)


def confine() -> Jailed:
    """In a child that is about to run guests, before it has other threads: opens
    /dev/kvm, goes into a control group and into the jail. CannotServe, or JailError:
    then it must not go on."""
    open_machine()
    group = cgroup.name_of(os.getpid())
    reason = cgroup.join(group, pids_max=_THREADS) or ""
    kill = os.environ.get("SKERRY_JAIL") == "kill"
    # Without its own name, so that the reason is the same for all and is said once.
    return Jailed(Jail(kill=kill).enter(), reason.replace(f"/{group}", ""))
