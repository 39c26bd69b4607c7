"""skerry run of a program that fails: a backtrace, and a core file for gdb."""

import re
import shutil
import subprocess

import pytest
from elftools.elf.elffile import ELFFile
from support.client import LONG
from support.guests import PRELUDE, compile_guest
from support.server import skerry

# Compiled with -O2, it keeps no frame pointers.
SOURCE = (
    PRELUDE
    + r"""
#include <stdlib.h>
#include <string.h>
#define APART __attribute__((noipa)) static
static volatile int zero;
APART int innermost(int n)
{
    volatile int room[50] = {n};
    return room[n] + *(volatile int *)(long)(n - 3);
}
APART int middle(int n) { volatile int kept = n; return innermost(n + 1) + kept; }
APART int compare(const void *a, const void *b) { return middle(2) + zero; }
APART void spin(void) { for (;;) __asm__ volatile("pause"); }
START { if (getenv("KVM_TYPE")[0] == START_FAILS) middle(2); }
HANDLE
{
    int some[] = {3, 2, 1};
    void (*volatile null)(void) = 0;
    if (strstr(url, "sort")) qsort(some, 3, sizeof *some, compare);
    if (strstr(url, "null")) null();
    if (strstr(url, "spin")) spin();
    if (strstr(url, "deep")) reply("%d", middle(2));
    reply("fine");
}
"""
)
KINDS = [("-static",), ("-static-pie",)]


@pytest.fixture(params=KINDS, ids=["static", "static-pie"])
def program(request):
    return build("0", request.param)


def build(start_fails: str, kind=KINDS[0]):
    return compile_guest(SOURCE, flags=(*kind, "-g", f"-DSTART_FAILS='{start_fails}'"))


def fail(program, *options):
    """What stands on standard error when the program fails."""
    done = skerry("run", program, *options)
    printed = done.stderr.decode()
    assert done.returncode == 1 and "Traceback" not in printed
    return printed


def calls(printed):
    """The functions of the backtrace, and the lines of the file; None: not known."""
    found = re.findall(
        r"^  #\d+ +0x\w{16}(?: in (\S+)\+0x\w+)?(?: at (.*))?$", printed, re.M
    )
    return [name for name, _ in found], [line for _, line in found]


def test_a_backtrace_names_functions_files_and_lines(program):
    printed = fail(program, "--url", "/deep")
    names, lines = calls(printed)
    assert names == ["innermost", "middle", "on_get"]
    source = SOURCE.splitlines()
    for line, text in zip(lines, ("(n - 3)", "innermost(n + 1)", "deep"), strict=True):
        file, _, number = line.partition(":")
        assert file.endswith(".c") and text in source[int(number) - 1]
    assert "page fault reading 0x0 at 0x" in printed.splitlines()[0]


def test_it_goes_through_code_that_has_no_debug_information():
    names, lines = calls(fail(build("0"), "--url", "/sort"))
    assert names[:3] == ["innermost", "middle", "compare"] and names[-1] == "on_get"
    assert lines[3] == "" and len(names) > 4, "qsort is the C library's"


def test_who_called_nothing_is_found():
    names, _ = calls(fail(build("0"), "--url", "/null"))
    assert names == ["", "on_get"]


def test_a_stripped_program_has_addresses_at_least():
    stripped = compile_guest(SOURCE, flags=("-static", "-s", "-DSTART_FAILS='0'"))
    names, _ = calls(fail(stripped, "--url", "/deep"))
    assert names == ["", "", ""]


@pytest.mark.parametrize("kind", ["r", "s"])
def test_a_program_that_does_not_start_has_a_backtrace_and_a_core(tmp_path, kind):
    core = tmp_path / "core"
    printed = fail(build(kind), "--core", core)
    names, _ = calls(printed)
    assert names[:2] == ["innermost", "middle"] and "main" in names
    assert printed.splitlines()[-1].endswith(" in innermost+" + offset(printed))
    assert core.exists()


def offset(printed):
    return re.search(r"#0 .* in innermost\+(0x\w+)", printed)[1]


def test_the_core_has_what_the_program_had(tmp_path, program):
    core = tmp_path / "core"
    printed = fail(program, "--url", "/deep", "--core", core)
    assert f"core written: gdb {program} {core}" in printed
    assert list(tmp_path.iterdir()) == [core]
    with core.open("rb") as file:
        elf = ELFFile(file)
        assert elf["e_type"] == "ET_CORE"
        (notes,) = elf.iter_segments("PT_NOTE")
        kinds = [note["n_type"] for note in notes.iter_notes()]
        assert kinds == ["NT_PRSTATUS", "NT_PRPSINFO", "NT_AUXV", "NT_FPREGSET"]
        loads = list(elf.iter_segments("PT_LOAD"))
        rip = int(re.search(r"#0  (0x\w+)", printed)[1], 16)
        (code,) = [
            each
            for each in loads
            if each["p_vaddr"] <= rip < each["p_vaddr"] + each["p_memsz"]
        ]
        assert code["p_flags"] & 1
        end = max(each["p_offset"] + each["p_filesz"] for each in loads)
    assert core.stat().st_size == end


@pytest.mark.skipif(shutil.which("gdb", path="/usr/bin") is None, reason="no gdb here")
def test_gdb_shows_the_same_calls(tmp_path, program):
    core = tmp_path / "core"
    fail(program, "--url", "/deep", "--core", core)
    command = ["/usr/bin/gdb", "-q", "-nx", "-batch", "-ex", "bt", program, core]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LONG
    )
    names = re.findall(r"^#[0-2] .*?(?:in )?(\w+) \(", done.stdout, re.M)
    assert names[-3:] == ["innermost", "middle", "on_get"], done.stdout
    assert "SIGSEGV" in done.stdout


# Three threads: two wait where they can be found; the third fails, by what it has put
# far away, in pieces and with a gap between them.
THREADS = (
    PRELUDE
    + r"""
#include <pthread.h>
#include <sys/mman.h>
#define FAR 0x600000000000
static void *waits(void *arg) { for (;;) sleep(1000); }
__attribute__((noipa)) static void fails(char *far)
{
    sprintf(far, "far"), sprintf(far + (6 << 20), "farther");
    *(volatile char *)(far + (3 << 20)) = 1;
}
START
{
    pthread_t one;
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
    for (int i = 0; i < 2; i++) pthread_create(&one, 0, waits, 0);
    usleep(1000);
    mmap((void *)FAR, 8 << 20, PROT_READ | PROT_WRITE, flags, -1, 0);
    munmap((void *)(FAR + (3 << 20)), 4096);
    if (START_FAILS) fails((char *)FAR);
}
HANDLE { fails((char *)FAR); }
"""
)


@pytest.mark.skipif(shutil.which("gdb", path="/usr/bin") is None, reason="no gdb here")
@pytest.mark.parametrize("at_start", [0, 1], ids=["request", "start"])
def test_the_core_has_all_threads_and_far_memory(tmp_path, at_start):
    core = tmp_path / "core"
    flags = ("-static", "-pthread", "-g", f"-DSTART_FAILS={at_start}")
    program = compile_guest(THREADS, flags=flags)
    fail(program, "--core", core)
    asked = ("thread apply all bt", "x/s 0x600000000000", "x/s 0x600000600000")
    command = ["/usr/bin/gdb", "-q", "-nx", "-batch"]
    for each in asked:
        command += ["-ex", each]
    done = subprocess.run(
        [*command, program, core],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LONG,
    )
    assert len(re.findall(r"^Thread \d", done.stdout, re.M)) == 3, done.stdout
    assert len(re.findall(r"^#\d .* waits \(", done.stdout, re.M)) == 2, done.stdout
    assert re.search(r"^#0 .* fails \(", done.stdout, re.M), done.stdout
    assert '"far"' in done.stdout and '"farther"' in done.stdout


def test_a_request_over_its_time_has_a_core_too(tmp_path):
    core = tmp_path / "core"
    printed = fail(build("0"), "--url", "/spin", "--core", core)
    assert calls(printed)[0] == ["spin", "on_get"]
    assert core.exists()


def test_a_core_that_cannot_be_written_is_one_clear_line(tmp_path):
    printed = fail(build("0"), "--url", "/deep", "--core", tmp_path / "no" / "core")
    assert f"error: --core: cannot write {tmp_path}/no/core: No such file" in printed
    assert list(tmp_path.iterdir()) == []


def test_a_program_that_does_not_fail_has_no_core(tmp_path):
    core = tmp_path / "core"
    done = skerry("run", build("0"), "--core", core)
    assert (done.returncode, done.stderr) == (0, b"")
    assert not core.exists()
