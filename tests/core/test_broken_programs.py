"""A broken program fails alone: with the step, the reason, and nothing left behind."""

import gc
import re
import struct
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.guests import Guest
from support.leaks import descriptors

from skerry.native import NativeError

pytestmark = pytest.mark.core

EXAMPLES = 40
BASE = 0x400000
HEADERS = 64 + 56
RX = 5


def header(**changes):
    """An ELF header, gABI chapter 4, but for (changes)."""
    field = {"ident": b"\x7fELF\x02\x01\x01", "type": 2, "machine": 62, "version": 1}
    field |= {"entry": BASE + HEADERS, "phoff": 64, "shoff": 0, "flags": 0}
    field |= {"ehsize": 64, "phentsize": 56, "phnum": 1}
    field |= {"shentsize": 64, "shnum": 0, "shstrndx": 0} | changes
    return struct.pack("<16sHHIQQQIHHHHHH", *field.values())


def segment(**changes):
    """A program header, gABI chapter 5, but for (changes)."""
    field = {"type": 1, "flags": RX, "offset": 0, "vaddr": BASE, "paddr": 0}
    field |= {"filesz": len(PROGRAM), "memsz": len(PROGRAM), "align": 4096} | changes
    return struct.pack("<IIQQQQQQ", *field.values())


def call(number):
    return b"\xb8" + struct.pack("<I", number) + b"\xe7\x00"  # mov $number, %eax; out


WAITS = call(0x10001) + b"\x0f\x0b"
REGISTERS = b"\xbf\1\0\0\0\xbe" + struct.pack("<I", BASE + HEADERS + 26) + call(0x10000)
ANSWERS = b"\xbf\xc8\0\0\0\x31\xf6\x31\xd2\x31\xc9\x45\x31\xc0\x45\x31\xc9"
CODE = REGISTERS + WAITS + ANSWERS + call(0x10010)
PROGRAM = b" " * (HEADERS + len(CODE))  # its length is in its headers
PROGRAM = header() + segment() + CODE


def file(*segments, **changes):
    """A program of these segments instead of one that is right."""
    return header(phnum=len(segments), **changes) + b"".join(segments) + CODE


def test_the_program_that_the_others_are_made_from_works():
    with Guest(PROGRAM, max_memory=8) as vm:
        assert vm.get().status == 200, vm.failure


def test_segments_that_share_a_page_have_the_rights_of_both():
    data = segment(vaddr=BASE + 2048, flags=6, filesz=8, memsz=8)
    elf = header(phnum=2, phoff=len(PROGRAM)) + PROGRAM[64:] + segment() + data
    with Guest(elf, max_memory=8) as vm:
        assert vm.get().status == 200, vm.failure


@contextmanager
def leaving_nothing():
    """Fails if what is done leaves a descriptor or a piece of a machine behind."""

    def held():
        gc.collect()
        maps = Path("/proc/self/maps").read_text().splitlines()
        parts = [line for line in maps if "memfd:" in line or "kvm" in line]
        return len(descriptors()), len(parts)

    before = held()
    yield
    assert held() == before


def refusal(elf, **options):
    """The error with which (elf) does not start."""
    with leaving_nothing(), pytest.raises(NativeError) as caught:
        Guest(elf, **({"max_memory": 8, "boot_time": 5.0} | options))
    return caught.value


OVERLAP = file(segment(), segment(vaddr=BASE + 64))
OUTSIDE = "outside the program's memory 0x200000..0x800000: raise max_memory"
NOT_ELF = {
    "empty": (b"", "not an ELF file"),
    "one byte": (b"\x7f", "not an ELF file"),
    "a script": (b"#!/bin/sh\necho hello\n" * 9, "not an ELF file"),
    "32 bits": (header(ident=b"\x7fELF\1\1\1"), "64-bit little-endian"),
    "big-endian": (header(ident=b"\x7fELF\2\2\1"), "64-bit little-endian"),
    "for ARM": (header(machine=183), r"machine 183; expected x86-64 \(62\)"),
    "an object file": (header(type=1), "ELF type 1 is no program"),
    "a core dump": (header(type=4), "ELF type 4 is no program"),
    "no segments": (header(phnum=0), "no program headers"),
    "strange headers": (header(phentsize=32), "no program headers"),
    "headers far away": (header(phoff=1 << 63), "truncated: program headers"),
    "headers wrap": (header(phoff=2**64 - 20), "truncated: program headers"),
    "path not ended": (file(segment(), segment(type=3)), "linker is no string of 1 to"),
    "path far away": (file(segment(), segment(type=3, offset=999)), "truncated: path"),
    "path relative": (file(segment(), segment(type=3, filesz=8)), "'.ELF.*is relative"),
    "overlapping": (OVERLAP, "segments at 0x400000 and 0x400040 overlap"),
    "below": (file(segment(vaddr=0x1000)), OUTSIDE),
    "exchange page": (file(segment(vaddr=0x100000)), OUTSIDE),
    "above": (file(segment(vaddr=0x7FFFC0)), OUTSIDE),
    "kernel half": (file(segment(vaddr=2**64 - 2**31)), OUTSIDE),
    "wrapping": (file(segment(vaddr=2**64 - 16)), OUTSIDE),
    "wrapping size": (file(segment(memsz=2**64 - 1)), OUTSIDE),
    "too large": (file(segment(memsz=64 << 20)), OUTSIDE),
    "file wraps": (file(segment(filesz=2**64 - 1)), "ends behind the file"),
    "offset wraps": (file(segment(offset=2**64 - 1)), "ends behind the file"),
    "more file than memory": (file(segment(memsz=9)), "more file than memory"),
    "entry elsewhere": (file(segment(), entry=BASE + 4096), "entry 0x401000 is not in"),
    "entry not executable": (file(segment(flags=6)), "entry .* is not in executable"),
    "no load": (file(segment(type=4)), "entry .* is not in executable"),
    "many segments": (
        file(*(segment(vaddr=BASE + 4096 * i, filesz=9, memsz=9) for i in range(40))),
        "more than 32 segments",
    ),
}


@pytest.mark.parametrize("kind", NOT_ELF)
def test_a_file_that_is_no_program_is_refused(kind):
    elf, reason = NOT_ELF[kind]
    error = refusal(elf)
    assert error.step == "load"
    assert re.search(reason, error.reason)


def test_a_dynamic_program_without_its_linker_is_refused(guest):
    with (
        leaving_nothing(),
        pytest.raises(NativeError, match="load: the dynamic linker /lib"),
    ):
        guest('START {} HANDLE { reply("no"); }', flags=())


def test_a_truncated_program_is_refused_wherever_it_ends():
    with leaving_nothing():
        for size in range(len(PROGRAM)):
            with pytest.raises(NativeError, match=r"^load: (not an ELF|truncated)"):
                Guest(PROGRAM[:size], max_memory=8)


places = st.integers(0, len(PROGRAM) - 1)
values = st.sampled_from([0, 1, 127, 128, 255]) | st.integers(0, 255)


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(st.lists(st.tuples(places, values), min_size=1, max_size=4))
def test_a_damaged_program_is_refused_or_runs(changes):
    """... and neither stops the host, nor leaves anything."""
    elf = bytearray(PROGRAM)
    for at, value in changes:
        elf[at] = value
    with leaving_nothing():
        try:
            with Guest(bytes(elf), max_memory=8, boot_time=0.2, limit=0.2) as vm:
                vm.get()
        except NativeError as error:
            assert error.step in ("load", "start-up")


DIVIDE = '__asm__ volatile("xor %ecx, %ecx; div %ecx");'

# What main does instead of waiting, and the reason that is given.
NEVER_WAITS = {
    "returns": ("return 0;", r"main ended \(exited with status 0\) without wait_for"),
    "exits": ("exit(3);", r"main ended \(exited with status 3\) without wait_for"),
    "aborts": ("abort();", r"signal 6 \(SIGABRT\)"),
    "kills itself": ("kill(getpid(), 9);", r"signal 9 \(SIGKILL\)"),
    "reads null": ("return *(volatile int *)0;", "page fault reading 0x0 at 0x"),
    "writes null": ("*(volatile int *)8 = 1;", "page fault writing 0x8 at 0x"),
    "calls null": ("((void (*)(void))null)();", "page fault executing 0x0 at 0x0"),
    "writes to code": ("*(volatile int *)main = 1;", "page fault writing 0x4"),
    "non-canonical": ("return *(volatile int *)(1ul << 63);", "general protection"),
    "illegal": ("__builtin_trap();", "illegal instruction"),
    "divides by zero": (DIVIDE, "division by zero"),
    "overflows its stack": ("return deep(1);", "page fault writing 0x"),
    "waits for a lock": ("lock(); lock();", "deadlock"),
    "jumps into data": ("((void (*)(void))&zero)();", "page fault executing 0x"),
    "halts": ('__asm__ volatile("hlt");', "general protection"),
    "exits with out": ('__asm__ volatile("out %al, $0x77");', "general protection"),
    "wrong callback": ("register_func(99, main);", "callback 99 is not supported"),
    "no function": ("register_func(1, 8);", "0x8 is not a function"),
    "answers": ('backend_response_str(200, "a/b", "");', "outside of a request"),
}
BROKEN = r"""
#include "kvm_api.h"
#include <pthread.h>
#include <signal.h>
#include <unistd.h>
#define register_func(n, f) kvm_api_call(0x10000, n, (uint64_t)(f), 0, 0)
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static volatile int zero;
static void *volatile null;
static void lock(void) { pthread_mutex_lock(&mutex); }
static int deep(int n) { volatile char room[5000] = {1}; return deep(n + 1) + room[n]; }
int main(int argc, char **argv) { DO }
"""


@pytest.mark.parametrize("kind", NEVER_WAITS)
def test_a_program_that_fails_in_main_is_refused(guest, kind):
    action, reason = NEVER_WAITS[kind]
    with leaving_nothing(), pytest.raises(NativeError) as caught:
        guest(BROKEN.replace("DO", action), whole=True, max_memory=16)
    assert caught.value.step == "start-up"
    assert re.search(reason, caught.value.reason), caught.value.reason


LOOPS = {
    "loops": "for (;;) zero++;",
    "loops with all signals blocked": "sigset_t all; sigfillset(&all);"
    "sigprocmask(SIG_SETMASK, &all, NULL); for (;;) zero++;",
    "makes system calls": "for (;;) getppid();",
    "sleeps": "sleep(1000);",
    "prints": 'for (;;) puts("again");',
    "loops without a stack": '__asm__ volatile("xor %esp, %esp\\n1: jmp 1b");',
}


@pytest.mark.parametrize("kind", LOOPS)
def test_a_program_that_never_gets_ready_is_stopped(guest, kind):
    with leaving_nothing(), pytest.raises(NativeError) as caught:
        guest(BROKEN.replace("DO", LOOPS[kind]), whole=True, boot_time=0.1)
    assert caught.value.step == "start-up"
    assert "main did not reach wait_for_requests() within 0.1 s" in caught.value.reason


def test_output_is_bounded(guest):
    """A program that prints more than anyone takes is cut, and the rest is counted."""
    action = "static char line[1000]; memset(line, 88, 999);"
    action += "for (int i = 0; i < 2000; i++) puts(line);"
    with pytest.raises(NativeError, match="main ended") as caught:
        guest(BROKEN.replace("DO", action), whole=True)
    printed = caught.value.__notes__[0]
    kept = printed.count("X" * 999)
    assert 100 < kept < 600
    assert printed.endswith(f"\n{2000 - kept} lines dropped")


@pytest.mark.parametrize("arguments", [["x"] * 1100, ["x" * (5 << 20)]])
def test_too_many_arguments_are_refused(arguments):
    error = refusal(PROGRAM, arguments=arguments)
    assert error.step == "arguments"
    assert "too long" in error.reason


@pytest.mark.parametrize("size", [0, 7, 5000])
def test_impossible_sizes_of_memory_are_refused(size):
    error = refusal(PROGRAM, max_memory=size)
    assert (error.step, error.reason) == ("max_memory", "expected 8 MB to 4 GB")


def test_memory_that_runs_out_during_start_up_is_the_programs_affair(guest):
    vm = guest(
        "static int blocks; START { while (malloc(1 << 20)) blocks++; }"
        'HANDLE { reply("%d", blocks); }',
        max_memory=32,
    )
    assert 10 <= int(vm.text()) < 32
