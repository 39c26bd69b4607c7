"""The product, as bench/micro.py sees it: the one place that knows its classes."""

import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench import floor, guests
from bench.guests import EXAMPLES
from skerry import native
from skerry._native import ffi, lib
from skerry.config import Program as Config
from skerry.config import defaults
from skerry.log import Log
from skerry.program import Program
from skerry.start import start

HOST = b"Host: 127.0.0.1\r\n"
LIMIT = 8.0


def _address(cdata: Any) -> int:
    return int(ffi.cast("uintptr_t", cdata))


class Machine:
    """One request VM of a program, in this process. It is asked by GET, or by POST if
    there is a (body)."""

    def __init__(self, program: Program, held: ExitStack, body: bytes = b"") -> None:
        self._program = program
        self._body = body
        self._held = held
        self._vm = held.enter_context(self._open())
        self._reply = lib.skerry_vm_replies(self._vm.raw)[0]
        self._bench = floor.load()
        self._loops: dict[int, Any] = {}
        self._exits = 0

    def _open(self) -> native.Vm:
        at = self._program.started
        return native.Vm(at.snapshot, at.console, LIMIT, 0.0, at.storage)

    def _loop(self, headers: int) -> Any:
        """The C loop's arguments for a request that brings so many headers."""
        if headers not in self._loops:
            lines = HOST + b"".join(b"X-Number-%d: x\r\n" % i for i in range(headers))
            loop = self._bench.ffi.new("struct loop *")
            text = self._bench.ffi.new("char[]", lines)
            loop.add = _address(ffi.addressof(lib, "skerry_add"))
            loop.run = _address(ffi.addressof(lib, "skerry_run"))
            loop.reset = _address(ffi.addressof(lib, "skerry_reset"))
            loop.vm, loop.headers = _address(self._vm.raw), text
            method = self._bench.ffi.new("char[]", b"POST" if self._body else b"GET")
            body = self._bench.ffi.new("char[]", self._body)
            loop.method, loop.body, loop.body_len = method, body, len(self._body)
            self._loops[headers] = loop, text, method, body
        return self._loops[headers][0]

    def call(self, headers: int = 0) -> None:
        """One request that brings so many headers, answered and reset."""
        self._calls(self._loop(headers), 1)
        if self._reply.status != 200:
            raise RuntimeError(f"answered {self._reply.status}")
        self._exits += self._reply.exits

    def calls(self, times: int, headers: int = 0) -> None:
        """So many calls, in one C loop like the floor's."""
        self._calls(self._loop(headers), times)

    def _calls(self, loop: Any, times: int) -> None:
        if self._bench.lib.loop_calls(loop, times) < 0:
            raise RuntimeError("a call did not end, or its reset failed")

    def reset_us(self) -> float:
        """One call; the microseconds of its reset."""
        return float(self._bench.lib.loop_reset_us(self._loop(0)))

    def clone_us(self) -> float:
        """The microseconds of making one more request VM, which is closed again."""
        begin = time.perf_counter()
        made = self._open()
        took = time.perf_counter() - begin
        made.close()
        return took * 1e6

    def exits(self) -> int:
        """How many KVM_RUN the calls of this machine have done, storage's included."""
        return self._exits

    def clone(self) -> "Machine":
        """One more request VM from the same frozen memory."""
        return Machine(self._program, ExitStack(), self._body)

    def close(self) -> None:
        """Frees it, and its program if this is the first."""
        self._held.close()


def _configure(path: Path, **changed: object) -> Config:
    values = defaults(path.name, path)
    fields = {key: getattr(values, key) for key in Config.__slots__}
    return Config(**fields | changed)


def _start(path: Path, **changed: object) -> Program:
    native.probe()
    log = Log()
    return Program(start(_configure(path, **changed), log), log)


def _open(path: Path, body: bytes = b"", **changed: object) -> Machine:
    program = _start(path, **changed)
    held = ExitStack()
    held.callback(program.close)
    return Machine(program, held, body)


def open_hello() -> Machine:
    """guest/examples/hello."""
    return _open(EXAMPLES / "hello")


def open_counter(file: Path | None = None) -> Machine:
    """guest/examples/counter, with storage: a call holds one storage call; (file) keeps
    the storage."""
    return _open(EXAMPLES / "counter", storage=True, storage_file=file, stdout=False)


def open_headers() -> Machine:
    """headers.c: reads 10 request headers, and sets 20 of its response."""
    return _open(guests.build("headers"))


def open_regex() -> Machine:
    """regex.c: a call holds one match of a simple pattern in 200 bytes."""
    return _open(guests.build("regex"))


def open_clock(reads: int) -> Machine:
    """clock.c: a call reads the clock so many times."""
    return _open(guests.build("clock"), main_arguments=(str(reads),))


def open_pages(count: int, file: Path | None = None) -> Machine:
    """pages.c: a call holds one storage call, which writes (count) pages; (file) keeps
    the storage."""
    return _open(
        guests.build("pages"),
        storage=True,
        storage_file=file,
        main_arguments=(str(count),),
    )


def open_touch(pages: int) -> Machine:
    """touch.c: a call writes to so many pages."""
    return _open(guests.build("touch"), main_arguments=(str(pages),))


def open_ring(threads: int, turns: int) -> Machine:
    """threads.c: a call makes threads, which take so many turns."""
    program = guests.build("threads")
    return _open(program, main_arguments=(str(threads), str(turns)))


def open_file(path: Path, body: bytes = b"") -> Machine:
    """Any program, with the keys that a configuration has if it says nothing."""
    return _open(path, body)


def boot_file(path: Path) -> Program:
    """It, from its file to ready."""
    return _start(path)


def boot_hello() -> Program:
    """hello, from its file to ready: booted and frozen, one clone made."""
    return _start(EXAMPLES / "hello")


def boot_counter() -> Program:
    """counter, from its file until both of its machines are ready."""
    return _start(EXAMPLES / "counter", storage=True, stdout=False)


def boot_fetch() -> Program:
    """fetch.c: it fetches from itself, or does not, as the path says."""
    return _start(guests.build("fetch"))
