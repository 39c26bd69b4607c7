"""Memory below max_memory: what is unmapped there faults, as on Linux."""

import pytest
from support.addresses import ADDRESSES
from support.guests import compile_guest
from support.oracle import MAIN, differing, on_linux, results

pytestmark = pytest.mark.core

# touch() and put() read and write; they return 0, or the signal and its code.
PROGRAM = (
    ADDRESSES
    + r"""
#include <setjmp.h>
#include <signal.h>
static sigjmp_buf back;
static volatile long fault;
static void on_fault(int number, siginfo_t *info, void *context)
{
    fault = number * 100 + info->si_code;
    siglongjmp(back, 1);
}
static long touch(char *p)
{
    if (sigsetjmp(back, 1))
        return fault;
    (void)*(volatile char *)p;
    return 0;
}
static long put(char *p)
{
    if (sigsetjmp(back, 1))
        return fault;
    *(volatile char *)p = 1;
    return 0;
}
static long calls(char *p) { return result(write(2, p, 1)); }
static char *map(size_t len)
{
    return mmap(0, len, RW, ANON, -1, 0);
}

static char *kept; /* 2 MB in use, with a hole behind its first page */
__attribute__((constructor)) static void begin(void)
{
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
    sigaction(SIGSEGV, &action, 0);
    kept = map(2 * MB);
    memset(kept, 7, 2 * MB);
    munmap(kept + PAGE, PAGE);
}

static void holes(void)
{
    IS(touch(kept) + kept[2 * PAGE]);
    IS(touch(kept + PAGE));
    IS(put(kept + 2 * PAGE - 1));
    IS(calls(kept + PAGE));
    RESULT(munmap(kept + MB, MB / 2));
    IS(touch(kept + MB));
    IS(put(kept + MB));
    IS(touch(kept + MB + MB / 2 - 1));
    IS(calls(kept + MB));
    IS(kept[MB - 1] + kept[MB + MB / 2]);
    RESULT(mprotect(kept + MB, PAGE, RW));
    RESULT(mprotect(kept, 2 * PAGE, PROT_READ));
    RESULT(mprotect(kept, 2 * MB, RW));
    IS(touch(kept + MB));
    RESULT(madvise(kept + MB, PAGE, MADV_DONTNEED));
    RESULT(mlock(kept + MB - PAGE, 2 * PAGE));
    RESULT(msync(kept + MB, PAGE, MS_SYNC));
    IS(mremap(kept + MB, PAGE, 2 * PAGE, MREMAP_MAYMOVE) == MAP_FAILED);
    IS(errno);
    RESULT(munmap(kept + MB, MB / 2));
    IS(mmap(kept + MB, PAGE, RW, NOREPLACE, -1, 0) == kept + MB);
    IS(touch(kept + MB) + kept[MB]);
    IS(put(kept + MB) + kept[MB]);
    IS(touch(kept + MB + PAGE));
    RESULT(munmap(kept + MB, PAGE));
    IS(touch(kept + MB));
}

static void advice(void)
{
    char *p = kept + 4 * PAGE;
    RESULT(madvise(kept, 3 * PAGE, MADV_DONTNEED));
    IS(kept[0] + kept[2 * PAGE]);
    IS(kept[3 * PAGE]);
    RESULT(mprotect(p, 2 * PAGE, PROT_NONE));
    IS(put(p));
    RESULT(mlock(p, PAGE));
    RESULT(munlock(p, PAGE));
    RESULT(msync(p, PAGE, MS_SYNC));
    RESULT(madvise(p, PAGE, MADV_DONTNEED));
    RESULT(mprotect(p, 2 * PAGE, RW));
    IS(p[0]);
    IS(p[PAGE]);
}

static void moves(void)
{
    char *p = kept + MB / 2, *q;
    strcpy(p, "first"), strcpy(p + 3 * PAGE, "last");
    IS(mremap(p, 4 * PAGE, 2 * PAGE, 0) == p);
    IS(touch(p + 2 * PAGE));
    IS(kept[MB / 2 + 4 * PAGE]);
    q = mremap(p, 2 * PAGE, 300 * PAGE, MREMAP_MAYMOVE);
    IS(strcmp(q, "first") + q[2 * PAGE] + q[300 * PAGE - 1]);
    IS(touch(p) == touch(p + PAGE));
    IS(touch(p));
    IS(mremap(q, 2 * PAGE, 3 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, p) == p);
    IS(strcmp(p, "first") + p[2 * PAGE]);
    IS(strcmp(p, "first") + touch(q + 2 * PAGE));
    RESULT(mprotect(p, PAGE, PROT_READ));
    IS(mremap(p, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, at(0)) == at(0));
    IS(strcmp(at(0), "first") + (put(at(0)) != 0));
    IS(touch(p));
    IS(mremap(at(0), PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, p) == p);
    IS(strcmp(p, "first") + (put(p) != 0) + touch(p + PAGE));
    IS(reads(0));
    RESULT(mremap(p, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, p));
    RESULT(mremap(p, PAGE, PAGE, MREMAP_FIXED, at(0)));
    RESULT(mremap(p, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, at(1)));
    RESULT(mremap(p, PAGE, PAGE, MREMAP_DONTUNMAP, 0));
    RESULT(mremap(p, PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, 0));
    RESULT(mremap(p, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, p + 1));
    p = kept + MB - 4 * PAGE, p[0] = 5;
    q = mremap(p, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, 0);
    IS(q[0] + q[PAGE - 1] + p[0]);
    IS(put(p));
    TRY(mmap, FAR, 2 * PAGE, RW, FIXED, -1, 0);
    at(0)[5] = 6;
    q = mremap(at(0), PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, 0);
    IS(q[5] + at(0)[5]);
    IS(mremap(at(0), PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, q)
        == q);
    IS(q[5]);
    RESULT(munmap(at(0), 2 * PAGE));
    TRY(mmap, FAR, 2 * PAGE, PROT_NONE, FIXED, -1, 0);
    RESULT(mlock(at(0), PAGE));
    RESULT(munlock(at(0), PAGE));
    RESULT(mprotect(at(PAGE), PAGE, PROT_READ));
    RESULT(mlock(at(0), 2 * PAGE));
    RESULT(mlock(at(PAGE), PAGE));
    RESULT(munmap(at(0), 2 * PAGE));
}

static void try_all(void)
{
    holes(); advice(); moves();
}
"""
    + MAIN
)


@pytest.fixture(scope="module")
def linux():
    """What this Linux answers."""
    return on_linux(compile_guest(PROGRAM))


@pytest.mark.parametrize("when", ["at the start", "in a request"])
def test_what_start_up_maps_and_anybody_unmaps_is_as_on_linux(guest, linux, when):
    vm = guest(PROGRAM, whole=True, arguments=[when])
    for _ in range(3):
        ours = results(vm.text(f"/{when}"))
        assert differing(ours, linux) == {}
        assert vm.vm.differing_pages() == 0
