"""Which dynamic linker a file names: whatever its bytes are, an answer."""

import os
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skerry.interpreter import interpreter_of

PATH = b"/lib64/ld-linux-x86-64.so.2"
SEGMENT = 64  # where its one program header is
AT = 120  # where the path is


def program(
    offset: int = SEGMENT,
    count: int = 1,
    kind: int = 3,
    at: int = AT,
    size: int = len(PATH) + 1,
) -> bytes:
    """An ELF file with one program header, of PT_INTERP if that is (kind)."""
    identity = b"\x7fELF" + bytes([2, 1, 1]) + bytes(9)
    rest = (2, 62, 1, 0, offset, 0, 0, 64, 56, count, 0, 0, 0)
    header = identity + struct.pack("<HHIQQQIHHHHHH", *rest)
    segment = struct.pack("<IIQQQQQQ", kind, 4, at, 0, 0, size, size, 1)
    return header + segment + PATH + b"\0"


def named_by(file: bytes) -> str | None:
    fd = os.memfd_create("program")
    try:
        os.pwrite(fd, file, 0)
        return interpreter_of(fd)
    finally:
        os.close(fd)


def test_a_program_names_its_dynamic_linker():
    assert named_by(program()) == PATH.decode()
    assert named_by(program(kind=1)) is None


NUMBERS = st.one_of(
    st.integers(0, 300), st.sampled_from([2**31, 2**63 - 1, 2**63, 2**64 - 1])
)


@given(NUMBERS, st.integers(0, 2**16 - 1), NUMBERS, NUMBERS)
def test_a_file_that_lies_about_itself_names_what_it_has_or_nothing(
    offset, count, at, size
):
    named = named_by(program(offset, count, 3, at, size))
    assert named is None or os.fsencode(named) in program(offset, count, 3, at, size)


@given(st.lists(st.tuples(st.integers(0, 150), st.integers(0, 255)), max_size=6))
def test_no_byte_of_a_file_breaks_the_search(changes):
    file = bytearray(program())
    for at, byte in changes:
        file[min(at, len(file) - 1)] = byte
    named = named_by(bytes(file))
    assert named is None or "\0" not in named


@pytest.mark.parametrize("length", range(len(program())))
def test_a_file_that_ends_early_names_nothing_or_what_is_left(length):
    named = named_by(program()[:length])
    assert named is None or PATH.decode().startswith(named)


def test_what_cannot_be_read_at_an_offset_names_nothing():
    reading, writing = os.pipe()
    assert interpreter_of(reading) is None
    os.close(reading)
    os.close(writing)
