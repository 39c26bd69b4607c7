"""Functions by their address: read from a program's file, which is a stranger."""

import struct
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.guests import PRELUDE, compile_guest

from skerry import symbols
from skerry.demangle import demangle
from skerry.failures import describe
from skerry.message import Request
from skerry.native import Failure
from skerry.symbols import Symbols, read_symbols

FUNCTION, OBJECT = 2, 1


def elf(*entries, kind=2, names=None, records=None):
    """A file with a symbol table of (entries): name, type, section, address, size. Its
    (names) or (records) may be other bytes."""
    text, made = b"\0", [bytes(24)]
    for name, what, section, address, size in entries:
        at, text = len(text), text + name.encode() + b"\0"
        made.append(struct.pack("<IBBHQQ", at, what, 0, section, address, size))
    text = text if names is None else names
    table = b"".join(made) if records is None else records
    sections = [
        bytes(64),
        struct.pack("<IIQQQQIIQQ", 0, 2, 0, 0, 64, len(table), 2, 0, 8, 24),
        struct.pack("<IIQQQQIIQQ", 0, 3, 0, 0, 64 + len(table), len(text), 0, 0, 1, 0),
    ]
    at = 64 + len(table) + len(text)
    tail = (kind, 62, 1, 0, 0, at, 0, 64, 56, 0, 64, len(sections), 0)
    head = b"\x7fELF" + bytes(12) + struct.pack("<HHIQQQIHHHHHH", *tail)
    return head + table + text + b"".join(sections)


def found(address, *entries, **options):
    return Symbols(read_symbols(elf(*entries, **options))).find(address)


def test_the_function_that_holds_an_address_is_found():
    table = [("one", FUNCTION, 1, 0x1000, 16), ("two", FUNCTION, 1, 0x1010, 16)]
    assert found(0x1000, *table) == ("one", 0)
    assert found(0x100F, *table) == ("one", 15)
    assert found(0x1010, *table) == ("two", 0)
    assert found(0xFFF, *table) is None
    assert found(0x1020, *table) is None


def test_data_and_what_is_defined_elsewhere_is_no_function():
    assert found(0x1000, ("data", OBJECT, 1, 0x1000, 16)) is None
    assert found(0x1000, ("elsewhere", FUNCTION, 0, 0x1000, 16)) is None


def test_local_weak_and_indirect_functions_count():
    for what in (FUNCTION, 0x10 | FUNCTION, 0x20 | FUNCTION, 10, 0x1A, 0x2A):
        assert found(0x1001, ("f", what, 1, 0x1000, 16)) == ("f", 1)


def test_a_function_without_a_size_is_its_first_byte():
    assert found(0x1000, ("asm", FUNCTION, 1, 0x1000, 0)) == ("asm", 0)
    assert found(0x1001, ("asm", FUNCTION, 1, 0x1000, 0)) is None


def test_the_inner_one_of_two_is_taken():
    table = [("outer", FUNCTION, 1, 0x1000, 64), ("inner", FUNCTION, 1, 0x1010, 8)]
    assert found(0x1012, *table) == ("inner", 2)
    assert found(0x1018, *table) == ("outer", 0x18)


def test_position_independent_programs_are_where_they_are_loaded():
    assert found(0x401002, ("f", FUNCTION, 1, 0x1000, 16), kind=3) == ("f", 2)


def test_a_stripped_program_has_no_names():
    program = compile_guest(PRELUDE + "START {} HANDLE {}", flags=("-static", "-s"))
    assert read_symbols(program.read_bytes()) == b""
    assert Symbols(b"").explain("halted at 0x401000") == "halted at 0x401000"


@pytest.mark.parametrize(
    ("text", "rip", "said"),
    [
        ("page fault reading 0x0 at 0x1004", 0x1004, " at 0x1004 in f+0x4"),
        ("time limit reached", 0x1004, "time limit reached in f+0x4"),
        ("time limit reached", 0x9999, "time limit reached"),
        ("time limit reached", 0, "time limit reached"),
        ("storage function 0x1000 failed", 0, "storage function f failed"),
        ("storage function 0x9999 failed", 0, "storage function 0x9999 failed"),
        ("at 0x1004 in text at 0x99", 0, "at 0x1004 in text at 0x99"),
        ("x at 0x11112222333344445555", 0, "x at 0x11112222333344445555"),
    ],
)
def test_addresses_in_what_the_core_says_are_explained(text, rip, said):
    table = Symbols(read_symbols(elf(("f", FUNCTION, 1, 0x1000, 16))))
    assert table.explain(text, rip).endswith(said)


def test_the_caller_is_blamed_for_a_call_that_the_header_makes():
    file = elf(
        ("kvm_api_call6", FUNCTION, 1, 0x1000, 16), ("mine", FUNCTION, 1, 0x2000, 16)
    )
    request = Request(b"GET", b"/")
    failure = Failure(request, "response: status 9", 0x1008, 0x2004, "", 0, 0.0015)
    assert describe(failure, Symbols(read_symbols(file))) == (
        "request failed: response: status 9 in mine+0x4; GET /; 1.5 ms"
    )


def test_a_path_in_the_log_is_short_and_printable():
    path = b"/\x1b[31m\xff\xc3\xa9\n" + b"x" * 60_000
    failure = Failure(Request(b"GET", path), "halted", 0, 0, "", 0, 0.0)
    said = describe(failure, Symbols(b""))
    assert "GET /\\x1b[31m\\xff\\xc3\\xa9\\x0axxx" in said
    assert said.isprintable() and len(said) < 200


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("main", "main"),
        ("_Z3addii", "add"),
        ("_ZL6on_getPKcS0_", "on_get"),
        ("_ZN5space8functionEi", "space::function"),
        ("_ZNK3Foo3barEv", "Foo::bar"),
        ("_ZN3FooC2Ei", "Foo::Foo"),
        ("_ZN3FooD1Ev", "Foo::~Foo"),
        ("_ZN12_GLOBAL__N_11fEv", "(anonymous)::f"),
    ],
)
def test_simple_cpp_names_are_shown_as_people_write_them(name, shown):
    assert demangle(name) == shown


@pytest.mark.parametrize(
    "name",
    [
        *("_Z", "_ZN", "_ZN3Foo", "_ZN9Foo", "_Z9f", "_Z0", "_ZNSt6vectorIiE4pushEv"),
        *("_Z3fooIiEvT_", "_ZN3FooplERKS_", "_ZN999Foo", "_ZNE", "_Z1", "_ZN0E"),
        "__Z1f",
    ],
)
def test_other_names_stay_as_they_are(name):
    assert demangle(name) == name


@given(st.text(alphabet="_ZNKLECDIRVrOSt0123456789fo", max_size=60))
def test_no_name_is_too_strange(tail):
    assert demangle("_Z" + tail)


# --- A file that wants to harm ---

GOOD = elf(*[(f"f{n}", FUNCTION, 1, n * 16, 16) for n in range(1, 20)])


@settings(max_examples=300)
@given(
    st.lists(
        st.tuples(
            st.integers(0, len(GOOD) - 8),
            st.sampled_from((1, 2, 4, 8)),
            st.sampled_from((0, 1, 2, 24, 64, 2**16 - 1, 2**31, 2**63, 2**64 - 1))
            | st.integers(0, 2**64 - 1),
        ),
        max_size=6,
    ),
    st.integers(0, len(GOOD)),
    st.integers(0, 2**64 - 1) | st.integers(0, 400),
)
def test_no_file_does_harm(changes, length, address):
    file = bytearray(GOOD)
    for at, size, value in changes:
        file[at : at + size] = (value & (1 << 8 * size) - 1).to_bytes(size, "little")
    table = Symbols(read_symbols(bytes(file[:length])))
    where = table.find(address)
    assert where is None or where[1] >= 0


def test_names_that_never_end_are_cut():
    (name, _) = found(0x1000, ("", FUNCTION, 1, 0x1000, 16), names=b"x" * 100_000)
    assert name == "x" * symbols.MOST_NAME


def test_a_table_has_a_limit(monkeypatch):
    monkeypatch.setattr(symbols, "MOST_SYMBOLS", 3)
    monkeypatch.setattr(symbols, "MOST_NAMES", 4)
    file = elf(*[(f"f{n}", FUNCTION, 1, n * 16, 16) for n in range(1, 6)])
    packed = read_symbols(file)
    assert len(zlib.decompress(packed)) == 16 + 2 * 24 + 4
    assert Symbols(packed).find(16) == ("f1", 0)
    assert Symbols(packed).find(48) is None


def test_of_a_table_that_is_too_large_a_part_is_read():
    one = struct.pack("<IBBHQQ", 1, FUNCTION, 0, 1, 0, 2**63)
    records = one * (symbols.MOST_SYMBOLS + 1)
    names = b"\0" + b"x" * symbols.MOST_NAMES
    packed = read_symbols(elf(records=records, names=names))
    size = 16 + len(records) - len(one) + symbols.MOST_NAMES
    assert len(zlib.decompress(packed)) == size
    assert Symbols(packed).find(5) == ("x" * symbols.MOST_NAME, 5)
