"""Guests for tests: C written inline, compiled once, run in real machines."""

import errno
import hashlib
import os
import select
import subprocess
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from skerry import egress, native
from skerry.allowed import Policy
from skerry.connector import open_connector
from skerry.message import Request, Response
from skerry.opener import open_door
from skerry.streaming import gather
from skerry.wanted import Fetched, Wanted, failed

ROOT = Path(__file__).resolve().parents[2]
INCLUDE = ROOT / "guest" / "include"
CACHE = ROOT / "build" / "guests"
MB = 1 << 20

# What most test programs need: HANDLE { ... } is the body of on_get, START { ... } runs
# in main before the wait, and reply("format", ...) answers 200.
PRELUDE = r"""
#include "kvm_api.h"
#define reply(...) do { char text_[4096]; \
    int len_ = snprintf(text_, sizeof text_, __VA_ARGS__); \
    backend_response(200, "text/plain", 10, text_, (size_t)len_); } while (0)
static void start(void);
static void on_get(const char *url, const char *arg);
int main(void) { set_backend_get(on_get); start(); wait_for_requests(); }
#define START static void start(void)
#define HANDLE static void on_get(const char *url, const char *arg)
"""


def compile_guest(
    source: str,
    compiler: str = "gcc",
    flags: Sequence[str] = ("-static",),
    libraries: Sequence[str] = (),
) -> Path:
    """The program made from (source) and (libraries), which are flags too, from the
    cache if it has been made before."""
    suffix = "cpp" if compiler.endswith("++") else "c"
    command = [compiler, "-O2", "-w", f"-I{INCLUDE}", *flags]
    header = (INCLUDE / "kvm_api.h").read_text()
    what = repr((command, source, header, *libraries))
    key = hashlib.sha256(what.encode()).hexdigest()[:24]
    program = CACHE / key
    if program.exists():
        return program
    CACHE.mkdir(parents=True, exist_ok=True)
    made, text = CACHE / f"{key}.{os.getpid()}", CACHE / f"{key}.{suffix}"
    text.write_text(source)
    subprocess.run([*command, "-o", str(made), str(text), *libraries], check=True)
    made.rename(program)
    return program


class Guest:
    """A program that has started, with one clone to serve. A context manager.

    get() and request() serve one request and reset the clone; one that has to be
    discarded is replaced by a new clone. With (hold) clones stay as a request left them
    until then; (more) is BootOptions. What the program fetches comes from
    (fetch); its sockets may lead to (hosts), entries of allowed_hosts.
    """

    def __init__(
        self,
        elf: bytes,
        *,
        name: str = "test",
        storage: bool = False,
        shared_memory: int = 0,
        max_memory: int = 64,
        max_request_memory: int = 32,
        boot_time: float = 60.0,
        limit: float = 10.0,
        storage_time: float = 5.0,
        arguments: Sequence[str] | None = None,
        environment: Sequence[str] = ("KVM_NAME=test",),
        allowed: Policy | None = None,
        fetch: Callable[[Wanted], Fetched] = lambda wanted: failed(errno.EAGAIN),
        hosts: Sequence[str] = (),
        hold: bool = True,
        **more: Any,
    ) -> None:
        self._fetch = fetch
        self._reaches = bool(hosts)
        if hosts:
            native.use_connector(open_connector(egress.Policy(hosts)))
        self._hold = hold
        self._held = ExitStack()
        self._limit = limit
        self.console = self._held.enter_context(native.Console())
        self._lines: list[tuple[native.Stream, str]] = []
        self.failure = ""  # why the last request failed
        self.discarded = False  # the last clone had to be discarded
        self.exits = (0, 0)  # KVM_RUN calls of the last request: all, in storage
        shared = storage_vm = None
        opener = open_door(allowed) if allowed else -1
        if allowed:
            self._held.callback(os.close, opener)

        def start(kind: str) -> native.Snapshot:
            options = native.BootOptions(
                name=name,
                elf=elf,
                argv=[name, *(arguments or ("state", kind))],
                environment=[*environment, f"KVM_TYPE={kind}"],
                max_memory=max_memory * MB,
                max_request_memory=max_request_memory * MB,
                max_boot_time=boot_time,
                is_storage=kind == "storage",
                opener=opener,
                directory=allowed.directory if allowed else "/",
                **more,
            )
            target = storage_vm if kind == "request" else None
            return self._held.enter_context(
                native.boot(options, self.console, shared, target)
            )

        try:
            native.probe()
            if shared_memory:
                shared = native.SharedMemory(shared_memory * MB)
                self._held.enter_context(shared)
            if storage:
                frozen = start("storage")
                storage_vm = native.Storage(frozen, self.console, storage_time)
                self._held.enter_context(storage_vm)
            self.storage = storage_vm
            self.snapshot = start("request")
            self.vm = self.clone()
        except BaseException as error:
            error.add_note("\n".join(text for _, text in self.console.take()))
            self._held.close()
            raise

    def clone(self) -> native.Vm:
        """One more clone; its owner closes it."""
        return native.Vm(
            self.snapshot,
            self.console,
            self._limit,
            0.0,
            self.storage,
            hold=self._hold,
            reaches=self._reaches,
        )

    def request(self, request: Request) -> Response:
        """Serves (request) and puts the clone back."""
        response = self.vm.serve(request)
        while response is None:
            if self.vm.waits:
                self._supply()
            response = self.vm.resume()
        if self.vm.rare and self.vm.streams:
            response = gather(self.vm, response)
        self.failure = self.vm.reason
        self.discarded = bool(self.vm.rare) and self.vm.discard
        self.exits = self.vm.exits
        if self.discarded or self.vm.reset() < 0:
            self.vm.close()
            self.vm = self.clone()
        return response

    def _supply(self) -> None:
        """Waits for what the clone waits for, or fetches it."""
        if awaited := self.vm.awaited():
            fd, seconds = awaited
            select.select([fd], [], [], seconds)
        else:
            self.vm.fetched(self._fetch(self.vm.wanted()))

    def get(
        self, url: str = "/", headers: bytes = b"Host: test\r\n", method: str = "GET"
    ) -> Response:
        """Serves a request without a body."""
        return self.request(
            Request(method.encode(), url.encode(), b"test", headers, b"", b"")
        )

    def post(self, body: bytes, content_type: bytes = b"text/plain") -> Response:
        """Serves a request with (body)."""
        return self.request(
            Request(b"POST", b"/", b"test", b"Host: test\r\n", content_type, body)
        )

    def text(self, url: str = "/") -> str:
        """The body of the answer to a GET, which must succeed."""
        response = self.get(url)
        assert response.status == 200, self.failure
        return response.body.decode()

    def lines(self) -> list[tuple[native.Stream, str]]:
        """What the program has printed so far, all of it."""
        self._lines += self.console.take()
        return self._lines

    def close(self) -> None:
        """Ends the clone and the program."""
        self.vm.close()
        self._held.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *unused: object) -> None:
        self.close()
