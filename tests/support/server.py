"""The product as its users run it: skerry serve in a process of its own."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

from support.client import LONG, Answer, ask, connection, wait_until
from support.guests import PRELUDE, ROOT, compile_guest
from support.processes import with_descendants

SKERRY = str(Path(sys.executable).with_name("skerry"))
EXAMPLES = ROOT / "guest" / "examples" / "examples.json"
LISTENING = re.compile(r"^listening on 127\.0\.0\.1:(\d+)$", re.M)
BUFFERED = {"PYTHONUNBUFFERED": ""}  # as users have it
# A system call that the jail refuses ends the process: so none is missing on its list.
JAIL = {"SKERRY_JAIL": "kill"}
ENDS_WITH_US = ("setpriv", "--pdeathsig", "KILL")


def write_config(directory: Path, programs: Mapping[str, Mapping[str, Any]]) -> Path:
    """A configuration of (programs). The key "source" of one is C behind PRELUDE, or
    with "whole" all of it, which is compiled; the other keys are as users write them.
    """
    entries = {}
    for name, keys in programs.items():
        entries[name] = dict(keys)
        if source := entries[name].pop("source", None):
            text = source if entries[name].pop("whole", False) else PRELUDE + source
            entries[name]["filename"] = str(compile_guest(text))
    path = directory / "programs.json"
    path.write_text(json.dumps(entries))
    return path


def children(pid: int) -> list[int]:
    """The processes that process (pid) has started and that still run, oldest first."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(each) for each in found.split()]


def runs(pid: int, module: str) -> bool:
    """Whether process (pid) runs (module), as python -m does."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return module.encode() in command


def is_stopped(pid: int) -> bool:
    """Whether SIGSTOP has reached all threads of process (pid)."""
    states = (path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/stat"))
    return all(each.rpartition(")")[2].split()[0] == "T" for each in states)


class Server:
    """skerry serve FILE on a free port; ready when constructed. A context manager.

    One that ends before it listens raises ChildProcessError with what it printed. With
    (deaf), the pipe that it logs to is closed once it listens. There is one worker
    unless (workers) says more; (process) is the supervisor. (options) go to the command
    as they are. With (wait) False it is ready when it is started; see listen().
    (under) is a command that runs it.
    """

    def __init__(
        self,
        file: Path,
        env: Mapping[str, str] | None = None,
        deaf: bool = False,
        workers: int = 1,
        options: Sequence[str] = (),
        wait: bool = True,
        under: Sequence[str] = (),
    ) -> None:
        self.file = file
        self._deaf = deaf
        self._lines: list[str] = []
        self._more = threading.Condition()
        self._ended = False
        self.process = subprocess.Popen(
            [
                *(
                    *ENDS_WITH_US,
                    *under,
                    SKERRY,
                    "serve",
                    file,
                    "--listen",
                    "127.0.0.1:0",
                ),
                *("--workers", str(workers), *options),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            env=dict(env or os.environ) | BUFFERED | JAIL,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.port = 0
        try:
            if wait:
                self.listen()
        except BaseException:
            self.stop(signal.SIGKILL)
            raise

    def listen(self) -> None:
        """Waits until it listens."""
        self.port = int(self.wait_for(LISTENING)[1])

    def all_of(self, module: str) -> list[int]:
        """The processes of this server that run (module)."""
        return [each for each in children(self.process.pid) if runs(each, module)]

    @property
    def workers(self) -> list[int]:
        """The processes that serve."""
        return self.all_of("skerry.worker")

    @property
    def pid(self) -> int:
        """The process that serves, when there is one."""
        (only,) = self.workers
        return only

    def kill(self, module: str) -> int:
        """Kills the one process that runs (module), and waits until it is gone."""
        wait_until(lambda: len(self.all_of(module)) == 1)
        (pid,) = self.all_of(module)
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: pid not in self.all_of(module))
        return pid

    def status(self) -> Any:
        """What skerry status --json prints."""
        done = skerry("status", "--listen", f"127.0.0.1:{self.port}", "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    @property
    def log(self) -> str:
        """What it has printed so far."""
        with self._more:
            return "".join(self._lines)

    def wait_for(self, pattern: str | re.Pattern[str]) -> re.Match[str]:
        """Waits until the log has (pattern), a regular expression."""
        found: re.Match[str] | None = None
        end = time.monotonic() + LONG
        with self._more:
            while (found := re.search(pattern, "".join(self._lines))) is None:
                if self._ended or not self._more.wait(end - time.monotonic()):
                    said = "".join(self._lines)
                    raise ChildProcessError(f"no {pattern} in the log:\n{said}")
        return found

    def pids(self) -> list[int]:
        """The process, and all that it has started."""
        return with_descendants(self.pid)

    def forget(self) -> None:
        """Empties the log: wait_for() then finds only what is still to come."""
        with self._more:
            self._lines.clear()

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> Answer:
        """GET (path) on a connection of its own."""
        return self.request("GET", path, headers=headers)

    def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request on a connection of its own."""
        with connection(self.port) as made:
            return ask(made, method, path, body, headers)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Stands still inside: what is sent meanwhile, it meets all at once."""
        held = self.workers
        for each in held:
            os.kill(each, signal.SIGSTOP)
        for each in held:
            wait_until(lambda each=each: is_stopped(each))
        try:
            yield
        finally:
            for each in held:
                with suppress(ProcessLookupError):  # killed inside
                    os.kill(each, signal.SIGCONT)

    def stop(self, with_signal: int = signal.SIGTERM) -> int:
        """Ends it, and returns its exit status. May be called again."""
        if self.process.poll() is None:
            self.process.send_signal(with_signal)
        return self.wait()

    def wait(self) -> int:
        """Its exit status, once it has ended."""
        try:
            status = self.process.wait(LONG)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        self._reader.join(LONG)
        return status

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                with self._more:
                    self._lines.append(line)
                    self._more.notify_all()
                if self._deaf and LISTENING.search(line):
                    break
        with self._more:
            self._ended = True
            self._more.notify_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *unused: object) -> None:
        self.stop()


def skerry(
    *arguments: object, env: Mapping[str, str] | None = None
) -> "subprocess.CompletedProcess[bytes]":
    """Runs the command to its end."""
    command = [*ENDS_WITH_US, SKERRY, *map(str, arguments)]
    return subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, timeout=LONG, env=env
    )
