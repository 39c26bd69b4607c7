"""What systemd is told: see sd_notify(3). And the unit file that we ship."""

import os
import signal
import socket

import pytest
from support.programs import HELLO
from support.server import Server


@pytest.fixture
def systemd(tmp_path):
    """The socket that NOTIFY_SOCKET names, as systemd holds it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        sock.settimeout(60)
        yield sock


@pytest.fixture
def told(systemd):
    """told(): the next message that is not of the watchdog, as a dictionary."""

    def message():
        while (text := systemd.recv(4096).decode()) == "WATCHDOG=1":
            pass
        return dict(line.split("=", 1) for line in text.splitlines())

    return message


def environment(sock, **more):
    return os.environ | {"NOTIFY_SOCKET": sock.getsockname()} | more


def test_systemd_is_told_when_it_is_ready_reloads_and_stops(config, systemd, told):
    with Server(config(hello=HELLO), environment(systemd)) as server:
        assert told() == {
            "READY": "1",
            "STATUS": f"serving 127.0.0.1:{server.port}",
        }
        server.process.send_signal(signal.SIGHUP)
        reloading = told()
        assert reloading["RELOADING"] == "1"
        assert int(reloading["MONOTONIC_USEC"]) > 0
        assert told()["READY"] == "1"
        server.stop()
        assert told()["STOPPING"] == "1"


def test_the_watchdog_is_fed(config, systemd):
    with Server(config(hello=HELLO), environment(systemd, WATCHDOG_USEC="100000")):
        heard = [systemd.recv(4096) for _ in range(4)]
    assert heard.count(b"WATCHDOG=1") >= 3
