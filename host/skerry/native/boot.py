"""From a program to a frozen machine."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from skerry.native.console import Console
from skerry.native.memory import SharedMemory
from skerry.native.raw import NS, NativeError, check, ffi, lib, new_error, strings
from skerry.native.remains import Remains
from skerry.native.snapshot import Snapshot
from skerry.native.storage import Storage


@dataclass(frozen=True, slots=True)
class Warming:
    """(count) requests before a program is frozen; (headers) are whole lines."""

    count: int
    method: str
    url: str
    headers: str


_NONE = Warming(0, "", "", "")


@dataclass(frozen=True, slots=True)
class BootOptions:
    """How a program is started. Sizes in bytes, times in seconds."""

    name: str
    elf: bytes
    argv: Sequence[str]
    environment: Sequence[str]
    max_memory: int
    max_request_memory: int
    max_boot_time: float
    address_space: int = 1 << 40
    is_storage: bool = False
    debug: bool = False
    opener: int = -1  # where it asks for files; stays the caller's; -1: nowhere
    directory: str = "/"  # where relative paths begin
    arg: str = ""
    arg_header: str = ""
    ephemeral: bool = True
    control_ephemeral: bool = False
    hugepages: bool = False
    warmup: Warming | None = None
    trace: int = 0  # socket that its calls are told on; stays the caller's; 0: nobody


class Exited(NativeError):
    """The program has ended, with exit status (status), instead of waiting."""

    def __init__(self, error: NativeError, status: int) -> None:
        super().__init__(error.step, error.reason, error.code)
        self.status = status


def boot(
    options: BootOptions,
    console: Console,
    shared: SharedMemory | None = None,
    storage: Storage | None = None,
    look: Callable[[Remains], None] | None = None,
) -> Snapshot:
    """Runs a program until it waits for requests, and freezes it. NativeError if that
    fails, Exited if it ends; (look) is shown what is left of the program before."""
    name = ffi.new("char[]", options.name.encode())
    directory = ffi.new("char[]", options.directory.encode())
    argv, argv_held = strings(options.argv)
    envp, envp_held = strings(options.environment)
    raw = ffi.new("struct skerry_boot_options *")
    raw.name, raw.argv, raw.argc = name, argv, len(argv_held)
    raw.envp, raw.envc = envp, len(envp_held)
    raw.elf, raw.elf_len = ffi.from_buffer("uint8_t[]", options.elf), len(options.elf)
    raw.is_storage, raw.debug = options.is_storage, options.debug
    raw.max_memory = options.max_memory
    raw.address_space = options.address_space
    raw.max_request_memory = options.max_request_memory
    raw.opener, raw.directory = options.opener, directory
    raw.boot_ns = int(options.max_boot_time * NS)
    raw.shm = shared.raw if shared else ffi.NULL
    raw.storage = storage.raw if storage else ffi.NULL
    texts = _set_requests(raw, options)  # have to live during the call
    out, error = ffi.new("struct skerry_snapshot **"), new_error()
    remains = ffi.new("struct skerry_remains **")
    raw.remains = remains if look else ffi.NULL
    status = ffi.new("int *", -1)
    raw.trace, raw.exit_status = options.trace, status
    code = lib.skerry_boot(raw, console.raw, out, error)
    if look and remains[0]:
        with Remains(remains[0]) as left:
            look(left)
    del texts
    try:
        check(code, error)
    except NativeError as failed:
        if status[0] >= 0:
            raise Exited(failed, status[0]) from None
        raise
    return Snapshot(out[0])


def check_program(elf: bytes, max_memory: int) -> None:
    """NativeError if program (elf) cannot be loaded into (max_memory) bytes."""
    error = new_error()
    data = ffi.from_buffer("uint8_t[]", elf)
    check(lib.skerry_check_program(data, len(elf), max_memory, error), error)


def _set_requests(raw: Any, options: BootOptions) -> list[Any]:
    """How requests come to it, and what becomes of it after one."""
    warm = options.warmup or _NONE
    texts = [
        ffi.new("char[]", each.encode())
        for each in (
            options.arg,
            options.arg_header,
            warm.method,
            warm.url,
            warm.headers,
        )
    ]
    raw.arg, raw.arg_header = texts[:2]
    raw.warmup_method, raw.warmup_url, raw.warmup_headers = texts[2:]
    raw.warmup_requests = warm.count
    raw.keeps_state = not options.ephemeral
    raw.control_ephemeral = options.control_ephemeral
    raw.hugepages = options.hugepages
    return texts
