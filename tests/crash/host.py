"""The processes under test: skerry serve, its workers, its boot process."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from crash.client import PATIENCE

SKERRY = str(Path(sys.executable).with_name("skerry"))
ENDS_WITH_US = ("setpriv", "--pdeathsig", "KILL")
LISTENING = re.compile(r"^listening on 127\.0\.0\.1:(\d+)$", re.M)


class Broken(Exception):
    """The host did what it never may: ended by itself, or did not start again."""


class Host:
    """skerry serve (config), which may be killed and started again on its port."""

    def __init__(self, config: Path, workers: int) -> None:
        self.port = 0
        self.starts = 0
        self._config, self._workers = config, workers
        self._process: subprocess.Popen[bytes] | None = None
        self._log = config.with_suffix(".log")

    async def start(self) -> None:
        """Starts it, and waits until it listens."""
        self.starts += 1
        begin = self._log.stat().st_size if self._log.exists() else 0
        command = [*ENDS_WITH_US, SKERRY, "serve", str(self._config)]
        command += ["--listen", f"127.0.0.1:{self.port}", "--workers", self._workers]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*map(str, command)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        end = time.monotonic() + PATIENCE
        while (found := LISTENING.search(self.said(begin))) is None:
            self.check()
            if time.monotonic() > end:
                raise Broken(f"did not start:\n{self.said(begin)[-2000:]}")
            await asyncio.sleep(0.02)
        self.port = int(found[1])

    def said(self, begin: int = 0) -> str:
        """Its log, from byte (begin) on."""
        with self._log.open("rb") as log:
            log.seek(begin)
            return log.read().decode("utf-8", "replace")

    def check(self) -> None:
        """Raises Broken if it has ended, though nobody killed it."""
        if self._process is not None and self._process.poll() is not None:
            status = self._process.returncode
            raise Broken(f"ended with status {status}:\n{self.said()[-2000:]}")

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def workers(self) -> list[int]:
        """The processes that serve, and those that are about to."""
        return [pid for pid in children(self.pid) if not is_boot(pid)]

    def boots(self) -> list[int]:
        """The boot process, if there is one."""
        return [pid for pid in children(self.pid) if is_boot(pid)]

    def reload(self) -> None:
        """Has it read its configuration again."""
        os.kill(self.pid, signal.SIGHUP)

    async def kill_tree(self, everybody: bool) -> None:
        """kill -9 of the supervisor, or of (everybody); returns when all are gone."""
        assert self._process is not None
        await self._freeze()  # so that it starts nobody we do not see
        family = children(self.pid)
        self._process.kill()
        for pid in family if everybody else ():
            kill(pid)
        self._process.wait()
        self._process = None
        await _gone(family)

    async def _freeze(self) -> None:
        """Stops the supervisor; returns when it stands still."""
        kill(self.pid, signal.SIGSTOP)
        while state(self.pid) not in "TZ":
            await asyncio.sleep(0.001)

    async def stop(self) -> None:
        """Ends it as an operator does. Broken when it does not end well."""
        process, self._process = self._process, None
        if process is None:
            return
        family = children(process.pid)
        process.terminate()
        try:
            status = await asyncio.to_thread(process.wait, PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            raise Broken("did not end when it was told to") from None
        if status != 0:
            raise Broken(f"ended with status {status}:\n{self.said()[-2000:]}")
        await _gone(family)

    def end(self) -> None:
        """Ends it in whatever state it is. May be called again."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


async def _gone(family: list[int]) -> None:
    """Waits until nothing of (family), whose supervisor has ended, is there."""
    end = time.monotonic() + PATIENCE
    while any(alive(pid) for pid in family):
        if time.monotonic() > end:
            raise Broken("workers outlived their supervisor")
        await asyncio.sleep(0.005)


def children(pid: int) -> list[int]:
    """The processes that (pid) started and that are there, whichever thread did it."""
    found: list[int] = []
    for each in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            found += map(int, each.read_text().split())
    return [each for each in found if alive(each)]


def alive(pid: int) -> bool:
    """Whether any thread of (pid) may still run: a zombie is an entry that only waits
    for its parent, or for its threads."""
    try:
        return state(pid) != "Z" or len(list(Path(f"/proc/{pid}/task").iterdir())) > 1
    except OSError:
        return False


def state(pid: int) -> str:
    """The letter that the kernel has for what (pid) does, "Z" when it has gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"


def is_boot(pid: int) -> bool:
    """Whether (pid) starts programs and does not serve: its command line says so."""
    try:
        return b"\0skerry.booter\0" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def kill(pid: int, how: int = signal.SIGKILL) -> bool:
    """Sends a signal to a process that may have gone. Whether it was there."""
    try:
        os.kill(pid, how)
    except ProcessLookupError:
        return False
    return True
