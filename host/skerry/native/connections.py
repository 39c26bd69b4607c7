"""What the sockets of a program lead to, between C and Python."""

import os
from typing import Any

from skerry.native.raw import NS, ffi, lib


def use_connector(fd: int) -> None:
    """From now on programs of this process ask (fd) for connections; it is closed."""
    code = lib.skerry_connector(fd)
    os.close(fd)
    if code < 0:
        raise OSError(-code, os.strerror(-code))


def awaited_by(vm: Any) -> tuple[int, float] | None:
    """What the request of (vm) waits for: a descriptor to become readable, and at most
    so many seconds. None: it waits for something else."""
    ns = ffi.new("uint64_t *")
    fd = lib.skerry_awaited(vm, ns)
    return None if fd < 0 else (fd, ns[0] / NS)
