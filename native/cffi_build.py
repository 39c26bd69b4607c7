"""Builds skerry._native from native/src: one header, read by C and by cffi."""

import re
from pathlib import Path

from cffi import FFI

ROOT = Path(__file__).resolve().parent
HEADER = ROOT / "include" / "skerry.h"


def declarations(header: str) -> str:
    """What cffi reads: the header from its mark on, without the preprocessor."""
    text = header.split("/* cffi reads from here */", 1)[1]
    return re.sub(r"^#.*$", "", text, flags=re.MULTILINE)


def relative(path: Path) -> str:
    """setuptools wants sources relative to setup.py."""
    return path.relative_to(ROOT.parent).as_posix()


ffi = FFI()
ffi.cdef(declarations(HEADER.read_text()))
ffi.set_source(
    "skerry._native",
    '#include "skerry.h"',
    sources=[relative(path) for path in sorted((ROOT / "src").glob("*.c"))],
    include_dirs=["native/include", "native/src", "guest/include"],
    depends=[
        relative(path)
        for folder in ("include", "src")
        for path in sorted((ROOT / folder).glob("*.h"))
    ]
    + ["guest/include/kvm_api.h"],
    define_macros=[("_GNU_SOURCE", None)],
    extra_compile_args=["-O2", "-g", "-std=gnu11", "-fvisibility=hidden"],
    libraries=["pthread", "pcre2-8"],
)
