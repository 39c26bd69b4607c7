"""No register keeps anything for the next request: a program writes down all that
it can read when its callback begins, then fills all that it can write, and answers."""

import struct
from pathlib import Path

import pytest

pytestmark = pytest.mark.core

# The order of struct dump is that of parse() below.
PROGRAM = r"""
#include "kvm_api.h"
#include <cpuid.h>
#define XCR0_PKRU 0x200
#define XCR0_TILECFG 0x20000

struct dump {
    uint64_t gpr[16], flags, fs_base, gs_base;
    uint16_t selector[4];
    uint32_t xcr0, pkru, offset[8], size[8];
    uint8_t pad[88], tiles[64], xsave[2688];
} dump __attribute__((aligned(64)));
_Static_assert(sizeof dump == 3072 && offsetof(struct dump, xsave) == 384, "see asm");

uint8_t image[4096] __attribute__((aligned(64)));
uint8_t tiles[64] = {1, [16] = 64, [48] = 16}; /* one tile, 64 bytes wide, 16 rows */
uint64_t flags_to_set = 0x244ed7; /* ID AC NT OF DF IF SF ZF AF PF CF */
uint64_t resume_at;
char type[] = "text/plain";

#define EACH(X) X(1, rbx) X(2, rcx) X(3, rdx) X(4, rsi) X(5, rdi) X(6, rbp) X(8, r8) \
    X(9, r9) X(10, r10) X(11, r11) X(12, r12) X(13, r13) X(14, r14) X(15, r15)
#define STORE(n, r) "  mov %" #r ", dump+8*" #n "(%rip)\n"
#define FILL(n, r) "  mov %rax, %" #r "\n"
__asm__(
    ".text\n"
    "entry:\n"
    "  mov %rax, dump(%rip)\n  mov %rsp, dump+56(%rip)\n" EACH(STORE)
    "  pushfq\n  popq dump+128(%rip)\n  pushq $0x202\n  popfq\n"
    "  rdfsbase %rax\n  mov %rax, dump+136(%rip)\n"
    "  rdgsbase %rax\n  mov %rax, dump+144(%rip)\n"
    "  mov %ds, dump+152(%rip)\n  mov %es, dump+154(%rip)\n"
    "  mov %fs, dump+156(%rip)\n  mov %gs, dump+158(%rip)\n"
    "  mov $0xe7, %eax\n  xor %edx, %edx\n  xsave64 dump+384(%rip)\n"
    "  testl $0x200, dump+160(%rip)\n  jz 1f\n"
    "  xor %ecx, %ecx\n  rdpkru\n  mov %eax, dump+164(%rip)\n"
    "1:testl $0x20000, dump+160(%rip)\n  jz 2f\n  sttilecfg dump+320(%rip)\n"
    "2:jmp handler\n"

    /* Fills everything, and jumps to where (resume_at) says. */
    "fill:\n"
    "  mov $0xe7, %eax\n  xor %edx, %edx\n  xrstor64 image(%rip)\n"
    "  testl $0x200, dump+160(%rip)\n  jz 1f\n"
    "  xor %ecx, %ecx\n  mov $0x55555550, %eax\n  wrpkru\n"
    "1:testl $0x20000, dump+160(%rip)\n  jz 2f\n  ldtilecfg tiles(%rip)\n"
    "2:mov $3, %eax\n  mov %eax, %ds\n  mov %eax, %fs\n"
    "  mov $0x2b, %eax\n  mov %eax, %es\n  mov %eax, %gs\n"
    "  mov $0x5a5a5a5a, %eax\n  wrfsbase %rax\n  wrgsbase %rax\n"
    "  movabs $0xa5a5a5a5a5a5a5a5, %rax\n"
    EACH(FILL)
    "  pushq flags_to_set(%rip)\n  popfq\n"
    "  jmp *resume_at(%rip)\n"

    /* Answers; all else stays in the registers. */
    "answer:\n"
    "  mov $200, %edi\n  lea type(%rip), %rsi\n  mov $10, %edx\n"
    "  lea dump(%rip), %rcx\n  mov $3072, %r8d\n  xor %r9d, %r9d\n"
    "  mov %rbp, %rsp\n  mov $0x10010, %eax\n  out %eax, $0\n  ud2\n");
extern void entry(const char *url, const char *arg), fill(void), answer(void);

static void describe(void)
{
    unsigned a, b, c, d;
    __asm__ volatile("xgetbv" : "=a"(dump.xcr0), "=d"(d) : "c"(0));
    dump.size[0] = dump.offset[1] = 160, dump.size[1] = 256;
    for (int i = 2; i < 8; i++) {
        __cpuid_count(13, i, a, b, c, d);
        if (dump.xcr0 & 0xe7 & 1 << i)
            dump.size[i] = a, dump.offset[i] = b;
    }
}

/* What fills the registers: as strange as XRSTOR allows. */
static void make_image(void)
{
    const uint64_t features = dump.xcr0 & 0xe7;
    for (int i = 0; i < 8; i++)
        memset(image + dump.offset[i], 0xa5, dump.size[i]);
    memset(image, 0, 32);
    *(uint16_t *)image = 0x0c7f; /* rounds towards zero, no exceptions */
    image[4] = 0xff;             /* all x87 registers are in use */
    *(uint32_t *)(image + 24) = 0x7fbf;
    memcpy(image + 512, &features, 8);
}

/* "/" answers full. "/full" fills, then answers with what it finds. */
__attribute__((used)) void handler(const char *url)
{
    static int full;
    if (full)
        backend_response(200, type, 10, &dump, sizeof dump);
    make_image();
    full = strcmp(url, "/full") == 0;
    resume_at = (uint64_t)(full ? entry : answer);
    fill();
}

int main(void)
{
    describe();
    set_backend_get(entry);
    wait_for_requests();
}
"""

CLOSES_MEMORY = r"""
START {}
HANDLE {
    unsigned a, d;
    __asm__ volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
    if (!(a & 0x200))
        reply("no");
    if (url[1] == 'c')
        __asm__ volatile("wrpkru\n mov $200, %%edi\n xor %%r8d, %%r8d\n"
                         "mov $0x10010, %%eax\n out %%eax, $0"
                         : : "a"(-1), "c"(0), "d"(0), "S"(0));
    __asm__ volatile("rdpkru" : "=a"(a), "=d"(d) : "c"(0));
    reply("%u", a);
}
"""

# Registers that XSAVE keeps, and the number of their part: SDM volume 1, 13.1.
PARTS = {"sse": 1, "avx": 2, "k": 5, "zmm": 6, "zmm16": 7}
ALWAYS = ["general", "flags", "bases", "selectors", "x87", "mxcsr", "sse"]
SOME = ["avx", "k", "zmm", "zmm16", "pkru", "amx"]


def parse(body):
    """What the program has written down, by name; b"" for what this machine lacks."""
    xsave, table = body[384:], struct.unpack_from("18I", body, 160)
    xcr0, pkru, offsets, sizes = table[0], body[164:168], table[2:10], table[10:]
    found = {k: xsave[offsets[n] :][: sizes[n]] for k, n in PARTS.items()}
    found |= {"general": body[:128], "flags": body[128:136], "bases": body[136:152]}
    found |= {"selectors": body[152:160], "mxcsr": xsave[24:28]}
    found |= {"x87": xsave[:24] + xsave[32:160]}
    found |= {"pkru": pkru if xcr0 & 0x200 else b""}
    return found | {"amx": body[320:384] if xcr0 & 0x20000 else b""}


@pytest.fixture
def find(guest):
    """find(url): what a request finds in its registers; see PROGRAM."""
    vm = guest(PROGRAM, whole=True)
    return lambda url: parse(vm.get(url).body)


@pytest.mark.parametrize("name", ALWAYS + SOME)
def test_registers_keep_nothing_for_the_next_request(find, name):
    first, second, full = find("/")[name], find("/")[name], find("/full")[name]
    if name in SOME and not first:
        pytest.skip(f"ring 3 has no {name} registers here")
    assert second == first
    assert full != first, "the program did not fill them: this test shows nothing"


def test_programs_have_the_vector_registers_of_the_machine(find):
    """... so the test above skips no register that a program can use."""
    flags = (
        Path("/proc/cpuinfo").read_text().partition("flags")[2].split("\n")[0].split()
    )
    found = find("/")
    assert bool(found["avx"]) == ("avx" in flags)
    assert bool(found["zmm"]) == ("avx512f" in flags)


def test_a_request_that_closes_all_memory_to_itself_harms_no_other(guest):
    """Protection keys: where ring 3 has them, they would stop the next request too."""
    vm = guest(CLOSES_MEMORY)
    if vm.text("/probe") == "no":
        pytest.skip("ring 3 has no WRPKRU here")
    assert vm.get("/close").status == 200
    assert vm.text("/probe") == "0"
