"""Ordinary programs work: C and C++, glibc and musl, static and static-PIE."""

import struct
import time
from pathlib import Path

import pytest

from skerry.native import Stream

pytestmark = pytest.mark.core

# musl-gcc -static-pie makes a dynamic program; this is what it should do.
MUSL_PIE = "-static -fPIE -nostartfiles -Wl,-pie,--no-dynamic-linker"
MUSL_PIE += " -l:rcrt1.o -l:crti.o -l:crtn.o"
TOOLCHAINS = {
    "gcc": ("gcc", "-static"),
    "gcc, PIE": ("gcc", "-static-pie"),
    "gcc, -O0": ("gcc", "-static -O0"),
    "gcc, AVX2": ("gcc", "-static -O3 -mavx2 -mfma"),
    "musl": ("musl-gcc", "-static"),
    "musl, PIE": ("musl-gcc", MUSL_PIE),
    "g++": ("g++", "-static"),
    "g++, PIE": ("g++", "-static-pie"),
}


@pytest.fixture(params=TOOLCHAINS)
def made(request, guest):
    """made(source, **options): a program made by each toolchain in turn. It is C and
    C++."""
    compiler, flags = TOOLCHAINS[request.param]
    return lambda source, **options: guest(
        source, compiler=compiler, flags=tuple(flags.split()), **options
    )


# What a program of either language does, and what it answers.
MALLOC = r"""
static char *blocks[150];
static int check(void)
{
    int bad = 0;
    for (int i = 0; i < 150; i++) {
        size_t size = (size_t)i * i * 20 + 1; /* to 444 KB: some are mappings */
        blocks[i] = (char *)malloc(size);
        if (!blocks[i])
            return -1;
        memset(blocks[i], i, size);
        if (i % 3 == 2)
            free(blocks[i - 1]), blocks[i - 1] = NULL;
        if (i % 30 == 29)
            blocks[i] = (char *)realloc(blocks[i], size * 3);
    }
    for (int i = 0; i < 150; i++)
        for (int j = 0; blocks[i] && j <= i * i * 20; j += 97)
            bad += blocks[i][j] != (char)i;
    for (int i = 0; i < 150; i++)
        free(blocks[i]);
    char *zeros = (char *)calloc(3, 1 << 20);
    for (int i = 0; i < 3 << 20; i += 1001)
        bad += zeros[i] != 0;
    free(zeros);
    return bad;
}
static int at_start;
START { at_start = check(); }
HANDLE { reply("%d %d", at_start, check()); }
"""

STDIO = r"""
START {
    printf("ready %.2f\n", 1.5);
    fflush(stdout);
    fprintf(stderr, "careful\n");
}
HANDLE {
    char text[200], word[20];
    double x;
    sscanf("pi is 3.14159265", "%s is %lf", word, &x);
    snprintf(text, sizeof text, "%s %.3f %e %g %Lg", word, x, x * 1e100, 1e-7, 1.25L);
    reply("%s %d %5s|%-5s| %x %lld", text, -7, "ab", "cd", 255, 1LL << 40);
}
"""
STDIO_ANSWER = "pi 3.142 3.141593e+100 1e-07 1.25 -7    ab|cd   | ff 1099511627776"

THREAD_LOCAL = r"""
static __thread int counted = 40;
static __thread char zeros[5000];
START { counted++; zeros[4999] = 1; }
HANDLE { counted++; reply("%d %d %d", counted, zeros[4999], zeros[0]); }
"""

CONSTRUCTORS = r"""
static char order[10];
__attribute__((constructor(102))) static void second(void) { strcat(order, "2"); }
__attribute__((constructor(101))) static void first(void) { strcat(order, "1"); }
__attribute__((constructor)) static void third(void) { strcat(order, "3"); }
START { strcat(order, "m"); }
HANDLE { reply("%s", order); }
"""

LONG_MAIN = r"""
static unsigned sum;
START { for (unsigned i = 0; i < 3000000; i++) sum += i ^ (sum >> 3); }
HANDLE {
    unsigned again = 0;
    for (unsigned i = 0; i < 3000000; i++) again += i ^ (again >> 3);
    reply("%d", sum == again);
}
"""

LARGE_BSS = r"""
static char room[40 << 20];
START { room[0] = 1; room[(40 << 20) - 1] = 2; }
HANDLE { reply("%d %d %d", room[0], room[20 << 20], room[(40 << 20) - 1]); }
"""

# The compiler may not turn the recursion into a loop, nor use less stack.
DEEP_STACK = r"""
__attribute__((noinline)) static int deep(int levels)
{
    volatile char room[10000];
    room[0] = room[9999] = 1;
    return (levels ? deep(levels - 1) : 0) + room[0] * room[9999];
}
static int at_start;
START { at_start = deep(700); }
HANDLE { reply("%d %d", at_start, deep(700)); }
"""

SETJMP = r"""
#include <setjmp.h>
static jmp_buf back;
__attribute__((noinline)) static void leave(int n) { longjmp(back, n); }
START {}
HANDLE {
    volatile int rounds = 0;
    int n = setjmp(back);
    rounds++;
    if (n < 5)
        leave(n + 1);
    reply("%d %d", n, rounds);
}
"""

VECTORS = r"""
#include <immintrin.h>
static float a[1024], b[1024];
static float plain(void)
{
    float sum = 0;
    for (int i = 0; i < 1024; i++)
        sum += a[i] * b[i];
    return sum;
}
__attribute__((target("avx"))) static float avx(void)
{
    __m256 sum = _mm256_setzero_ps();
    for (int i = 0; i < 1024; i += 8)
        sum = _mm256_add_ps(
            sum, _mm256_mul_ps(_mm256_loadu_ps(a + i), _mm256_loadu_ps(b + i)));
    float part[8], all = 0;
    _mm256_storeu_ps(part, sum);
    for (int i = 0; i < 8; i++)
        all += part[i];
    return all;
}
__attribute__((target("avx512f"))) static float avx512(void)
{
    __m512 sum = _mm512_setzero_ps();
    for (int i = 0; i < 1024; i += 16)
        sum = _mm512_fmadd_ps(_mm512_loadu_ps(a + i), _mm512_loadu_ps(b + i), sum);
    float part[16], all = 0;
    _mm512_storeu_ps(part, sum);
    for (int i = 0; i < 16; i++)
        all += part[i];
    return all;
}
START { for (int i = 0; i < 1024; i++) a[i] = i % 7 - 3, b[i] = i % 11 - 4; }
HANDLE {
    __builtin_cpu_init();
    int has = __builtin_cpu_supports("avx"), has512 = __builtin_cpu_supports("avx512f");
    reply("%.0f %.0f %.0f", plain(), has ? avx() : -1, has512 ? avx512() : -1);
}
"""

SUBJECTS = {
    "malloc": (MALLOC, "0 0"),
    "stdio": (STDIO, STDIO_ANSWER),
    "thread-local storage": (THREAD_LOCAL, "42 1 0"),
    "constructors": (CONSTRUCTORS, "123m"),
    "long main": (LONG_MAIN, "1"),
    "large bss": (LARGE_BSS, "1 0 2"),
    "deep stack": (DEEP_STACK, "701 701"),
    "setjmp": (SETJMP, "5 6"),
}


@pytest.mark.parametrize("subject", SUBJECTS)
def test_ordinary_programs_work(made, subject):
    source, answer = SUBJECTS[subject]
    vm = made(source)
    assert [vm.text(), vm.text()] == [answer, answer]


def test_vector_instructions_work(made):
    """... and give what plain code gives; a processor without them is not an excuse."""
    answer = sum((i % 7 - 3) * (i % 11 - 4) for i in range(1024))
    flags = (
        Path("/proc/cpuinfo").read_text().partition("flags")[2].splitlines()[0].split()
    )
    wanted = [answer, *(answer if flag in flags else -1 for flag in ("avx", "avx512f"))]
    assert made(VECTORS).text() == " ".join(map(str, wanted))


def test_standard_output_and_error_are_lines_of_the_program(made):
    vm = made(STDIO)
    assert (Stream.STDOUT, "ready 1.50") in vm.lines()
    assert (Stream.STDERR, "careful") in vm.lines()


ARGUMENTS = r"""
#include "kvm_api.h"
#include <sys/auxv.h>
extern char **environ;
static char text[4000];
static unsigned long random_bytes;
static void add(const char *s) { strcat(strcat(text, s), "|"); }
static void on_get(const char *url, const char *arg)
{
    if (url[1] == 'r')
        snprintf(text, sizeof text, "%lx", random_bytes);
    backend_response(200, "text/plain", 10, text, strlen(text));
}
int main(int argc, char **argv)
{
    for (int i = 0; i <= argc; i++)
        add(argv[i] ? argv[i] : "END");
    for (char **e = environ; *e; e++)
        add(*e);
    add(getenv("SECOND") ? getenv("SECOND") : "");
    add((const char *)getauxval(AT_EXECFN));
    snprintf(text + strlen(text), 100, "%lu %lu %lu %d %d", getauxval(AT_PAGESZ),
             getauxval(AT_UID), getauxval(AT_SECURE), getauxval(AT_PHDR) != 0,
             *(char *)(getauxval(AT_ENTRY) & ~0xfffUL) != 1);
    memcpy(&random_bytes, (void *)getauxval(AT_RANDOM), 8);
    set_backend_get(on_get);
    wait_for_requests();
}
"""


def test_programs_get_their_arguments_and_environment(made):
    environment = ["KVM_NAME=my name", "SECOND=2=2"]
    vm = made(ARGUMENTS, whole=True, name="prog", environment=environment)
    assert vm.text() == (
        "prog|state|request|END|KVM_NAME=my name|SECOND=2=2|KVM_TYPE=request|"
        "2=2|prog|4096 0 0 1 1"
    )


COUNTS = r"""
#include "kvm_api.h"
static int strings, bytes;
static void on_get(const char *url, const char *arg)
{
    char text[50];
    int len = snprintf(text, sizeof text, "%d %d", strings, bytes);
    backend_response(200, "text/plain", 10, text, (size_t)len);
}
int main(int argc, char **argv)
{
    for (strings = argc; argc--; argv++)
        bytes += strlen(*argv);
    set_backend_get(on_get);
    wait_for_requests();
}
"""


BARE = r"""
#include "kvm_api.h"
uint64_t found[3];
__attribute__((used)) static void on_get(const char *url, const char *arg)
{
    backend_response(200, "text/plain", 10, found, sizeof found);
}
__attribute__((used)) static void begin(void)
{
    set_backend_get(on_get);
    wait_for_requests();
}
__asm__(".globl _start\n_start:\n"
        "mov %rsp, found(%rip)\n mov %rdx, 8+found(%rip)\n"
        "pushfq\n popq 16+found(%rip)\n call begin\n");
"""


def test_a_program_starts_as_the_abi_says(guest):
    """psABI 3.4.1: an aligned stack, nothing to call at the end, plain flags."""
    vm = guest(BARE, whole=True, flags=("-static", "-nostartfiles"))
    stack, at_exit, flags = struct.unpack("3Q", vm.get().body)
    assert (stack % 16, at_exit, flags & ~0x202) == (0, 0, 0)


def test_programs_get_configured_arguments(guest):
    """... up to the bounds of what fits: 1024 strings and half of the stack."""
    many = ["x" * 3000] * 900
    for arguments in (["a", "", "b c", "ä"], many):
        vm = guest(COUNTS, whole=True, name="prog", arguments=arguments)
        total = sum(len(s.encode()) for s in arguments) + 4
        assert vm.text() == f"{len(arguments) + 1} {total}"


def test_every_program_has_its_own_random_bytes(made):
    """AT_RANDOM is what stack protectors and hash tables are seeded with."""
    assert made(ARGUMENTS, whole=True).text("/r") != made(ARGUMENTS, whole=True).text(
        "/r"
    )


RANDOM = r"""
#include <sys/random.h>
START {}
HANDLE {
    unsigned long a[50] = {0}, n = 0;
    long got = getrandom(a, sizeof a, 0) + getrandom(a + 40, 80, GRND_NONBLOCK);
    for (int i = 0; i < 50; i++)
        n += a[i] == 0;
    reply("%ld %lu %lx", got, n, a[0]);
}
"""


def test_random_numbers_differ_in_every_request(made):
    vm = made(RANDOM)
    first, second = vm.text().split(), vm.text().split()
    assert first[:2] == second[:2] == ["480", "0"]
    assert first[2] != second[2]


CLOCKS = r"""
#include <sys/time.h>
#include <time.h>
static double seconds(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}
START {}
HANDLE {
    struct timespec pause = {0, 2000000};
    struct timeval now;
    double before = seconds(CLOCK_MONOTONIC);
    nanosleep(&pause, NULL);
    gettimeofday(&now, NULL);
    reply("%ld %ld %.0f %d", (long)time(NULL), (long)now.tv_sec,
          seconds(CLOCK_REALTIME), seconds(CLOCK_MONOTONIC) - before >= 0.002);
}
"""


def test_programs_know_the_time(made):
    vm = made(CLOCKS)
    before = time.time()
    *clocks, slept = vm.text().split()
    after = time.time()
    assert all(int(before) <= int(clock) <= after + 1 for clock in clocks)
    assert slept == "1"


def test_a_request_may_have_threads(made):
    vm = made(
        "#include <pthread.h>\nstatic void *run(void *p) { return p; }\nSTART {}"
        "HANDLE { pthread_t t; void *p; pthread_create(&t, NULL, run, (void *)url);"
        '  pthread_join(t, &p); reply("%d", p == (void *)url); }'
    )
    assert [vm.text(), vm.text()] == ["1", "1"]


EXCEPTIONS = r"""
#include <stdexcept>
#include <string>
#include <vector>
struct tracer {
    std::string *log;
    ~tracer() { *log += "~"; }
};
static int deep(int n, std::string *log)
{
    tracer t{log};
    if (n == 0)
        throw std::out_of_range("deep");
    return deep(n - 1, log) + 1;
}
static std::string at_start;
static std::string work(void)
{
    std::string log;
    try {
        deep(3, &log);
    } catch (const std::logic_error &e) {
        log += e.what();
    }
    try {
        try {
            std::vector<int>(3).at(7);
        } catch (...) {
            throw std::runtime_error("again");
        }
    } catch (const std::exception &e) {
        log += e.what();
    }
    try {
        throw 42;
    } catch (int n) {
        log += std::to_string(n);
    }
    return log;
}
START { at_start = work(); }
HANDLE { reply("%s %s", at_start.c_str(), work().c_str()); }
"""

STREAMS = r"""
#include <iomanip>
#include <iostream>
#include <map>
#include <sstream>
START { std::cout << "ready " << 1.5 << std::endl; std::cerr << "careful\n"; }
HANDLE {
    std::istringstream in("one 1 two 2 three 3.5");
    std::map<std::string, double> found;
    std::string name;
    double value;
    while (in >> name >> value)
        found[name] = value;
    std::ostringstream out;
    for (const auto &[key, n] : found)
        out << key << "=" << std::setprecision(2) << std::fixed << n << ";";
    out << std::hex << 255;
    reply("%s", out.str().c_str());
}
"""

OBJECTS = r"""
#include <memory>
#include <string>
static std::string order;
struct thing {
    std::string name;
    thing(const char *n) : name(n) { order += n; }
};
static thing a("a"), b("b");
static thing &lazy(void) { static thing t("lazy"); return t; }
static thread_local thing local("local");
struct base { virtual ~base() {} virtual int kind() { return 1; } };
struct derived : base { int kind() override { return 2; } };
START { order += "main"; local.name += "!"; }
HANDLE {
    lazy(), lazy();
    std::unique_ptr<base> p(new derived);
    reply("%s %s %d %d", order.c_str(), local.name.c_str(), p->kind(),
          dynamic_cast<derived *>(p.get()) != nullptr);
}
"""

CPP = {
    "exceptions": (EXCEPTIONS, "~~~~deepagain42 ~~~~deepagain42"),
    "iostreams": (STREAMS, "one=1.00;three=3.50;two=2.00;ff"),
    "objects": (OBJECTS, "abmainlocallazy local! 2 1"),
}
made_by_gpp = pytest.mark.parametrize("made", ["g++", "g++, PIE"], indirect=True)


@made_by_gpp
@pytest.mark.parametrize("subject", CPP)
def test_cpp_programs_work(made, subject):
    source, answer = CPP[subject]
    vm = made(source)
    assert [vm.text(), vm.text()] == [answer, answer]


@made_by_gpp
def test_cpp_streams_are_lines_of_the_program(made):
    lines = made(STREAMS).lines()
    assert (Stream.STDOUT, "ready 1.5") in lines
    assert (Stream.STDERR, "careful") in lines


@made_by_gpp
def test_an_exception_that_nobody_catches_fails_one_request(made):
    vm = made(
        "#include <stdexcept>\nSTART {} HANDLE {"
        ' if (url[1]) throw std::runtime_error("lost"); reply("fine"); }'
    )
    assert vm.get("/throw").status == 500
    assert "SIGABRT" in vm.failure
    assert any("lost" in text for _, text in vm.lines())
    assert vm.text() == "fine"
