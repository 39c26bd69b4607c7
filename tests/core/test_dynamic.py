"""Dynamically linked programs: their dynamic linker is loaded beside them, and finds
and maps the libraries from inside the guest, as it does on Linux."""

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from support.guests import PRELUDE, Guest, compile_guest
from support.oracle import results

from skerry.allowed import Policy
from skerry.alone import Alone
from skerry.config import AllowedPath, defaults
from skerry.errors import ProgramError
from skerry.log import Log
from skerry.message import Request
from skerry.native import NativeError
from skerry.start import start

pytestmark = pytest.mark.core
LINKED = Policy(linked=Path("/srv/app/program"))
SMALLEST = 16  # MB: what max_memory has to be at least
LARGE = ("-Wl,-z,max-page-size=0x200000",)  # 2 MB from each segment to the next

COUNTS = 'static int n; START {} HANDLE { reply("%d %s", ++n, getenv("KVM_NAME")); }'
STREAMS = r"""
#include <iostream>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>
static std::map<std::string, int> seen;
START { std::cerr << "main" << std::endl; }
HANDLE {
    std::ostringstream out;
    out << ++seen[url];
    try {
        seen.at("missing");
    } catch (const std::out_of_range &) {
        out << " test";
    }
    reply("%s", out.str().c_str());
}
"""
musl = pytest.mark.skipif(not shutil.which("musl-gcc"), reason="musl is not here")
BUILDS = [
    pytest.param(COUNTS, "gcc", (), id="C"),
    pytest.param(COUNTS, "gcc", ("-no-pie",), id="C, not PIE"),
    pytest.param(COUNTS, "gcc", ("-Wl,-z,now,-z,relro",), id="C, all at once"),
    pytest.param(COUNTS, "gcc", ("-static-pie",), id="C, static-PIE"),
    pytest.param(STREAMS, "g++", (), id="C++"),
    pytest.param(STREAMS, "g++", ("-no-pie",), id="C++, not PIE"),
    pytest.param(COUNTS, "musl-gcc", (), id="musl", marks=musl),
    pytest.param(COUNTS, "musl-gcc", ("-pie", "-fPIE"), id="musl, PIE", marks=musl),
]


@pytest.mark.parametrize(("source", "compiler", "flags"), BUILDS)
def test_a_dynamic_program_serves_from_copies(guest, source, compiler, flags):
    vm = guest(
        source, compiler=compiler, flags=flags, allowed=LINKED, max_memory=SMALLEST
    )
    assert [vm.text() for _ in range(3)] == ["1 test"] * 3


@pytest.mark.parametrize("flags", [(), ("-no-pie",), ("-static-pie",)])
def test_segments_that_are_far_apart_are_loaded(guest, flags):
    vm = guest(COUNTS, flags=(*flags, *LARGE), allowed=LINKED, max_memory=32)
    assert [vm.text() for _ in range(2)] == ["1 test"] * 2


# What a program can say of its own place in memory: one line each, "CALL = RESULT".
PLACES = r"""
#define _GNU_SOURCE
#include "kvm_api.h"
#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <link.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>
extern char _start[];
static const int constant = 7;
static const int *relocated = &constant; /* in .data */
static char text[1 << 14];
#define SHOW(call, ...) sprintf(text + strlen(text), call " = %ld\n", __VA_ARGS__)
#define IS(value) SHOW(#value, (long)(value))
static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}
static int each(struct dl_phdr_info *info, size_t size, void *unused)
{
    if (strstr(info->dlpi_name, "vdso"))
        return 0;
    SHOW("headers of '%s'", base_name(info->dlpi_name), (long)info->dlpi_phnum);
    return 0;
}
static const char *home_of(void *function)
{
    Dl_info info;
    return dladdr(function, &info) ? base_name(info.dli_fname) : "nowhere";
}
static void look(void)
{
    const ElfW(Phdr) *headers = (void *)getauxval(AT_PHDR);
    char self[4096] = "";
    dl_iterate_phdr(each, NULL);
    IS(getauxval(AT_ENTRY) == (uintptr_t)_start);
    IS(memcmp((void *)getauxval(AT_BASE), ELFMAG, SELFMAG));
    IS(headers[0].p_type == PT_PHDR);
    IS(getauxval(AT_PHNUM));
    IS(strcmp(home_of(puts), "libc.so.6"));
    IS(strcmp(home_of(dlopen), "libc.so.6"));
    IS(*relocated);
    IS(getauxval(AT_SECURE));
    IS(access("/etc/ld.so.preload", R_OK));
    IS(dlopen("libnot-there.so", RTLD_NOW) == NULL);
    IS(strstr(dlerror(), "cannot open shared object file") != NULL);
    void *math = dlopen("libm.so.6", RTLD_NOW);
    double (*root)(double) = (double (*)(double))dlsym(math, "sqrt");
    IS(root(49));
    IS(dlclose(math));
    IS(readlink("/proc/self/exe", self, sizeof self) > 0);
    IS(self[0] == '/');
}
static void on_get(const char *url, const char *arg)
{
    backend_response(200, "text/plain", 10, text, strlen(text));
}
int main(int argc, char **argv)
{
    look();
    if (IS_LINUX_MAIN())
        return puts(text) < 0;
    set_backend_get(on_get);
    wait_for_requests();
}
"""


@pytest.mark.parametrize("flags", [(), ("-no-pie",)])
def test_a_dynamic_program_finds_itself_as_on_linux(guest, flags):
    program = compile_guest(PLACES, flags=flags)
    native = subprocess.run([program], capture_output=True, check=True, text=True)
    vm = guest(PLACES, whole=True, flags=flags, allowed=LINKED)
    linux, ours = results(native.stdout.strip()), results(vm.text())
    assert len(linux) >= 17
    assert ours == linux


# --- libraries of its own ---

LIBRARY = r"""
static int n = 40;
__attribute__((constructor)) static void begin(void) { n++; }
int next(void) { return ++n; }
"""
USER = r"""
int next(void);
START { next(); }
HANDLE { int first = next(); reply("%d %d", first, next()); }
"""
OPENS = r"""
#include <dlfcn.h>
static int (*next)(void);
START {
    void *library = dlopen(getenv("LIBRARY"), RTLD_NOW);
    if (!library)
        exit(puts(dlerror()));
    next = (int (*)(void))dlsym(library, "next");
    next();
}
HANDLE { int first = next(); reply("%d %d", first, next()); }
"""


SHARED = ("-shared", "-fPIC", "-Wl,-soname,libnext.so")
ORIGIN = ("-Wl,-rpath,$ORIGIN/lib", "-Wl,--no-as-needed")


@pytest.fixture
def home(tmp_path) -> Path:
    """The directory of a program that has its library beside it."""
    library = compile_guest(LIBRARY, flags=SHARED)
    (tmp_path / "lib").mkdir()
    shutil.copy(library, tmp_path / "lib" / "libnext.so")
    program = compile_guest(PRELUDE + USER, flags=(*ORIGIN, str(library)))
    shutil.copy(program, tmp_path / "app")
    return tmp_path


def allow(directory: Path, linked: Path) -> Policy:
    allowed = AllowedPath(directory, str(directory), True, False)
    return Policy((allowed,), linked=linked)


def test_a_library_of_its_own_is_found_beside_the_program(home):
    app = home / "app"
    with Guest(app.read_bytes(), allowed=allow(home / "lib", app)) as vm:
        assert [vm.text() for _ in range(2)] == ["43 44"] * 2


def test_a_library_that_start_up_opens_is_part_of_every_copy(guest, home):
    vm = guest(
        OPENS,
        flags=(),
        allowed=allow(home / "lib", home / "app"),
        environment=[f"LIBRARY={home}/lib/libnext.so", "KVM_NAME=test"],
    )
    assert [vm.text() for _ in range(2)] == ["43 44"] * 2


def test_a_library_that_is_missing_is_named_with_the_places(home):
    app = home / "app"
    with pytest.raises(NativeError) as caught:
        Guest(app.read_bytes(), allowed=Policy(linked=app))
    assert caught.value.step == "start-up"
    assert "exited with status 127" in caught.value.reason
    named = f"its library libnext.so is not in {home}/lib, "
    assert named in caught.value.reason
    assert "allow its directory (allowed_paths)" in caught.value.reason
    assert "libnext.so: cannot open shared object file" in caught.value.__notes__[0]


def test_memory_that_has_libraries_in_it_is_not_kept_in_a_file(tmp_path):
    """Another version of a library would find data of this one."""
    config = replace(
        defaults("keeper", compile_guest(PRELUDE + COUNTS, flags=())),
        storage=True,
        storage_file=tmp_path / "storage",
    )
    with pytest.raises(ProgramError, match="storage_file: the program is dynamically"):
        start(config, Log())
    static = compile_guest(PRELUDE + COUNTS)
    with start(replace(config, filename=static), Log()) as started:
        assert started.storage


# --- access ---

# What a request does to memory that it may not use so, and the reason given.
BROKEN = {
    "code of the program": ("*(volatile char *)main = 1;", "page fault writing 0x4"),
    "code of a library": ("*(volatile char *)symbol = 1;", "page fault writing 0x"),
    "relocated pointers": ("*(void *volatile *)&table = 0;", "page fault writing 0x"),
    "data as code": ("((void (*)(void))&data)();", "page fault executing 0x"),
    "stack as code": ("char c = 0xc3; ((void (*)(void))&c)();", "fault executing 0x"),
}
TOUCHES = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
static char *symbol, data[] = {0xc3};
static void *const table[] = {&data, (void *)puts};
START { symbol = dlsym(RTLD_DEFAULT, "strtoul"); }
HANDLE {
    if (strcmp(url, "/x") == 0) {
        ACTION
    }
    reply("%d", *(volatile char *)main + *symbol + *(char *)table[0] ? 1 : 2);
}
"""


@pytest.mark.parametrize("kind", BROKEN)
def test_memory_of_a_dynamic_program_has_the_access_it_asks_for(guest, kind):
    action, reason = BROKEN[kind]
    vm = guest(
        TOUCHES.replace("ACTION", action),
        flags=("-Wl,-z,now,-z,relro",),
        allowed=LINKED,
    )
    assert vm.text("/")
    assert vm.get("/x").status == 500
    assert reason in vm.failure
    assert vm.text("/")


NESTED = r"""
static __attribute__((noinline)) int apply(int (*f)(int)) { return f(1); }
static __attribute__((noinline)) int twice(int n)
{
    int add(int m) { return m + n; }
    return apply(add);
}
static int at_start;
START { at_start = twice(41); }
HANDLE { int n = twice(6); reply("%d %d", at_start, n); }
"""


@pytest.mark.parametrize("flags", [("-static",), ("-static-pie",), ()])
def test_a_stack_is_executable_for_a_program_that_asks_for_it(guest, flags):
    vm = guest(NESTED, flags=(*flags, "-z", "execstack"), allowed=LINKED)
    assert vm.text() == "42 7"
    with pytest.raises(NativeError, match="page fault executing 0x"):
        guest(NESTED, flags=(*flags, "-z", "noexecstack"), allowed=LINKED)


# --- dynamic linkers that are none ---


def named(path: str) -> bytes:
    """A program whose dynamic linker is (path)."""
    flags = (f"-Wl,--dynamic-linker={path}",)
    return compile_guest(PRELUDE + COUNTS, flags=flags).read_bytes()


def refusal(elf: bytes, allowed: Policy | None) -> str:
    with pytest.raises(NativeError) as caught:
        Guest(elf, allowed=allowed)
    assert caught.value.step == "load"
    return caught.value.reason


STATIC = PRELUDE + COUNTS
LINKERS = {
    "a text": (lambda: b"text\n" * 99, "not an ELF file"),
    "empty": (lambda: b"", "not an ELF file"),
    "cut off": (
        lambda: Path("/lib64/ld-linux-x86-64.so.2").read_bytes()[:9999],
        "trun",
    ),
    "dynamic": (
        lambda: compile_guest(STATIC, flags=()).read_bytes(),
        "is itself dynamically linked",
    ),
    "in the program's place": (
        lambda: compile_guest(STATIC).read_bytes(),
        "segment at 0x400000, .* lies outside the program's memory",
    ),
    "too large": (lambda: b"\x7fELF" + bytes(17 << 20), "File too large"),
}


@pytest.mark.parametrize("kind", LINKERS)
def test_a_dynamic_linker_that_is_none_is_refused_by_name(tmp_path, kind):
    make, reason = LINKERS[kind]
    (tmp_path / "ld").write_bytes(make())
    allowed = Policy((AllowedPath(tmp_path / "ld", "/ld", False, False),))
    said = refusal(named("/ld"), allowed)
    assert said.startswith("the dynamic linker /ld")
    assert re.search(reason, said), said


def test_a_dynamic_linker_that_is_not_there_is_named(tmp_path):
    advice = "install it, allow it (allowed_paths), or link with -static"
    for allowed in (None, LINKED):
        said = refusal(named("/lib/ld-none.so"), allowed)
        assert said.startswith("the dynamic linker /lib/ld-none.so: No such file")
        assert advice in said


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("lib/ld.so", "'lib/ld.so', is relative"),
        ("/usr/lib", "/usr/lib: Is a directory: link again"),
        ("/usr/lib/../../etc/passwd", "/etc/passwd: No such file"),
        ("/etc/passwd", "/etc/passwd: No such file"),
    ],
)
def test_a_path_that_leads_to_no_dynamic_linker_is_refused(path, reason):
    assert reason in refusal(named(path), LINKED)


# --- what is read when ---

READS = r"""
#include <dlfcn.h>
#include <fcntl.h>
#include <unistd.h>
static const char *const paths[] = {"/usr/lib", "/etc/ld.so.cache", "/proc/self/exe",
                                    "/etc/passwd", "/etc/ld.so.preload"};
static char at_start[8], now[8];
static void look(char *found)
{
    char target[99];
    for (int i = 0; i < 5; i++)
        found[i] = "-+"[!access(paths[i], R_OK) ||
                        (i == 2 && readlink(paths[i], target, sizeof target) > 0)];
}
START { look(at_start); }
HANDLE {
    look(now);
    void *opened = dlopen("libm.so.6", RTLD_NOW);
    reply("%s %s %d %s", at_start, now, opened != NULL, getenv("LD_BIND_NOW"));
}
"""


@pytest.mark.parametrize(
    ("flags", "found"),
    [((), "+++-- ----- 0 1"), (("-static-pie",), "----- ----- 0 (null)")],
)
def test_only_the_start_of_a_dynamic_program_reads_libraries(flags, found):
    program = compile_guest(PRELUDE + READS, flags=flags)
    request = Request(b"GET", b"/", b"test", b"Host: test\r\n", b"", b"")
    with start(defaults("reads", program), Log()) as started:
        answer, _ = Alone(started, Log()).answer(request)
    assert answer.body.decode() == found
