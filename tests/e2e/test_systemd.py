"""What systemd is told: see sd_notify(3). And the unit file that we ship."""

import configparser
import os
import shutil
import signal
import socket
import subprocess

import pytest
from support.guests import ROOT
from support.programs import HELLO
from support.server import SKERRY, Server

from skerry.cli import make_parser
from skerry.commands.serve import DRAIN

UNIT = ROOT / "docs" / "skerry.service"


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


def unit():
    """The lines of our unit file, by section and key."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str
    parser.read(UNIT)
    return parser


def test_the_unit_file_starts_skerry_with_arguments_that_it_takes():
    program, *arguments = unit()["Service"]["ExecStart"].split()
    assert program.endswith("/bin/skerry")
    assert make_parser().parse_args(arguments).listen == ("0.0.0.0", 8080)


def test_the_unit_file_gives_more_time_to_stop_than_requests_get():
    assert int(unit()["Service"]["TimeoutStopSec"]) > DRAIN + 10


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd")
def test_systemd_takes_the_unit_file(tmp_path):
    """With our own path, as it looks whether that is there."""
    text = UNIT.read_text().replace("/opt/skerry/.venv/bin/skerry", SKERRY)
    file = tmp_path / "skerry.service"
    file.write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", file], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
