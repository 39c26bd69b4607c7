"""Address space as the runtimes of languages take it: terabytes that are reserved, of
which little is used; and very many mappings. It runs on this Linux and in a guest."""

import os
from pathlib import Path

import pytest
from support.addresses import ADDRESSES
from support.guests import compile_guest
from support.oracle import differing, on_linux, results

pytestmark = pytest.mark.core

PROGRAM = (
    ADDRESSES
    + r"""
#define TB (1024 * GB)
#define RESERVE (MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE)
static unsigned long unit = GB; /* of what is reserved; less, where that is compared */
static long as_wished(char *p, char *wish) { return p == wish ? 0 : -1; }

/* As Go: arenas of 64 MB at an address of its own, and large tables of which it uses
 * pieces; what it does not need any more goes back. */
static void go(void)
{
    char *arena = (char *)0xc000000000;
    char *index = mmap(0, unit, PROT_NONE, RESERVE, -1, 0);
    size_t levels[] = {unit / 8, unit / 2, unit, unit * 4, unit * 32};
    for (int i = 0; i < 5; i++)
        IS(mmap(0, levels[i], PROT_NONE, RESERVE, -1, 0) != MAP_FAILED);
    RESULT(as_wished(mmap(arena, 64 * MB, PROT_NONE, RESERVE, -1, 0), arena));
    RESULT(as_wished(mmap(arena, 4 * MB, RW, RESERVE | MAP_FIXED, -1, 0), arena));
    RESULT(madvise(arena, 4 * MB, MADV_HUGEPAGE));
    RESULT(as_wished(mmap(index, PAGE, RW, RESERVE | MAP_FIXED, -1, 0), index));
    for (size_t i = 0; i < 4 * MB; i += MB)
        arena[i] = index[i / MB] = 1;
    RESULT(madvise(arena + MB, MB, MADV_DONTNEED));
    RESULT(madvise(arena, 4 * MB, MADV_NOHUGEPAGE));
    RESULT(madvise(arena + 3 * MB, MB, MADV_FREE));
    IS(arena[0] + arena[MB] + arena[2 * MB] + index[3]);
    RESULT(write(2, arena + 4 * MB, 1));
    RESULT(as_wished(mmap(arena + 4 * MB, 4 * MB, RW, RESERVE | MAP_FIXED, -1, 0),
        arena + 4 * MB));
    arena[8 * MB - 1] = 1;
    IS(arena[4 * MB] + arena[8 * MB - 1]);
}

/* As a JVM: a heap at a multiple of its size, for which more is reserved and the ends
 * are unmapped; pieces of it are committed, and taken back by reserving them again. */
static void jvm(void)
{
    size_t heap = unit * 4096, over = heap * 2;
    char *all = mmap(0, over, PROT_NONE, RESERVE, -1, 0), *from, *code;
    IS(all != MAP_FAILED);
    from = (char *)(((long)all + heap - 1) / heap * heap);
    RESULT(from > all ? munmap(all, from - all) : 0);
    IS(munmap(from + heap, all + over - from - heap));
    RESULT(as_wished(mmap(from, 2 * MB, RW, RESERVE | MAP_FIXED, -1, 0), from));
    RESULT(as_wished(mmap(from + heap / 2, 2 * MB, RW, RESERVE | MAP_FIXED, -1, 0),
        from + heap / 2));
    from[0] = from[2 * MB - 1] = from[heap / 2] = 3;
    IS(from[0] + from[MB] + from[2 * MB - 1] + from[heap / 2]);
    RESULT(as_wished(mmap(from, MB, PROT_NONE, RESERVE | MAP_FIXED, -1, 0), from));
    RESULT(write(2, from, 1));
    RESULT(as_wished(mmap(from, MB, RW, RESERVE | MAP_FIXED, -1, 0), from));
    IS(from[0] + from[2 * MB - 1]);
    code = mmap(0, 240 * MB, PROT_NONE, RESERVE, -1, 0);
    RESULT(mprotect(code, 4 * MB, RW | PROT_EXEC));
    memcpy(code + MB, "\xb8\x2a\0\0\0\xc3", 6);
    IS(((int (*)(void))(code + MB))());
    RESULT(mprotect(code, PAGE, PROT_NONE));
    RESULT(write(2, code, 1));
    RESULT(munmap(code + 100 * MB, 40 * MB));
    RESULT(mprotect(code + 96 * MB, 8 * MB, RW));
    RESULT(munmap(code, 240 * MB));
    RESULT(munmap(from, heap));
    RESULT(write(2, from, 1));
}

static void try_all(void)
{
    used = 0;
    go(); jvm();
    munmap((void *)0xc000000000, 64 * MB);
}

static void on_get(const char *url, const char *arg)
{
    if (url[1] == 'i')
        try_all();
    backend_response(200, "text/plain", 10, text, used);
}

int main(int argc, char **argv)
{
    if (argc == 1) {
        try_all();
        return write(1, text, used) < 0;
    }
    if (!strcmp(argv[2], "little"))
        unit = 16 * MB;
    if (!strcmp(argv[1], "at the start"))
        try_all();
    set_backend_get(on_get);
    wait_for_requests();
}
"""
)


@pytest.fixture(scope="module")
def linux():
    """What this Linux answers."""
    return on_linux(compile_guest(PROGRAM))


@pytest.fixture
def runtime(guest):
    """runtime(when, how much): the program, with 64 TB of addresses."""

    def start(when, much="much", name="test"):
        return guest(
            PROGRAM,
            whole=True,
            arguments=[when, much],
            address_space=1 << 46,
            name=name,
        )

    return start


@pytest.mark.parametrize("when", ["at the start", "in a request"])
def test_terabytes_are_reserved_as_on_linux(runtime, linux, when):
    vm = runtime(when)
    for _ in range(2):
        ours = results(vm.text(f"/{when}"))
        assert differing(ours, linux) == {}
        assert vm.vm.differing_pages() == 0


def pages_of(name):
    """Pages that the memory of the frozen machine (name) has."""
    files = Path("/proc/self/fd").iterdir()
    (found,) = {os.stat(each).st_blocks for each in files if f":{name} " in link(each)}
    return found * 512 // 4096


def link(path):
    try:
        return os.readlink(path)
    except FileNotFoundError:  # the descriptor that the directory was read with
        return ""


def test_what_is_reserved_and_not_used_costs_no_memory(runtime):
    runtime("at the start", "little", "little")
    runtime("at the start", "much", "much")
    # Apart, pieces need page tables of their own: 3 each, and there are a dozen.
    assert pages_of("much") - pages_of("little") < 40


MANY = (
    ADDRESSES
    + r"""
#define COUNT 20000ul
static char *map(unsigned long i, int access)
{
    return mmap(at(2 * i * PAGE), PAGE, access, FIXED, -1, 0);
}
static void make(void)
{
    for (unsigned long i = 0; i < COUNT; i++)
        map(i, i % 2 ? RW : PROT_READ);
}
static void on_get(const char *url, const char *arg)
{
    char answer[100];
    long wrong = 0;
    if (url[1] == 'm')
        make();
    for (unsigned long i = 0; i < COUNT; i += 1999) {
        wrong += reads(2 * i * PAGE) != 1;
        wrong += writes(2 * i * PAGE) != (i % 2 ? 1 : -EFAULT);
        wrong += reads((2 * i + 1) * PAGE) != -EFAULT;
    }
    if (url[1] == 'm') {
        munmap(at(0), COUNT * PAGE);
        wrong += reads(0) != -EFAULT;
        wrong += reads(COUNT * PAGE) != 1;
    }
    backend_response(200, "text/plain", 10, answer, sprintf(answer, "%ld", wrong));
}
int main(int argc, char **argv)
{
    if (!strcmp(argv[1], "kept"))
        make();
    set_backend_get(on_get);
    wait_for_requests();
}
"""
)


@pytest.mark.parametrize("when", ["kept", "made"])
def test_a_program_may_have_twenty_thousand_mappings(guest, when):
    vm = guest(MANY, whole=True, arguments=[when], limit=200)
    for _ in range(2):
        assert vm.text(f"/{when}") == "0"
        assert vm.vm.differing_pages() == 0
