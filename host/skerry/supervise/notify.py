"""What systemd is told, if it has started us; see sd_notify(3)."""

import contextlib
import os
import socket
import time

_SELDOM = 60.0  # seconds


class Notifier:
    """Sends to the socket that the environment names, if it names one."""

    def __init__(self) -> None:
        path = os.environ.get("NOTIFY_SOCKET", "")
        # @ stands for the NUL of an abstract address.
        self._path = "\0" + path[1:] if path.startswith("@") else path
        self.interval = _interval()

    def ready(self, status: str) -> None:
        self._send(f"READY=1\nSTATUS={status}")

    def reloading(self) -> None:
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._send(f"RELOADING=1\nMONOTONIC_USEC={now}\nSTATUS=reloading")

    def stopping(self) -> None:
        self._send("STOPPING=1\nSTATUS=stopping")

    def alive(self) -> None:
        """To be called every (interval) seconds."""
        self._send("WATCHDOG=1")

    def _send(self, text: str) -> None:
        if not self._path:
            return
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock,
        ):
            sock.setblocking(False)
            sock.connect(self._path)
            sock.send(text.encode())


def _interval() -> float:
    """Half of the time after which systemd takes us for dead, if it does."""
    time_limit = os.environ.get("WATCHDOG_USEC", "")
    for_us = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    if not time_limit.isdigit() or not for_us:
        return _SELDOM
    return int(time_limit) / 2e6
