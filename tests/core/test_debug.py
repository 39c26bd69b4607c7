"""What a program does only where allow_debug is set."""

import re

import pytest

pytestmark = pytest.mark.core

DEBUG = r"""
#ifdef BY_NUMBER
#define is_debug() kvm_api_call(0x7FDEB, 0, 0, 0, 0)
#define stop_here() kvm_api_call(0x7F7F7, 0x1234abcd, 0, 0, 0)
#else
#define is_debug sys_is_debug
#define stop_here sys_breakpoint
#endif
START { stop_here(); }
HANDLE {
    stop_here();
    reply("%d %s", (int)is_debug(), getenv("KVM_DEBUG"));
}
"""
WAYS = {"by number": ("gcc", ("-DBY_NUMBER",)), "c": ("gcc", ()), "c++": ("g++", ())}


@pytest.fixture(params=WAYS)
def program(request, guest):
    compiler, flags = WAYS[request.param]

    def start(debug: bool):
        environment = (f"KVM_DEBUG={debug:d}",)
        return guest(
            DEBUG,
            compiler=compiler,
            flags=("-static", "-no-pie", *flags),
            debug=debug,
            environment=environment,
        )

    return start


def test_without_allow_debug_a_breakpoint_does_nothing(program):
    vm = program(debug=False)
    assert vm.text() == "0 0"
    assert vm.lines() == []


def test_with_allow_debug_a_breakpoint_is_a_line_with_the_registers(program):
    vm = program(debug=True)
    assert vm.text() == "1 1"
    lines = [text for _, text in vm.lines()]
    names = ("rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp")
    names += tuple(f"r{number}" for number in range(8, 16))
    registers = " ".join(name + "=[0-9a-f]+" for name in names)
    assert len(lines) == 2
    for line in lines:
        assert re.fullmatch("breakpoint at 0x[0-9a-f]+: " + registers, line), line
        assert " rax=7f7f7 " in line


def test_a_breakpoint_shows_the_programs_registers(guest):
    vm = guest(DEBUG, flags=("-static", "-DBY_NUMBER"), debug=True)
    assert " rdi=1234abcd " in vm.lines()[0][1]
