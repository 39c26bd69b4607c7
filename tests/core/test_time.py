"""A program's clock is this machine's, and reading it takes no exit: the vDSO."""

import time
from collections.abc import Iterator

import pytest
from support.clones import ask
from support.guests import PRELUDE, Guest, compile_guest

pytestmark = pytest.mark.core

COMPILERS = {
    "glibc": ("gcc", ("-static",)),
    "glibc, static-PIE": ("gcc", ("-static-pie", "-fPIE")),
    "musl": ("musl-gcc", ("-static",)),
}
# Everything is in nanoseconds.
CLOCKS = {
    "realtime": time.CLOCK_REALTIME,
    "monotonic": time.CLOCK_MONOTONIC,
    "raw": time.CLOCK_MONOTONIC_RAW,
    "realtime_coarse": 5,
    "monotonic_coarse": 6,
    "boottime": time.CLOCK_BOOTTIME,
    "tai": time.CLOCK_TAI,
}

SOURCE = (
    r"""
#define _GNU_SOURCE
#include <link.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
"""
    + PRELUDE
    + r"""
static long ns(struct timespec t) { return t.tv_sec * 1000000000l + t.tv_nsec; }
static long now(int clock)
{
    struct timespec t;
    return clock_gettime(clock, &t) == 0 ? ns(t) : -1;
}
static long asked(int clock) /* the host, by a system call */
{
    struct timespec t;
    return syscall(SYS_clock_gettime, clock, &t) == 0 ? ns(t) : -1;
}
static long of_day(void)
{
    struct timeval t;
    return gettimeofday(&t, 0) == 0 ? t.tv_sec * 1000000000l + t.tv_usec * 1000 : -1;
}
static long resolution(int clock)
{
    struct timespec t;
    return clock_getres(clock, &t) == 0 ? ns(t) : -1;
}
/* Steps back among so many readings, of which every (mix)th is a system call. */
static long steps_back(int clock, long readings, long mix)
{
    long back = 0, last = 0;
    for (long i = 0; i < readings; i++) {
        long t = i % mix ? now(clock) : asked(clock);
        back += t < last;
        last = t;
    }
    return back;
}
static long booted;
static void measure(size_t n, struct virtbuffer buf[n], size_t res)
{
    long t = now(CLOCK_MONOTONIC);
    storage_return(&t, sizeof t);
}
START { booted = now(CLOCK_MONOTONIC); }
"""
)


def program(handle: str, kind: str = "glibc") -> bytes:
    compiler, flags = COMPILERS[kind]
    source = SOURCE + "HANDLE {" + handle + "}"
    return compile_guest(source, compiler, flags).read_bytes()


# Answers the clock whose number the URL ends with.
READ = 'reply("%ld", now(atoi(url + 1)));'


@pytest.fixture
def reader() -> Iterator[Guest]:
    with Guest(program(READ)) as made:
        yield made


@pytest.mark.parametrize("kind", COMPILERS)
def test_reading_the_clock_takes_no_exit(kind):
    handle = r"""
        static const int clocks[] = {0, 1, 4, 5, 6, 7, 11};
        long sum = 0;
        for (int i = 0; i < 100; i++)
            for (int k = 0; k < 7; k++)
                sum += now(clocks[k]) + of_day() + time(0);
        reply("%d", sum > 0);
    """
    with Guest(program(handle, kind)) as guest:
        for _ in range(3):
            assert guest.text() == "1"
            assert guest.exits == (1, 0)


def test_the_resolution_of_a_clock_is_this_machines():
    """musl asks the host for it."""
    handle = 'reply("%ld %ld", resolution(1), resolution(CLOCK_MONOTONIC_COARSE));'
    with Guest(program(handle)) as guest:
        told = [int(each) for each in guest.text().split()]
        assert guest.exits == (1, 0)
    assert told == [round(time.clock_getres(each) * 1e9) for each in (1, 6)]


@pytest.mark.parametrize("clock", CLOCKS)
def test_the_clock_of_a_program_is_this_machines(reader, clock):
    for _ in range(20):
        before = time.clock_gettime_ns(CLOCKS[clock])
        told = int(reader.text(f"/{CLOCKS[clock]}"))
        assert before <= told <= time.clock_gettime_ns(CLOCKS[clock])


def test_time_and_gettimeofday_are_this_machines():
    with Guest(program('reply("%ld %ld", of_day(), (long)time(0));')) as guest:
        before = time.time_ns()
        seconds = time.clock_gettime_ns(CLOCKS["realtime_coarse"]) // 10**9
        day, told = map(int, guest.text().split())
        assert before // 1000 * 1000 <= day <= time.time_ns()
        assert seconds <= told <= time.clock_gettime_ns(5) // 10**9


@pytest.mark.parametrize("clock", ["monotonic", "raw", "boottime"])
def test_the_clock_never_goes_back(clock):
    number = CLOCKS[clock]
    calls = f'reply("%ld", steps_back({number}, 1000000, 100000));'
    with Guest(program(calls), limit=60.0) as guest:
        assert guest.text() == "0"
        assert guest.exits == (11, 0)


def test_the_clock_and_system_calls_agree():
    """Each reading lies between the two system calls around it."""
    handle = r"""
        long wrong = 0;
        for (int i = 0; i < 100; i++)
            for (int clock = 0; clock < 2; clock++) {
                long before = asked(clock), told = now(clock), day = of_day();
                long after = asked(clock);
                wrong += told < before || told > after;
                wrong += clock == 0 && (day < before - 1000 || day > after);
            }
        reply("%ld", wrong);
    """
    with Guest(program(handle)) as guest:
        assert guest.text() == "0"


def test_a_clock_that_the_kernel_does_not_keep_for_programs_is_asked_for():
    handle = r"""
        struct timespec t;
        long cpu = now(CLOCK_PROCESS_CPUTIME_ID);
        int bad = clock_gettime(4711, &t), is_bad = bad == -1 && errno == EINVAL;
        reply("%d %d", cpu >= 0, is_bad);
    """
    source = "#include <errno.h>\n" + SOURCE + "HANDLE {" + handle + "}"
    with Guest(compile_guest(source).read_bytes()) as guest:
        assert guest.text() == "1 1"


def test_all_clones_have_one_clock(reader):
    """In whatever order they are asked, and reset between."""
    with reader.clone() as one, reader.clone() as other:
        times = [time.monotonic_ns()]
        for vm in (one, other, one, other, other, one):
            times.append(int(ask(vm, "/1").body))
        times.append(time.monotonic_ns())
    assert times == sorted(times)


def test_the_clock_goes_on_from_start_up():
    begin = time.monotonic_ns()
    with Guest(program('reply("%ld", booted);')) as guest:
        booted = int(guest.text())
        assert begin <= booted <= time.monotonic_ns()


def test_storage_has_the_same_clock():
    handle = r"""
        long there, before = now(1);
        storage_call(measure, 0, 0, &there, sizeof there);
        reply("%d", before <= there && there <= now(1));
    """
    with Guest(program(handle), storage=True) as guest:
        assert [guest.text() for _ in range(3)] == ["1"] * 3


def test_the_clock_goes_on_while_a_request_sleeps():
    handle = r"""
        long before = now(1), cpu = now(CLOCK_MONOTONIC_RAW);
        usleep(30000);
        reply("%ld %d", now(1) - before, now(CLOCK_MONOTONIC_RAW) > cpu);
    """
    with Guest(program(handle)) as guest:
        begin = time.monotonic_ns()
        slept, raw = map(int, guest.text().split())
        assert 30_000_000 <= slept <= time.monotonic_ns() - begin
        assert raw == 1


# As C libraries list what is loaded; then getcpu, which has nothing to say.
LISTED = r"""
static int listed;
static int look(struct dl_phdr_info *info, size_t size, void *unused)
{
    listed += info->dlpi_addr == getauxval(AT_SYSINFO_EHDR);
    return 0;
}
HANDLE {
    unsigned cpu = 9, node = 9;
    int (*getcpu)(unsigned *, unsigned *, void *) = (void *)0x10880;
    int result = getcpu(&cpu, &node, 0) | getcpu(0, 0, 0);
    dl_iterate_phdr(look, 0);
    reply("%d %d %u %u %.8s", listed, result, cpu, node,
          (char *)getauxval(AT_SYSINFO_EHDR) + 1);
}
"""


def test_a_c_library_lists_the_vdso():
    with Guest(compile_guest(SOURCE + LISTED).read_bytes()) as guest:
        assert guest.text() == "1 0 0 0 ELF\x02\x01\x01"


# The kernel's pages lie in front of its code, at 0x80000.
HOSTILE = r"""
#include <errno.h>
HANDLE {
    char *at = (char *)0x80000 - 4096 * atoi(url + 2);
    if (url[1] == 'w')
        *(volatile char *)at = 1;
    if (url[1] == 'r')
        for (int i = 0; i < 4096; i++)
            (void)*(volatile char *)(at + i);
    if (url[1] == 'x')
        ((void (*)(void))at)();
    if (url[1] == 'p')
        reply("%d %d", syscall(SYS_write, 1, at, 8) == -1 && errno == EFAULT,
              syscall(SYS_getrandom, at, 8, 0) == -1 && errno == EFAULT);
    reply("%ld", now(1));
}
"""


def test_a_program_cannot_change_the_clock():
    """Not by writing, and not by having the host write; to the code neither."""
    with Guest(compile_guest(SOURCE + HOSTILE).read_bytes()) as guest:
        assert guest.text("/p1") == "1 1"
        for url in ("/w1", "/w0", "/w112", "/x1"):
            assert guest.get(url).status == 500
            kind = "executing" if url == "/x1" else "writing"
            assert f"page fault {kind} 0x" in guest.failure
            before = time.monotonic_ns()
            assert before <= int(guest.text("/t")) <= time.monotonic_ns()


def test_a_page_that_the_kernel_does_not_keep_costs_the_request_that_reads_it():
    """Some pages are for other kinds of clocks: reading these fails
    the request only."""
    with Guest(compile_guest(SOURCE + HOSTILE).read_bytes()) as guest:
        found = set()
        for page in range(1, 5):
            found.add(guest.get(f"/r{page}").status)
            assert guest.failure in ("", "KVM_RUN: Bad address")
        assert found == {200, 500}
        before = time.monotonic_ns()
        assert before <= int(guest.text("/t")) <= time.monotonic_ns()


def test_clones_draw_different_random_numbers():
    """No state of random numbers is frozen with the program, but for the program's."""
    handle = r"""
        unsigned long n = 0;
        getrandom(&n, sizeof n, 0);
        reply("%lx", n);
    """
    source = "#include <sys/random.h>\n" + SOURCE + "HANDLE {" + handle + "}"
    with Guest(compile_guest(source).read_bytes()) as guest:
        assert len({guest.text() for _ in range(5)}) == 5
