"""The floor: what one bare KVM_RUN round trip costs here (see floor.c and loop.c);
and what a host does for what guests do beside requests.

The extension is built when it is first asked for, into build/bench/, and again
whenever its source is newer.
"""

import errno
import importlib.util
import os
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

import cffi  # type: ignore[import-untyped]

HERE = Path(__file__).resolve()
SOURCES = tuple(HERE.with_name(each) for each in ("floor.c", "loop.c", "ring.h"))
BUILD = HERE.parent.parent / "build" / "bench"
EXTENSION = BUILD / f"_floor{sysconfig.get_config_var('EXT_SUFFIX')}"
DECLARATIONS = """
    struct floor;
    struct floor *floor_open(const char **step);
    int floor_exit(struct floor *f, int exits);
    void floor_close(struct floor *f);
    struct loop {
        uintptr_t add, run, reset, vm;
        const char *headers, *method, *body;
        uintptr_t body_len;
    };
    int loop_calls(const struct loop *l, int times);
    double loop_reset_us(const struct loop *l);
    void loop_clock(int reads);
    int loop_touch(int pages);
    void ring_run(int threads, long turns);
"""


class FloorError(Exception):
    """The floor's guest could not be made, or left for the wrong reason."""


class Floor:
    """A guest that does nothing but leave. A context manager."""

    def __init__(self) -> None:
        self._native: Any = load()
        self._handle = _open(self._native)

    def __enter__(self) -> "Floor":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def exit(self, exits: int) -> None:
        """Does (exits) bare round trips, in one C call."""
        if (ret := self._native.lib.floor_exit(self._handle, exits)) < 0:
            raise FloorError(f"floor: KVM_RUN: {os.strerror(-ret)}")

    def close(self) -> None:
        """Ends the guest; a second time is fine."""
        self._native.lib.floor_close(self._handle)
        self._handle = self._native.ffi.NULL

    def __del__(self) -> None:
        if hasattr(self, "_handle"):
            self.close()


def _open(native: Any) -> Any:
    step = native.ffi.new("const char **")
    handle = native.lib.floor_open(step)
    if handle == native.ffi.NULL:
        name = native.ffi.string(step[0]).decode()
        raise FloorError(f"floor: {name}: {_advice(native.ffi.errno)}")
    return handle


def _advice(code: int) -> str:
    """The reason, and for /dev/kvm what to do about it."""
    advice = {
        errno.ENOENT: " (is a kvm module loaded?)",
        errno.EACCES: " (add yourself to the group kvm)",
    }
    return os.strerror(code) + advice.get(code, "")


def load() -> Any:
    """The module _floor, built when it is missing or older than its sources."""
    if not _is_fresh():
        build()
    spec = importlib.util.spec_from_file_location("_floor", EXTENSION)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _is_fresh() -> bool:
    if not EXTENSION.exists():
        return False
    newest = max(path.stat().st_mtime for path in (*SOURCES, HERE))
    return EXTENSION.stat().st_mtime > newest


def build() -> None:
    """Compiles beside its place and moves it there: several may build at once."""
    BUILD.mkdir(parents=True, exist_ok=True)
    ffi = cffi.FFI()
    ffi.cdef(DECLARATIONS)
    source = "\n".join(path.read_text() for path in SOURCES)
    ffi.set_source("_floor", source, extra_compile_args=["-O2"])
    with tempfile.TemporaryDirectory(dir=BUILD) as directory:
        os.replace(ffi.compile(tmpdir=directory), EXTENSION)
