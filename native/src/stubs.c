/* stubs.c: all code of ours that runs inside a guest, and the tables that lead to it.
 *
 * Ring 0 holds no policy: an exception stub says its vector to the host and stops.
 * There are two system-call stubs, because a software KVM executes `syscall` without
 * leaving ring 3. The one for ring 0 touches no memory at all: its RSP is the
 * program's, and a push would write wherever the program likes. Exceptions have a stack
 * of their own. */
#include "stubs.h"

#include <cpuid.h>
#include <string.h>

#include "abi.h"
#include "x86.h"

#define TEXT(x) #x
#define VALUE(x) TEXT(x)

/* The trampoline is the first thing that runs in every call, before any code of the
 * program, in ring 3: it puts back the registers that KVM_RUN does not carry. WRPKRU
 * comes first, because the program may have closed all memory to itself; where the
 * instruction is not there it becomes a NOP. XRSTOR's mask is all that XCR0 has, which
 * a software KVM leaves as the machine has it, with PKRU and AMX; but not the tiles of
 * AMX (bit 18): they are larger than the page of the image, and LDTILECFG clears them.
 * In: r10 function, r11 its third argument, r12 its fourth, rbx FS base, rbp GS base,
 * rax, rcx, rdx 0; the other arguments are where they belong. */
/* clang-format off */
__asm__(
    ".pushsection .rodata\n"
    "ring0_stub_begin:\n"
    "  outb %al, $" VALUE(PORT_SYSCALL) "\n"
    "  sysretq\n"
    "ring0_stub_end:\n"
    "ring3_stub_begin:\n"
    "  outb %al, $" VALUE(PORT_SYSCALL) "\n"
    "  jmp *%rcx\n"
    "ring3_stub_end:\n"
    "trampoline_begin:\n"
    "  wrpkru\n"
    "  mov $0xfffbffff, %eax\n"
    "  xrstor64 0x7000\n"
    "  mov %edx, %ds\n"
    "  mov %edx, %es\n"
    "  mov %edx, %fs\n"
    "  mov %edx, %gs\n"
    "  wrfsbase %rbx\n"
    "  wrgsbase %rbp\n"
    "  mov %r11, %rdx\n"
    "  mov %r12, %rcx\n"
    "  xor %eax, %eax\n"
    "  xor %ebx, %ebx\n"
    "  xor %ebp, %ebp\n"
    "  xor %r11d, %r11d\n"
    "  xor %r12d, %r12d\n"
    "  call *%r10\n"
    "  mov %rax, %rdi\n"
    "  mov $" VALUE(KVM_API_RETURNED) ", %eax\n"
    "  out %eax, $" VALUE(PORT_HOST_CALL) "\n"
    "  ud2\n"
    "trampoline_end:\n"
    "resume_begin:\n"
    "  add $8, %rsp\n"
    "  popfq\n"
    "  pop %rax\n"
    "  pop %rbx\n"
    "  pop %rcx\n"
    "  pop %rdx\n"
    "  pop %rsi\n"
    "  pop %rdi\n"
    "  pop %rbp\n"
    "  pop %r8\n"
    "  pop %r9\n"
    "  pop %r10\n"
    "  pop %r11\n"
    "  pop %r12\n"
    "  pop %r13\n"
    "  pop %r14\n"
    "  pop %r15\n"
    "  pop %rsp\n"
    "  ret $" VALUE(RESUME_SKIP) "\n"
    "resume_end:\n"
    ".popsection\n");
/* clang-format on */
extern const uint8_t ring0_stub_begin[], ring0_stub_end[];
extern const uint8_t ring3_stub_begin[], ring3_stub_end[];
extern const uint8_t trampoline_begin[], trampoline_end[];
extern const uint8_t resume_begin[], resume_end[];

_Static_assert(XSAVE_ADDR == 0x7000, "the trampoline names this address");

struct gate {
    uint16_t offset_low, selector;
    uint8_t stack, type;
    uint16_t offset_middle;
    uint32_t offset_high, reserved;
} __attribute__((packed));

struct tss {
    uint32_t reserved0;
    uint64_t rsp[3], reserved1, ist[7], reserved2;
    uint16_t reserved3, io_map;
    uint8_t io_bits[2]; /* one bit a port, 1 = refused; then the end marker */
} __attribute__((packed));
_Static_assert(sizeof(struct tss) == TSS_LIMIT + 1, "SDM volume 3, figure 8-11");

static void install_descriptors(uint8_t *base)
{
    const uint64_t gdt[] = {0, DESC_KERNEL_CODE, DESC_KERNEL_DATA,
                            0, DESC_USER_DATA,   DESC_USER_CODE};
    const struct tss tss = {.rsp = {EXCEPTION_STACK_TOP},
                            .ist = {EXCEPTION_STACK_TOP},
                            .io_map = 0x68,
                            .io_bits = {0xf0, 0xff}};
    memcpy(base + GDT_ADDR, gdt, sizeof(gdt));
    memcpy(base + TSS_ADDR, &tss, sizeof(tss));
}

/* Ring 3 may raise the breakpoint by `int3`, for debuggers that handle SIGTRAP. Each
 * stub is `out %al, $0x80 + vector; hlt`; 16 bytes apart. */
static void install_exceptions(uint8_t *base)
{
    for (int v = 0; v < VECTOR_COUNT; v++) {
        uint64_t addr = EXCEPTION_STUBS_ADDR + (uint64_t)v * 16;
        const uint8_t code[] = {0xe6, (uint8_t)(PORT_EXCEPTION + v), 0xf4};
        const struct gate gate = {.offset_low = (uint16_t)addr,
                                  .selector = SEL_KERNEL_CODE,
                                  .stack = 1,
                                  .type = v == VECTOR_BREAKPOINT ? GATE_USER
                                                                 : GATE_INTERRUPT};
        memcpy(base + addr, code, sizeof(code));
        memcpy(base + IDT_ADDR + (uint64_t)v * sizeof(gate), &gate, sizeof(gate));
    }
}

static void copy_code(uint8_t *dst, const uint8_t *begin, const uint8_t *end)
{
    memcpy(dst, begin, (size_t)(end - begin));
}

/* Tells if ring 3 of a guest has WRPKRU: where it runs with the machine's own CR4. With
 * hardware the guest's CR4.PKE is 0. */
static int has_wrpkru(int ring0_stub)
{
    unsigned a, b, c = 0, d;
    return !ring0_stub && __get_cpuid_count(7, 0, &a, &b, &c, &d) && c & bit_OSPKE;
}

static void install_trampoline(uint8_t *base, int ring0_stub)
{
    static const uint8_t nop[] = {0x0f, 0x1f, 0x00}; /* as long as WRPKRU */
    copy_code(base + TRAMPOLINE_ADDR, trampoline_begin, trampoline_end);
    copy_code(base + RESUME_ADDR, resume_begin, resume_end);
    if (!has_wrpkru(ring0_stub))
        memcpy(base + TRAMPOLINE_ADDR, nop, sizeof(nop));
}

void stubs_install(uint8_t *base, int ring0_stub)
{
    install_descriptors(base);
    install_exceptions(base);
    if (ring0_stub)
        copy_code(base + SYSCALL_STUB_ADDR, ring0_stub_begin, ring0_stub_end);
    else
        copy_code(base + SYSCALL_STUB_ADDR, ring3_stub_begin, ring3_stub_end);
    install_trampoline(base, ring0_stub);
}
