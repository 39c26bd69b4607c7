"""A server under test: a subprocess kept on one CPU, ready when it says so."""

import os
import queue
import re
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
READY = re.compile(r"listening on (?:http://)?127\.0\.0\.1:(\d+)")
READY_WITHIN = 60.0
STOPPED_WITHIN = 15.0
ENDS_WITH_US = ("setpriv", "--pdeathsig", "TERM")

FLOOR = (sys.executable, "bench/floor_server.py", "--port", "0")


def skerry(file: Path | str, *options: str) -> tuple[str, ...]:
    """The command that serves (file), on any free port."""
    command = str(Path(sys.executable).with_name("skerry"))
    return (command, "serve", str(file), "--listen", "127.0.0.1:0", *options)


SKERRY = skerry("guest/examples/examples.json")


class ServerError(Exception):
    """The server did not start; the text holds the last lines that it printed."""


def cpus() -> tuple[str, str]:
    """One CPU for the server and another, if there is one, for the load."""
    usable = sorted(os.sched_getaffinity(0))
    return str(usable[0]), str(usable[-1])


def all_cpus() -> str:
    """As taskset takes them."""
    return ",".join(map(str, sorted(os.sched_getaffinity(0))))


@contextmanager
def running(command: Sequence[str], cpu: str | None = None) -> Iterator[int]:
    """Starts (command) in the project's directory, gives its port, and stops it. It
    stays on (cpu), or else on the one for servers."""
    server = Server(command, cpu or cpus()[0])
    try:
        yield server.wait_until_ready()
        server.check()
    except OSError as error:
        server.check()
        raise ServerError(f"{command[0]}: {error}") from None
    finally:
        server.stop()


class Server:
    """The subprocess, and a thread that reads all it prints, so it never waits."""

    def __init__(self, command: Sequence[str], cpu: str) -> None:
        self.name = command[0]
        self.tail: deque[str] = deque(maxlen=20)
        self.ports: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        self.process = _start(command, cpu)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def wait_until_ready(self) -> int:
        """The port; ServerError when it ends or prints none in time."""
        try:
            port = self.ports.get(timeout=READY_WITHIN)
        except queue.Empty:
            port = None
        if port is None:
            raise ServerError(self._say("did not start"))
        return port

    def check(self) -> None:
        """Raises ServerError when the process is gone."""
        if self.process.poll() is not None:
            self.reader.join(STOPPED_WITHIN)
            raise ServerError(self._say("ended"))

    def stop(self) -> None:
        """Asks it to end, then ends it and all that it started."""
        self.process.terminate()
        try:
            self.process.wait(STOPPED_WITHIN)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.reader.join(STOPPED_WITHIN)

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                self.tail.append(line)
                if found := READY.search(line):
                    self.ports.put(int(found[1]))
        self.ports.put(None)

    def _say(self, what: str) -> str:
        return f"{self.name} {what}:\n{''.join(self.tail)}".rstrip()


def _start(command: Sequence[str], cpu: str) -> "subprocess.Popen[str]":
    try:
        return subprocess.Popen(
            [*ENDS_WITH_US, "taskset", "-c", cpu, *command],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,  # a group of its own, for stop
        )
    except OSError as error:
        raise ServerError(f"setpriv: {error.strerror}") from None
