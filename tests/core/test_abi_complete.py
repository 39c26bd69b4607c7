"""No call of the guest API goes untested: what kvm_api.h declares is looked for in the
programs that are run, by number and by function."""

import re
import runpy
from pathlib import Path

import pytest

pytestmark = pytest.mark.core

CORE = Path(__file__).parent
HEADER = (CORE.parents[1] / "guest" / "include" / "kvm_api.h").read_text()
CODE = re.sub(r"/\*.*?\*/", "", HEADER, flags=re.S)
NUMBERS = dict(re.findall(r"^#define KVM_API_(\w+) (0x[0-9A-F]{5})$", CODE, re.M))
RETURNED = "RETURNED"  # the trampoline makes it, never a program
FAULTLESS = {RETURNED, "IS_STORAGE", "IS_DEBUG", "BREAKPOINT"}


def bodies() -> dict[str, str]:
    """The functions of the header, and the macros that stand for calls of them."""
    functions = re.findall(
        r"\b(\w+)\((?:[^()]|\([^()]*\))*\)\s*\{(.*?)^\}", CODE, re.M | re.S
    )
    macros = re.findall(r"^#define (\w+)\([^)]*\) +((?:.*\\\n)*.*)", CODE, re.M)
    return dict(functions) | dict(macros)


def callers(number: str) -> set[str]:
    """Functions and macros of the header that make this call, or call one that does."""
    found: set[str] = set()
    wanted = {f"KVM_API_{number}"}
    while wanted:
        pattern = re.compile(r"\b(" + "|".join(wanted) + r")\b")
        wanted = {name for name, body in bodies().items() if pattern.search(body)}
        wanted -= found
        found |= wanted
    return {name for name in found if not name.startswith("kvm_api_")}


def compared() -> str:
    """The programs of test_abi_rows, which makes all calls in all ways."""
    rows = runpy.run_path(str(CORE / "test_abi_rows.py"))
    return "".join(rows["source"](start) for start in rows["START"])


def mistaken() -> str:
    """The calls that test_abi_errors makes."""
    errors = runpy.run_path(str(CORE / "test_abi_errors.py"))
    names = ("RESPONSES", "HEADERS", "REST", "STORAGE", "IN_STORAGE", "IN_MAIN")
    return "\n".join(
        call for name in names for row in errors[name].values() for call in row[:-1]
    )


def calls(text: str, names: set[str]) -> set[str]:
    """Which of (names) are called in (text)."""
    return set(re.findall(r"\b(\w+)\(", text)) & names


@pytest.mark.parametrize("name", sorted(NUMBERS.keys() - {RETURNED}))
def test_a_call_is_made_by_number_and_by_a_function_of_the_header(name):
    text = compared()
    assert re.search(rf"\bN\({NUMBERS[name]}\b", text, re.I), "by number"
    assert calls(text, callers(name)), "by function"


@pytest.mark.parametrize("name", sorted(NUMBERS.keys() - FAULTLESS))
def test_a_mistake_in_a_call_is_made_by_number_and_by_a_function(name):
    text = mistaken()
    assert re.search(rf"\bN\({NUMBERS[name]}\b", text, re.I), "by number"
    assert calls(text, callers(name)), "by function"


def test_the_host_has_every_call_and_no_other():
    table = (CORE.parents[1] / "native" / "src" / "hostcall.c").read_text()
    assert set(re.findall(r"\{KVM_API_(\w+),", table)) == NUMBERS.keys()


def test_every_function_of_the_header_is_called_in_a_real_machine():
    tests = "".join(path.read_text() for path in CORE.glob("test_*.py"))
    there = set().union(*(callers(name) for name in NUMBERS))
    assert len(there) > 60
    assert there - calls(tests, there) == set()
