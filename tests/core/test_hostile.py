"""Hostile guests: whatever a program does, its request ends with the right status and a
reason, the next request is right, and the host is as it was."""

import re
from collections.abc import Callable, Iterator

import pytest
from support.clones import EMULATED, FAILED
from support.guests import MB, PRELUDE, Guest, compile_guest
from support.leaks import Held

from skerry.message import Request

pytestmark = pytest.mark.core

SYSTEM_CALLS = 10_000 if EMULATED else 100_000
ERROR = 503  # what on_error answers with


@pytest.fixture(scope="module")
def nothing_left() -> Iterator[None]:
    """The leak count: after all tests of this file the host holds what it held."""
    with program('START {} HANDLE { reply("hello"); }') as first:
        first.text()
    before = Held.now()
    yield
    Held.now().assert_same(before)


def program(source: str, on_error: bool = False, **options: object) -> Guest:
    """A started program; with (on_error) it answers for requests that failed."""
    flags = ("-static", "-DON_ERROR") if on_error else ("-static",)
    return Guest(compile_guest(PRELUDE + source, flags=flags).read_bytes(), **options)


Start = Callable[[str], list[Guest]]


@pytest.fixture(scope="module")
def programs(nothing_left: None) -> Iterator[Start]:
    """programs(source): (source), started without on_error and with it, only once."""
    started: dict[str, list[Guest]] = {}

    def start(source: str) -> list[Guest]:
        if source not in started:
            text = ON_ERROR + source
            started[source] = [
                program(text, on_error, storage=True) for on_error in (False, True)
            ]
        return started[source]

    yield start
    for pair in started.values():
        for guest in pair:
            guest.close()


ON_ERROR = r"""
static void start_hostile(void);
static void on_error(const char *url, const char *arg, const char *exception)
{
    char text[512];
    const int len = snprintf(text, sizeof text, "error: %s", exception);
    backend_response(503, "text/plain", 10, text, len);
}
START {
#ifdef ON_ERROR
    set_on_error(on_error);
#endif
    start_hostile();
}
#define DEEDS static void start_hostile(void) {}
"""


def assert_hello(guest: Guest) -> None:
    """The next request is right."""
    assert guest.text("/hello") == "hello"


def assert_fails(guest: Guest, url: str, reason: str) -> None:
    """A GET of (url) fails with a reason that matches, and answers as it should."""
    answer = guest.get(url)
    assert re.search(reason, guest.failure), (url, answer, guest.failure)
    assert (answer.status, answer.body) in [
        FAILED,
        (ERROR, b"error: " + guest.failure.encode()),
    ]
    assert guest.discarded


def assert_survives(guests: list[Guest], url: str, reason: str) -> None:
    """The deed of (url) fails for (reason) with and without on_error, or it may be
    allowed here if (reason) is "": then a status is all that is asked for."""
    for guest, status in zip(guests, (500, ERROR), strict=True):
        if reason:
            assert_fails(guest, url, reason)
        answer = guest.get(url)
        assert answer.status == status or (answer.status == 200 and not reason)
        assert_hello(guest)


# --- Instructions ---

GP, UD = "general protection fault", "illegal instruction"
REFUSED = f"{GP}|{UD}"
FAULT = "page fault"
WILD = "mov $1, %eax; shl $63, %rax; "
FLAGS = "pushfq; orl ${}, (%rsp); popfq; "

# What is done, and what the reason says; "" is for what one processor or the other lets
# ring 3 do.
INSTRUCTIONS = {
    # stopping the machine
    "hlt": ("hlt", GP),
    "cli": ("cli", GP),
    "sti": ("sti", GP),
    "cli and loop": ("cli; 1: jmp 1b", GP),
    "ud2": ("ud2", UD),
    "monitor": ("monitor", REFUSED),
    "mwait": ("mwait", REFUSED),
    # the processor's own state
    "lgdt": ("lgdt (%rsp)", GP),
    "lidt": ("lidt (%rsp)", GP),
    "lldt": ("lldt %ax", GP),
    "ltr": ("mov $0x30, %eax; ltr %ax", GP),
    "sgdt": ("sub $16, %rsp; sgdt (%rsp); add $16, %rsp", ""),
    "smsw": ("smsw %ax", ""),
    "lmsw": ("lmsw %ax", GP),
    "read cr0": ("mov %cr0, %rax", GP),
    "read cr3": ("mov %cr3, %rax", GP),
    "write cr0": ("mov %rax, %cr0", GP),
    "write cr3": ("mov %rax, %cr3", GP),
    "write cr4": ("mov %rax, %cr4", GP),
    "write cr8": ("mov %rax, %cr8", GP),
    "write dr7": ("mov %rax, %dr7", GP),
    "read dr7": ("mov %dr7, %rax", GP),
    "wrmsr": ("mov $0xc0000080, %ecx; xor %eax, %eax; cdq; wrmsr", GP),
    "rdmsr": ("mov $0xc0000080, %ecx; rdmsr", GP),
    "rdpmc": ("xor %ecx, %ecx; rdpmc", GP),
    "rdtsc": ("rdtsc", ""),
    "xsetbv": ("xor %ecx, %ecx; xor %edx, %edx; mov $7, %eax; xsetbv", GP),
    "swapgs": ("swapgs", GP),
    "clts": ("clts", GP),
    "invd": ("invd", GP),
    "wbinvd": ("wbinvd", GP),
    "invlpg": ("invlpg (%rsp)", GP),
    "stac": ("stac", UD),
    "clac": ("clac", UD),
    "wrgsbase upper half": (
        "mov $0xffff800000000000, %rax; wrgsbase %rax; mov %gs:0, %rax",
        FAULT,
    ),
    "wrfsbase non-canonical": (WILD + "or $1, %rax; wrfsbase %rax", GP),
    # the ways into a kernel
    "sysret": ("xor %ecx, %ecx; sysretq", GP),
    "sysexit": ("xor %ecx, %ecx; sysexit", REFUSED),
    "sysenter": ("mov $39, %eax; sysenter", REFUSED),
    "iret to ring 0": (
        "push $0x10; push %rsp; pushfq; push $0x08; lea 1f(%rip), %rax; push %rax;"
        "iretq; 1: nop",
        GP,
    ),
    "vmcall": ("mov $9, %eax; vmcall", ""),
    "vmmcall": ("mov $9, %eax; vmmcall", ""),
    "vmrun": ("vmrun", REFUSED),
    "vmlaunch": ("vmlaunch", REFUSED),
    # flags
    "single step": (FLAGS.format(0x100) + "nop; nop", "debug exception"),
    "nested task": (FLAGS.format(0x4000) + "nop", ""),
    "nested task and iret": (FLAGS.format(0x4000) + "iretq", GP),
    "alignment": (FLAGS.format(0x40000) + "mov 1(%rsp), %rax", "alignment check"),
    "alignment and answer": (FLAGS.format(0x40000), ""),
    "direction and answer": ("std", ""),
    "I/O privilege and cli": (FLAGS.format(0x3000) + "cli", GP),
    "I/O privilege and out": (FLAGS.format(0x3000) + "out %al, $0x80", GP),
    "all flags": ("push $-1; popfq; nop", ""),
    # arithmetic
    "division by zero": ("xor %ecx, %ecx; mov $1, %eax; cdq; div %ecx", "division"),
    "division overflow": ("mov $1, %edx; mov $1, %ecx; div %ecx", "division"),
    "x87": (
        "push $0; fldcw (%rsp); pop %rax; fldz; fld1; fdiv %st(1), %st; fwait",
        "x87 error",
    ),
    "SSE": (
        "push $0; ldmxcsr (%rsp); pop %rax; xorps %xmm0, %xmm0; divss %xmm0, %xmm0",
        "SIMD floating-point error",
    ),
    "bad mxcsr": ("push $-1; ldmxcsr (%rsp); pop %rax", REFUSED),
    "bad xrstor": (
        "sub $16384, %rsp; and $-64, %rsp; movl $-1, 520(%rsp);"
        "mov $-1, %eax; mov $-1, %edx; xrstor (%rsp)",
        REFUSED,
    ),
    # memory
    "non-canonical read": (WILD + "mov (%rax), %rax", GP),
    "non-canonical stack": (WILD + "mov %rax, %rsp; push %rax", f"stack fault|{GP}"),
    "non-canonical jump": (WILD + "jmp *%rax", GP),
    "null read": ("xor %eax, %eax; mov (%rax), %rax", FAULT + " reading 0x0 "),
    "null write": ("xor %eax, %eax; mov %rax, 8(%rax)", FAULT + " writing 0x8 "),
    "null call": ("xor %eax, %eax; call *%rax", FAULT + " executing 0x0 "),
    "no stack": ("xor %esp, %esp; push %rax", FAULT + " writing"),
    "no stack at an exception": ("xor %esp, %esp; ud2", UD),
    "wild stack at an exception": (WILD + "mov %rax, %rsp; ud2", UD),
    "kernel stack at an exception": ("mov $0x9000, %esp; ud2", UD),
    "endless stack": ("1: push %rax; jmp 1b", FAULT + " writing"),
    "executing the stack": ("jmp *%rsp", FAULT + " executing"),
    "writing code": ("lea 0(%rip), %rax; movb $0x90, (%rax)", FAULT + " writing"),
    "long instruction": (".fill 20, 1, 0x66; nop", REFUSED),
    "locked nop": (".byte 0xf0, 0x90", UD),
    # system calls with nothing right but their number
    "system call without stack": (
        "mov $39, %eax; xor %esp, %esp; syscall; ud2",
        UD,
    ),
    "system call with a wild stack": (
        WILD + "mov %rax, %rsp; mov $39, %eax; syscall; ud2",
        UD,
    ),
    "system call on the kernel's stack": (
        "mov $39, %eax; mov $0x9000, %esp; syscall; ud2",
        UD,
    ),
    "system call from the stub": (
        "mov $39, %eax; mov $64, %ecx; mov $0x5000, %edx; jmp *%rdx",
        FAULT + " executing",
    ),
    "host call with a wild stack": (
        WILD + "mov %rax, %rsp; mov $0x10706, %eax; out %eax, $0; ud2",
        UD,
    ),
}

# What QEMU's emulation does not check, unlike all processors.
UNCHECKED = [
    "wrfsbase non-canonical",
    "alignment",
    "SSE",
    "bad mxcsr",
    "iret to ring 0",
]
UNCHECKED = UNCHECKED if EMULATED else []

DEEDS = (
    "DEEDS\n"
    + "".join(
        f"__attribute__((naked, noinline)) static void deed{number}(void)"
        f'{{ asm("{code}; ret"); }}\n'
        for number, (code, _) in enumerate(INSTRUCTIONS.values())
    )
    + "static void (*const deeds[])(void) = {"
    + ", ".join(f"deed{number}" for number in range(len(INSTRUCTIONS)))
    + "};"
    + r"""
    HANDLE {
        if (url[1] != 'h') {
            deeds[atoi(url + 1)]();
            asm volatile("cld; pushfq; andl $~0x40100, (%%rsp); popfq" : : : "cc");
        }
        reply("hello");
    }
    """
)


@pytest.mark.parametrize("name", INSTRUCTIONS)
def test_an_instruction_harms_nobody_else(programs, name):
    number = list(INSTRUCTIONS).index(name)
    reason = "" if name in UNCHECKED else INSTRUCTIONS[name][1]
    assert_survives(programs(DEEDS), f"/{number}", reason)


INTERRUPTS = r"""
DEEDS
extern const char interrupts[];
asm(".pushsection .text; interrupts:; .set n, 0; .rept 256;"
    ".byte 0xcd, n, 0xc3, 0x90; .set n, n + 1; .endr; .popsection");
HANDLE {
    if (url[1] != 'h')
        asm volatile("sub $128, %%rsp; call *%0; add $128, %%rsp"
                     : : "r"(interrupts + 4 * atoi(url + 1)), "a"(0x12345)
                     : "memory");
    reply("hello");
}
"""


def test_every_interrupt_is_a_fault_or_nothing(programs):
    plain, forgiving = programs(INTERRUPTS)
    known = {3: "breakpoint", 4: "overflow"}
    for number in range(256):
        guest = forgiving if number % 2 else plain
        if number in range(23, 32) and guest.get(f"/{number}").status == 200:
            continue  # a software KVM answers its guests' CPUID in one of these
        assert_fails(guest, f"/{number}", f"{known.get(number, GP)}|{REFUSED}")
    assert_hello(plain)
    assert_hello(forgiving)


PORTS = r"""
DEEDS
static char room[65536];
/* /HOW/PORT. eax and all that a host call reads are those of an unknown call. */
HANDLE {
    const unsigned port = strchr(url + 1, '/') ? atoi(strchr(url + 1, '/') + 1) : 0;
    switch (url[1]) {
#define TO(letter, code) \
    case letter: asm volatile(code : : "a"(0x12345), "d"(port) : "memory"); break
#define STRING(letter, code) \
    case letter: asm volatile("rep " code \
        : : "a"(0x12345), "d"(port), "c"(3), "S"(room), "D"(room) : "memory"); break
        TO('1', "outb %%al, %%dx");
        TO('2', "outw %%ax, %%dx");
        TO('4', "outl %%eax, %%dx");
        TO('a', "inb %%dx, %%al");
        TO('b', "inw %%dx, %%ax");
        TO('d', "inl %%dx, %%eax");
        STRING('x', "outsb");
        STRING('y', "outsw");
        STRING('z', "outsl");
        STRING('p', "insb");
        STRING('q', "insw");
        STRING('r', "insl");
    }
    reply("hello");
}
"""
OURS = {("4", 0), ("z", 0), ("1", 1), ("x", 1)}  # a host call, and a system call
PORT_NUMBERS = [*range(12), 0x20, 0x60, 0x64, 0x70, 0x80, 0x8E, 0x9F, 0x3F8, 0xCF8]


@pytest.mark.parametrize("how", "124abdxyzpqr")
def test_every_port_but_ours_is_refused(programs, how):
    plain, forgiving = programs(PORTS)
    for number in [*PORT_NUMBERS, 0x402, 0x510, 0xFFFC, 0xFFFF]:
        guest = forgiving if number % 2 else plain
        if (how, number) in OURS:
            assert guest.text(f"/{how}/{number}") == "hello"
        else:
            reason = "used port 0x" if number < 4 else GP
            assert_fails(guest, f"/{how}/{number}", f"{reason}|{GP}")
    assert_hello(plain)
    assert_hello(forgiving)


def test_input_from_a_port_into_kernel_pages_changes_nothing(programs):
    source = r"""
    DEEDS
    HANDLE {
        if (url[1] != 'h')
            asm volatile("rep insb" : : "d"(0), "c"(atol(url + 1)), "D"(0x1000ul));
        reply("hello");
    }
    """
    for count in (1, 16, 4096, 1 << 40):
        assert_survives(programs(source), f"/{count}", f"used port 0x0|{FAULT}")


# --- The kernel's pages, and selectors ---

PAGES = r"""
DEEDS
/* /HOW/ADDRESS */
HANDLE {
    char *volatile at = (char *)strtoul(strchr(url + 1, '/') ? url + 3 : "0", NULL, 0);
    volatile char byte = 0;
    switch (url[1]) {
    case 'r': byte = *at; break;
    case 'w': *at = 1; break;
    case 'a': __sync_fetch_and_add(at, 1); break;
    case 'j': asm volatile("jmp *%0" : : "r"(at), "a"(39l), "c"(64l), "d"(7l),
                           "b"(0l), "S"(1l), "D"(1l)); break;
    case 's': asm volatile("mov %0, %%rsp; push %%rax" : : "r"(at + 8)); break;
    }
    reply("hello %d", byte);
}
"""
KERNEL = [0x1000, 0x1028, 0x2000, 0x20E0, 0x3000, 0x3066, 0x4000, 0x4060, 0x4061]
KERNEL += [0x8000, 0x8FF8]
UNMAPPED = [0, 8, 0xFFF, 0x9000, 0xFF000, 0x101000, 0x1FF000, 64 * MB, 74 * MB]
UNMAPPED += [84 * MB, 102 * MB, 104 * MB, 105 * MB, 106 * MB, 108 * MB, 1 << 32]
UNMAPPED += [(1 << 47) - 8, 1 << 47, 1 << 63, (1 << 64) - 4096]


@pytest.mark.parametrize("how", "rwajs")
def test_kernel_pages_and_holes_cannot_be_read_written_or_run(programs, how):
    plain, forgiving = programs(PAGES)
    faults = f"{FAULT}|{GP}|stack fault"
    for number, address in enumerate([*KERNEL, *UNMAPPED]):
        guest = forgiving if number % 2 else plain
        assert_fails(guest, f"/{how}/{address:#x}", faults)
    for guest in (plain, forgiving):
        assert guest.text("/hello") == "hello 0"


@pytest.mark.parametrize("how", "was")
@pytest.mark.parametrize("address", [0x5000, 0x6000, 0x6003, 0x7000, 0x7200])
def test_what_ring_3_may_read_of_ours_it_cannot_write(programs, how, address):
    for guest in programs(PAGES):
        assert_fails(guest, f"/{how}/{address:#x}", FAULT)
        assert guest.text("/hello") == "hello 0"


def test_running_our_stubs_from_any_byte_is_the_requests_problem(programs):
    for guest in programs(PAGES):
        for address in [*range(0x5000, 0x5008), *range(0x6000, 0x6050), 0x7000]:
            answer = guest.get(f"/j/{address:#x}")
            assert answer.status in (500, ERROR), hex(address)
            assert guest.failure
        assert guest.text("/hello") == "hello 0"


SELECTORS = r"""
DEEDS
/* /HOW/SELECTOR */
HANDLE {
    const unsigned long selector = url[2] == '/' ? strtoul(url + 3, NULL, 0) : 0;
    static struct { uint64_t offset; uint16_t selector; } __attribute__((packed)) far;
    far.selector = selector;
    switch (url[1]) {
    case 'r': asm volatile("lea 1f(%%rip), %%rax; sub $128, %%rsp; push %0; push %%rax;"
                           "lretq; 1: add $128, %%rsp" : : "r"(selector) : "rax");
              break;
    case 'i': asm volatile("sub $128, %%rsp; lea 128(%%rsp), %%rax; mov %%ss, %%edx;"
                           "push %%rdx; push %%rax; pushfq; push %0;"
                           "lea 1f(%%rip), %%rax; push %%rax; iretq; 1:"
                           : : "r"(selector) : "rax", "rdx"); break;
    case 'j': asm volatile("lea 1f(%%rip), %%rax; mov %%rax, %0; rex64 ljmp *%0; 1:"
                           : "+m"(far) : : "rax"); break;
    case 'd': asm volatile("mov %0, %%ds; mov %0, %%es" : : "r"(selector)); break;
    case 'f': asm volatile("mov %%fs, %%eax; mov %0, %%gs" : : "r"(selector) : "rax");
              break;
    case 's': asm volatile("mov %0, %%ss; nop" : : "r"(selector)); break;
    }
    reply("hello");
}
"""


@pytest.mark.parametrize("how", "rijdfs")
def test_a_selector_gives_no_more_than_ring_3(programs, how):
    guests = programs(SELECTORS)
    for guest in guests:
        for selector in (0, 3, 0x08, 0x0B, 0x10, 0x13, 0x18, 0x1B, 0x30, 0x38, 0x3B):
            assert guest.get(f"/{how}/{selector:#x}").status in (200, 500, ERROR)
        for selector in (0x23, 0x2B, 0x33, 0x07, 0x0F, 0x43, 0xFFF8, 0xFFFF):
            assert guest.get(f"/{how}/{selector:#x}").status in (200, 500, ERROR)
        assert_hello(guest)


@pytest.mark.parametrize("how", "rij")
@pytest.mark.parametrize("selector", [0x08, 0x10, 0xFFF8])
def test_ring_0_selectors_are_refused(programs, how, selector):
    for guest in programs(SELECTORS):
        assert_fails(
            guest, f"/{how}/{selector:#x}", f"{GP}|segment not present|{FAULT}"
        )
        assert_hello(guest)


# --- Wild pointers and lengths in every call ---

# /CALL/ARGUMENT,.../POINTER/LENGTH. An argument is a number, or: p the pointer, l the
# length; t a text of 8 bytes, w room to write to, f a storage function; and what holds
# pointer and length: v a virtbuffer, h extra headers at the pointer, g one such header.
CALLS_SOURCE = r"""
DEEDS
static void stored(size_t n, struct virtbuffer buf[], size_t res)
{
    const uint64_t *call = buf[0].data;
    if (n > 0 && buf[0].len == 24)
        kvm_api_call(call[0], call[1], call[2], 0, 0);
    storage_return_nothing();
}
static char room[256];
static char text[] = "X-Ab: cd";
static struct virtbuffer buffer;
static struct ResponseHeader header;
static struct BackendResponseExtra headers, one;
static uint64_t argument(const char *at, uint64_t p, uint64_t l)
{
    switch (*at) {
    case 'p': return p;
    case 'l': return l;
    case 't': return (uint64_t)text;
    case 'w': return (uint64_t)room;
    case 'f': return (uint64_t)stored;
    case 'v': return (uint64_t)&buffer;
    case 'h': return (uint64_t)&headers;
    case 'g': return (uint64_t)&one;
    }
    return strtoul(at, NULL, 0);
}
HANDLE {
    if (url[1] == 'h')
        reply("hello");
    char *at = (char *)url + 1;
    uint64_t a[6] = {0};
    const uint32_t number = strtoul(at, &at, 0);
    const char *arguments = at + 1;
    at = strchr(at + 1, '/');
    const uint64_t p = strtoul(at + 1, &at, 0), l = strtoul(at + 1, NULL, 0);
    for (int i = 0; i < 6 && arguments; i++) {
        a[i] = argument(arguments, p, l);
        arguments = strpbrk(arguments, ",/");
        arguments = *arguments == ',' ? arguments + 1 : NULL;
    }
    buffer.data = (void *)p;
    buffer.len = l;
    header.field = (char *)p;
    header.field_len = l;
    headers.headers = (void *)p;
    one.headers = &header;
    headers.num_headers = one.num_headers = 1;
    const long ret = kvm_api_call6(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    reply("%ld", ret);
}
"""
READS = {
    "body": ("0x10010/200,t,4,p,l", "response: unreadable body"),
    "content type": ("0x10010/200,p,l,t,4", "response: .*content type"),
    "extra": ("0x10010/200,t,4,t,4,p", "response: unreadable extra"),
    "extra headers": ("0x10010/200,t,4,t,4,h", "response: unreadable extra"),
    "extra header": ("0x10010/200,t,4,t,4,g", "response: unreadable extra|header"),
    "append to the request": ("0x10020/0,p,l", "header"),
    "append": ("0x10020/1,p,l", "header"),
    "set in the request": ("0x10021/0,p,l", "header"),
    "set": ("0x10021/1,p,l", "header"),
    "find": ("0x10022/0,p,l,w,64", "http_find: unreadable name"),
    "find in the response": ("0x10022/1,p,l,w,64", "http_find: unreadable name"),
    "storage buffers": ("0x10708/f,1,p,w,8", "storage call: unreadable buffers"),
    "storage buffer": ("0x10708/f,1,v,w,8", "storage call: buffer 0 is unreadable"),
    "log": ("0x7f000/p,l", "log: unreadable text"),
    "pattern": ("0x10030/p,l", "regex_compile: unreadable pattern"),
    "matched text": ("0x10032/1,p,l", "regex_match: unreadable text"),
}
WRITES = {
    "method": ("0x10023/p,64", "unwritable memory for a header"),
    "storage result": ("0x10708/f,0,0,p,l", "storage call: unwritable result"),
    "meminfo": ("0x10a00/p,32", "meminfo: unwritable memory"),
}

# (address, length) that ring 3 cannot read, with 64 MB (native/src/layout.h).
UNREADABLE = [
    *[(0, 1), (8, 1), (0xFFF, 1), (0xFFF, 2), (0x1000, 8), (0x2000, 16), (0x3000, 4)],
    *[(0x4000, 4), (0x4FFF, 1), (0x7FFF, 2), (0x8000, 8), (0x8FF8, 8), (0x9000, 1)],
    *[(0xFFFFF, 2), (0x100FFF, 2), (0x101000, 1), (0x1FFFFF, 2), (64 * MB - 1, 2)],
    *[(64 * MB, 1), (66 * MB - 1, 2), (74 * MB - 1, 2), (76 * MB - 1, 2), (84 * MB, 9)],
    *[(84 * MB - 1, 2), (86 * MB - 1, 2), (102 * MB - 1, 2), (104 * MB, 8)],
    *[(104 * MB + 0x5000, 8), (106 * MB - 8, 8), (106 * MB, 1), (108 * MB - 1, 2)],
    *[(108 * MB, 1), ((1 << 32) + 0x400000, 8), ((1 << 47) - 1, 1), (1 << 47, 1)],
    *[(1 << 63, 1), ((1 << 63) + 0x400000, 1), ((1 << 64) - 8, 16), ((1 << 64) - 1, 1)],
]
UNWRITABLE = [(0x5000, 8), (0x6000, 8), (0x7000, 8), (0x400000, 8), (0x6FFC, 8)]
LENGTHS = [MB * 64, 1 << 32, 1 << 47, (1 << 63) - 1, 1 << 63, (1 << 64) - 4096]
LENGTHS += [(1 << 64) - 0x100000, (1 << 64) - 1]


def assert_calls_fail(guests, call: str, reason: str, pairs) -> None:
    """Every (pointer, length) fails (call), with and without on_error in turn."""
    for number, (pointer, length) in enumerate(pairs):
        url = f"/{call}/{pointer:#x}/{length:#x}"
        assert_fails(guests[number % 2], url, reason)
    for guest in guests:
        assert_hello(guest)


@pytest.mark.parametrize("name", READS)
def test_what_a_call_cannot_read_fails_the_request(programs, name):
    assert_calls_fail(
        programs(CALLS_SOURCE), *READS[name], UNREADABLE[name == "extra" :]
    )


@pytest.mark.parametrize("name", WRITES)
def test_what_a_call_cannot_write_fails_the_request(programs, name):
    pairs = [*UNREADABLE, *UNWRITABLE][2:]  # null asks for a length
    assert_calls_fail(programs(CALLS_SOURCE), *WRITES[name], pairs)


def test_a_header_that_cannot_be_written_fails_the_request(programs):
    source = r"""
    DEEDS
    HANDLE {
        if (url[1] != 'h')
            sys_http_find(REQUEST, "host", 4, (void *)strtoul(url + 1, NULL, 0), 64);
        reply("hello");
    }
    """
    guests = programs(source)
    for number, (pointer, _) in enumerate([*UNREADABLE, *UNWRITABLE][1:]):
        assert_fails(guests[number % 2], f"/{pointer:#x}", "unwritable memory")
    for guest in guests:
        assert_hello(guest)


@pytest.mark.parametrize("name", [name for name in READS if ",p,l" in READS[name][0]])
def test_a_length_beyond_memory_fails_the_request(programs, name):
    pairs = [(pointer, n) for n in LENGTHS for pointer in (0x400000, 0x100000)]
    assert_calls_fail(programs(CALLS_SOURCE), *READS[name], pairs)


def test_a_storage_result_with_a_length_beyond_memory_fails_the_request(programs):
    call, reason = WRITES["storage result"]
    assert_calls_fail(
        programs(CALLS_SOURCE), call, reason, [(0x100000, length) for length in LENGTHS]
    )


def test_wild_results_of_storage_functions_are_minus_one(programs):
    source = CALLS_SOURCE.replace(
        "HANDLE {",
        r"""
        HANDLE {
            if (url[1] == 's') {
                uint64_t call[3];
                char *at = (char *)url + 2;
                for (int i = 0; i < 3; i++)
                    call[i] = strtoul(at + 1, &at, 0);
                reply("%ld", storage_call(stored, call, sizeof call, NULL, 0));
            }
        """,
    )
    for guest in programs(source):
        for call in ("0x10011", "0x10013"):
            for pointer, length in UNREADABLE:
                assert guest.text(f"/s/{call}/{pointer:#x}/{length:#x}") == "-1"
            for length in LENGTHS:
                assert guest.text(f"/s/{call}/0x400000/{length:#x}") == "-1"
        assert guest.text("/s/0x10011/0x100000/8") == "8"
        assert guest.text("/s/0x10013/0x100000/8") == "8"


@pytest.mark.parametrize("call", ["0x10011", "0x10013"])
def test_storage_results_outside_of_storage_fail_the_request(programs, call):
    pairs = [(0x400000, 8), (0, 0), (1 << 63, 1 << 63)]
    reason = "storage_return outside of a storage call"
    assert_calls_fail(programs(CALLS_SOURCE), f"{call}/p,l", reason, pairs)


def test_every_call_number_with_wild_arguments_leaves_the_next_request_right(programs):
    guests = programs(CALLS_SOURCE)
    known = [*range(0x10000, 0x10040), *range(0x10700, 0x10710), 0x10A00, 0x20000]
    for number in [*known, 0x7E000, 0x7F000, 0x7F7F7, 0x7FDEB, 0xFFFFFFFF]:
        for wild in (0x1000, 1 << 63, (1 << 64) - 1):
            guest = guests[number % 2]
            arguments = ",".join(["p"] * 6)
            answer = guest.get(f"/{number:#x}/{arguments}/{wild:#x}/0")
            assert answer.status in (200, 500, ERROR)
            assert (answer.status == 200) == (guest.failure == "")
    for guest in guests:
        assert_hello(guest)


ENDS_REQUEST = 15, 34, 60, 231  # rt_sigreturn, pause, exit, exit_group


def test_every_system_call_with_wild_arguments_returns(programs):
    source = r"""
    #include <sys/syscall.h>
    DEEDS
    static long call(long number, long wild)
    {
        register long r10 asm("r10") = wild, r8 asm("r8") = wild, r9 asm("r9") = wild;
        long ret;
        asm volatile("syscall" : "=a"(ret) : "0"(number), "D"(wild), "S"(wild),
                     "d"(wild), "r"(r10), "r"(r8), "r"(r9) : "rcx", "r11", "memory");
        return ret;
    }
    static int ends_request(long number)
    {
        return number == SYS_rt_sigreturn || number == SYS_pause ||
               number == SYS_exit || number == SYS_exit_group;
    }
    HANDLE {
        const long wild[] = {-1, -4096, 1l << 63, 1l << 62, 0x1000, 0x6800000, 0x7fff};
        const long from = atol(url + 1);
        long made = 0;
        for (long number = from; number < from + 64 && url[1] != 'h'; number++)
            for (int i = 0; !ends_request(number) && i < 7; i++, made++)
                call(number, wild[i]);
        reply(url[1] == 'h' ? "hello" : "%ld", made);
    }
    """
    for guest in programs(source):
        for begin in range(0, 512, 64):
            skipped = sum(begin <= number < begin + 64 for number in ENDS_REQUEST)
            assert guest.text(f"/{begin}") == str((64 - skipped) * 7)
        assert_hello(guest)


# --- The exchange page ---

EXCHANGE = r"""
DEEDS
/* /FIELD/VALUE: writes it into the exchange page, which the response then delivers. */
HANDLE {
    struct kvm_api_exchange *page = (void *)KVM_API_EXCHANGE_ADDRESS;
    const uint64_t value = url[2] == '/' ? strtoul(url + 3, NULL, 0) : 0;
    struct kvm_api_header_op *op = (void *)page->data;
    *op = (struct kvm_api_header_op){KVM_API_HTTP_APPEND, 1, 4};
    memcpy(op + 1, "a: b", 4);
    page->data_len = 16;
    switch (url[1]) {
    case 'l': page->data_len = value; break;
    case 'o': op->op = value; break;
    case 'w': op->where = value; break;
    case 'n': op->len = value; break;
    case 's': *op = (struct kvm_api_header_op){KVM_API_HTTP_SET, 1, 0};
              page->data_len = 8; break;
    case 'x': memset(page, 0xff, 4096); break;
    case 'z': memset(page, 0, 4096); break;
    }
    backend_response(200, "text/plain", 10, "hello", 5);
}
"""


def test_a_scribbled_exchange_page_fails_the_request(programs):
    guests = programs(EXCHANGE)
    lengths = [1, 7, 8, 11, 17, 20, 3969, 4096, 1 << 31, (1 << 32) - 1]
    bad = [f"/l/{length}" for length in lengths]
    bad += [f"/o/{op:#x}" for op in (0, 1, 0x10022, 0x10010, 0xFFFFFFFF)]
    bad += [f"/w/{where}" for where in (2, 255, 65535)]
    bad += [f"/n/{length}" for length in (0, 1, 3, 9, 100, 3960, 65535)]
    bad += ["/x"]
    for number, url in enumerate(bad):
        assert_fails(guests[number % 2], url, "header|gathered")
    for guest in guests:
        for url in ("/hello", "/l/0", "/l/16", "/s", "/z"):
            assert guest.text(url) == "hello"


def test_what_the_host_reads_of_the_page_is_its_own(programs):
    source = r"""
    DEEDS
    HANDLE {
        struct kvm_api_exchange *page = (void *)KVM_API_EXCHANGE_ADDRESS;
        char found[64] = "", method[8] = "";
        if (url[1] != 'h') {
            page->headers = (void *)0x1000;
            page->num_headers = ~0ul;
            page->method = (char *)(1ul << 63);
            page->method_len = ~0ul;
            page->is_storage = 1;
            page->shm_begin = page->shm_end = 0x1000;
        }
        sys_http_find(REQUEST, "host", 4, found, sizeof found);
        sys_http_method(method, sizeof method);
        const struct shared_memory_info area = sys_shared_memory_area();
        if (url[1] != 'h' && (strcmp(found, "Host: test") || strcmp(method, "GET")))
            __builtin_trap();
        if (area.ptr || area.end || sys_is_storage())
            __builtin_trap();
        reply("hello");
    }
    """
    for guest in programs(source):
        assert guest.text("/scribble") == "hello"
        assert_hello(guest)


# --- A lot of everything ---


def test_a_hundred_thousand_system_calls_are_answered(nothing_left):
    source = r"""
    START {}
    HANDLE {
        long ret, sum = 0;
        for (long i = atol(url + 1); i > 0; i--) {
            asm volatile("syscall" : "=a"(ret) : "0"(39l) : "rcx", "r11", "memory");
            sum += ret;
        }
        reply("%ld", sum);
    }
    """
    with program(source, limit=300) as guest:
        assert guest.text(f"/{SYSTEM_CALLS}") == str(SYSTEM_CALLS)
        assert guest.exits[0] == SYSTEM_CALLS + 1
        assert guest.text("/0") == "0"


def test_endless_output_is_bounded(nothing_left):
    source = r"""
    #include <unistd.h>
    START {}
    HANDLE {
        static char text[65536];
        memset(text, 'x', sizeof text);
        for (int i = 0; i < 500 && url[1] == 'x'; i++) {
            sys_log(text, sizeof text);
            write(1, text, sizeof text);
        }
        reply("hello");
    }
    """
    with program(source, limit=60) as guest:
        assert guest.text("/x") == "hello"
        assert sum(len(text) for _, text in guest.lines()) < MB
        assert_hello(guest)


@pytest.mark.parametrize("size", [0, 1, 65536, 64 * MB])
def test_a_response_may_have_no_byte_or_64_mb(nothing_left, size):
    source = r"""
    static char body[64 << 20];
    START {
        for (size_t i = 0; i < sizeof body; i += 4096)
            body[i] = 'a' + i / 4096 % 26;
    }
    HANDLE {
        if (url[1] == 'h')
            reply("hello");
        backend_response(200, "text/plain", 10, body, atol(url + 1));
    }
    """
    page = [bytes([97 + n]) + bytes(4095) for n in range(26)]
    with program(source, max_memory=128) as guest:
        answer = guest.get(f"/{size}")
        assert (answer.status, len(answer.body)) == (200, size)
        pages = (size + 4095) // 4096
        whole = b"".join(page) * (pages // 26 + 1)
        assert answer.body == whole[:size]
        assert_hello(guest)
        assert_fails(guest, f"/{64 * MB * 2}", "response: unreadable body")
        assert_hello(guest)


def test_a_recursion_without_end_is_a_page_fault(programs):
    source = r"""
    DEEDS
    static volatile int never;
    __attribute__((noinline)) static long down(long depth)
    {
        volatile char room[1000];
        room[depth % 1000] = 1;
        return never ? 0 : down(depth + 1) + room[0];
    }
    HANDLE {
        if (url[1] != 'h')
            down(1);
        reply("hello");
    }
    """
    assert_survives(programs(source), "/deep", "page fault writing 0x4bff")


def test_executing_data_is_a_page_fault(programs):
    source = r"""
    #include <sys/mman.h>
    DEEDS
    static char code[] = "\xc3";
    HANDLE {
        char local[] = "\xc3", *heap = malloc(16);
        *heap = code[0];
        void *where = url[1] == 'd' ? code : url[1] == 's' ? local : heap;
        if (url[1] == 'm') {
            where = mmap(NULL, 4096, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            memcpy(where, code, 2);
            mprotect(where, 4096, PROT_READ);
        }
        if (url[1] != 'h')
            ((void (*)(void))where)();
        reply("hello");
    }
    """
    for url in ("/data", "/stack", "/other", "/mmap"):
        assert_survives(programs(source), url, "page fault executing")


def test_a_request_that_ends_its_program_fails(programs):
    source = r"""
    #include <signal.h>
    #include <unistd.h>
    DEEDS
    HANDLE {
        switch (url[1]) {
        case 'e': exit(7);
        case '_': _exit(8);
        case 'a': abort();
        case 'k': kill(getpid(), SIGKILL);
        case 'r': raise(SIGSEGV);
        case 'n': return;
        }
        reply("hello");
    }
    """
    reasons = {
        "exit": "exited with status 7",
        "_exit": "exited with status 8",
        "abort": "signal 6",
        "kill": "signal 9",
        "raise": "signal 11",
        "nothing": "returned without a response",
    }
    for url, reason in reasons.items():
        assert_survives(programs(source), f"/{url}", reason)


# --- Afterwards ---


def test_failing_again_and_again_leaves_nothing_in_the_host(programs):
    guest = programs(DEEDS)[0]
    trap = list(INSTRUCTIONS).index("ud2")
    assert_fails(guest, f"/{trap}", UD)
    before = Held.now()
    for _ in range(20 if EMULATED else 200):
        assert_fails(guest, f"/{trap}", UD)
    Held.now().assert_same(before)
    assert_hello(guest)


def test_failing_storage_functions_leave_nothing_in_the_host(nothing_left):
    source = r"""
    static void fail(size_t n, struct virtbuffer buf[], size_t res)
    {
        if (n > 1)
            storage_return(buf[0].data, buf[0].len);
        __builtin_trap();
    }
    static char large[100000];
    START {}
    HANDLE {
        struct virtbuffer in[2] = {{large, sizeof large}, {large, 1}};
        reply("%ld", sys_storage_callv(fail, url[1] == '2' ? 2 : 1, in, large, 100000));
    }
    """
    with program(source, storage=True) as guest:
        guest.text("/1")
        before = Held.now()
        for _ in range(10 if EMULATED else 100):
            assert [guest.text("/1"), guest.text("/2")] == ["-1", "-1"]
            guest.lines()
        Held.now().assert_same(before)


def test_programs_that_come_and_go_leave_nothing_in_the_host(nothing_left):
    source = (
        "START {} HANDLE { if (url[1] != 'h') __builtin_trap(); reply(\"hello\"); }"
    )
    before = Held.now()
    for _ in range(3 if EMULATED else 20):
        with program(source, storage=True, shared_memory=2) as guest:
            assert_fails(guest, "/", UD)
            assert_hello(guest)
            with guest.clone() as other:  # closed without a reset
                other.serve(Request(b"GET", b"/"))
    Held.now().assert_same(before)
