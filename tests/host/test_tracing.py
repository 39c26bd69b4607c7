"""Calls as people read them: numbers become names, pointers what they point at."""

import os
import re
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.documents import ROOT

from skerry.native.raw import ffi
from skerry.native.syscalls import syscalls
from skerry.tracing import structs
from skerry.tracing.decode import Call, Decoder
from skerry.tracing.names import NAMES
from skerry.tracing.overheard import read_call, signature_of
from skerry.tracing.signatures import by_name, host_calls

AT = 0x1000
HOST = {call.name: call for call in host_calls().values()}


def decode(name, *values, memory=b"", result=0, cut=32):
    """The line of a call whose memory is (memory) at AT."""

    def read(address, size):
        if not AT <= address < AT + len(memory):
            return b""
        return memory[address - AT :][:size]

    signature = HOST.get(name) or signature_of(name)
    decoder = Decoder(signature, values, cut)
    decoder.begin(read)
    texts = decoder.end(read, result)
    return Call(name, texts, result, signature.gives_address, "", 0).line()


TIME = struct.pack("<QQ", 1, 500)
ACTION = struct.pack("<QQQQ", 1, 0x10000000, 0, 1 << 14)
FDS = struct.pack("<ihhihh", 3, 1, 1, -1, 4, 0)
CASES = [
    (("openat", -100 & 2**64 - 1, AT, os.O_RDONLY), b"/etc\0x", "AT_FDCWD", '"/etc"'),
    (("openat", 5, AT, os.O_WRONLY | os.O_CREAT, 0o600), b"a\0", "5, ", "0600"),
    (("openat", 5, AT, os.O_WRONLY, 0o600), b"a\0", "O_WRONLY)"),
    (("write", 1, AT, 5), b'a"\n\xff\\', r'"a\"\n\xff\\"'),
    (("write", 1, AT, 40), b"a" * 40, '"' + "a" * 32 + '"...'),
    (("write", 1, 8, 40), b"", "write(1, 0x8, 40)"),
    (("mmap", 0, 4096, 3, 0x22, 2**32 - 1, 0), b"", "NULL", "PROT_READ|PROT_WRITE"),
    (
        ("mmap", 0, 4096, 0, 0x10022, 0, 0),
        b"",
        "MAP_PRIVATE|MAP_ANONYMOUS|MAP_NONBLOCK",
    ),
    (
        ("futex", AT, 0x80, 1, AT, 0, 0),
        TIME,
        "FUTEX_WAIT|FUTEX_PRIVATE_FLAG",
        "{1, 500}",
    ),
    (
        ("rt_sigaction", 15, AT, 0, 8),
        ACTION,
        "SIGTERM, {SIG_IGN, SA_RESTART, [SIGTERM]}",
    ),
    (("poll", AT, 2, 0), FDS, "[{3, POLLIN, POLLIN}, {-1, POLLOUT, 0}]"),
    (("fcntl", 3, 4, os.O_NONBLOCK), b"", "F_SETFL, O_RDONLY|O_NONBLOCK"),
    (("fcntl", 3, 1, 77), b"", "fcntl(3, F_GETFD)"),
    (("lseek", 3, 2**64 - 1, 2), b"", "lseek(3, -1, SEEK_END)"),
    (("clone", 0x3D0F00, 0, 0, 0, 0), b"", "CLONE_VM|CLONE_FS", "CLONE_THREAD"),
    (("pipe2", AT, os.O_CLOEXEC), struct.pack("<ii", 3, 4), "[3, 4], O_CLOEXEC"),
    (("syscall_999", 1, 2, 3, 4, 5, 6), b"", "(0x1, 0x2, 0x3, 0x4, 0x5, 0x6)"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0][0])
def test_a_call_is_shown_with_names_and_memory(case):
    call, memory, *parts = case
    line = decode(*call, memory=memory)
    assert [part for part in parts if part not in line] == []


def test_a_result_is_a_number_an_error_by_name_or_an_address():
    assert decode("close", 3).endswith(" = 0")
    assert decode("close", 3, result=-9).endswith(" = -1 EBADF (Bad file descriptor)")
    assert decode("brk", 0, result=0x5000).endswith(" = 0x5000")
    assert decode("exit_group", 0, result=None).endswith(" = ?")


def test_memory_that_a_failed_call_has_not_filled_is_not_shown():
    memory = bytes(144)
    assert "links=0" in decode("fstat", 1, AT, memory=memory)
    assert decode("fstat", 1, AT, memory=memory, result=-9).startswith(
        "fstat(1, 0x1000)"
    )


def test_more_of_a_buffer_is_shown_on_request():
    assert '"' + "a" * 40 + '"' in decode("write", 1, AT, 40, memory=b"a" * 40, cut=64)


WORDS = st.one_of(
    st.integers(0, 2**64 - 1), st.integers(AT, AT + 300), st.integers(0, 64)
)
SIGNATURES = [*by_name(), *HOST]


@given(
    st.sampled_from(SIGNATURES),
    st.lists(WORDS, min_size=6, max_size=6),
    st.binary(max_size=400),
    st.integers(-5000, 600),
)
def test_no_call_of_a_hostile_program_breaks_the_trace(name, values, memory, result):
    line = decode(name, *values, memory=memory, result=result)
    assert "\n" not in line
    assert len(line) < 20000


@given(st.sampled_from([*structs.BEFORE.items(), *structs.AFTER.items()]), st.data())
def test_no_struct_of_a_hostile_program_breaks_the_trace(row, data):
    size, show = row[1]
    text = show(data.draw(st.binary(min_size=size, max_size=size)))
    assert text.isprintable()


def test_a_name_of_a_machine_that_is_no_text_is_shown_in_c():
    assert structs.system(b"a\xff\n".ljust(390, b"\0")) == "{a\\xff\\n, , , , }"


PACKET = ffi.sizeof("struct skerry_call")


@given(st.binary(min_size=64, max_size=64), st.binary(max_size=64), st.integers(0, 512))
def test_no_packet_about_a_hostile_program_breaks_the_trace(head, memory, length):
    """Its numbers and its memory are the program's, lengths are the core's."""
    call = ffi.new("struct skerry_call *")
    ffi.buffer(call)[: len(head)] = head
    for pieces in (call.before, call.after):
        for i in range(6):
            ffi.buffer(pieces[i])[: len(memory)] = memory
    for i in range(6):
        call.before_len[i] = call.after_len[i] = length
    assert read_call(ffi.buffer(call)[:], 32).line().isprintable()


def test_every_signature_is_of_a_call_and_has_known_words():
    names = {each.name for each in syscalls().values()}
    assert set(by_name()) <= names
    for signature in [*by_name().values(), *host_calls().values()]:
        assert len(signature.words) <= 6
        decode(signature.name, 0, 0, 0, 0, 0, 0)


def test_every_host_call_of_the_header_has_a_signature():
    header = (ROOT / "guest" / "include" / "kvm_api.h").read_text()
    text = header.partition("/* --- Callbacks")[0]
    listed = re.findall(r"#define KVM_API_(\w+) 0x(\w+)$", text, re.MULTILINE)
    numbers = {int(number, 16): name.lower() for name, number in listed}
    assert {number: call.name for number, call in host_calls().items()} == numbers


def test_names_are_those_of_the_kernel():
    assert NAMES["prot"].text(0) == "PROT_NONE"
    assert NAMES["open"].text(os.O_RDWR | os.O_SYNC) == "O_RDWR|O_SYNC"
    assert NAMES["signal"].text(9) == "SIGKILL"
    assert NAMES["clock"].text(99) == "99"
    assert NAMES["random"].text(0x40) == "0x40"
