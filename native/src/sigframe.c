/* sigframe.c: see sigframe.h. SDM volume 1, chapter 13, for the XSAVE image. */
#include "sigframe.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>

/* Flags of a ucontext: asm/ucontext.h, which does not go with signal.h. */
#define UC_FP_XSTATE 1
#define UC_SIGCONTEXT_SS 2
#define UC_STRICT_RESTORE_SS 4

#define MXCSR_AT 24
#define XMM_AT 160
#define SOFTWARE_AT 464
#define FEATURE_SSE 2UL
#define FEATURES_ALWAYS 3UL /* x87 and SSE: no program asks if they are there */
#define MXCSR_KNOWN 0xffffu
#define MXCSR_FRESH 0x1f80u
#define CONTROL_FRESH 0x037fu

/* Flags that a frame may set: those of arithmetic, and the ones that popf may. */
#define FLAGS_RESTORED 0x50dd5UL

_Static_assert(sizeof(struct _fpx_sw_bytes) == XSAVE_LEGACY - SOFTWARE_AT,
               "as Linux has it");

/* The header behind the legacy part; 40 more bytes have no meaning. */
struct xsave_header {
    uint64_t features, compacted, reserved;
};

int sigframe_place(struct sigframe_place *p, const struct thread_signals *t,
                   uint64_t rsp, uint64_t flags, uint32_t xsave)
{
    int on_stack = signals_on_stack(t, rsp);
    uint64_t at = rsp - SIGFRAME_RED_ZONE;
    if (flags & SA_ONSTACK && t->stack.size && !signals_on_stack(t, at)) {
        at = t->stack.address + t->stack.size;
        on_stack = 1;
    }
    p->fpu = (at - xsave - FP_XSTATE_MAGIC2_SIZE) & ~63UL;
    p->end = p->fpu + xsave + FP_XSTATE_MAGIC2_SIZE;
    p->frame = ((p->fpu - sizeof(struct sigframe)) & ~15UL) - 8;
    uint64_t depth = p->frame - t->stack.address;
    int overflows = depth == 0 || depth > t->stack.size;
    return p->frame > p->end || (on_stack && overflows) ? -EFAULT : 0;
}

static struct sigcontext_x86 context_of(const struct kvm_regs *r)
{
    return (struct sigcontext_x86){.r8 = r->r8,
                                   .r9 = r->r9,
                                   .r10 = r->r10,
                                   .r11 = r->r11,
                                   .r12 = r->r12,
                                   .r13 = r->r13,
                                   .r14 = r->r14,
                                   .r15 = r->r15,
                                   .rdi = r->rdi,
                                   .rsi = r->rsi,
                                   .rbp = r->rbp,
                                   .rbx = r->rbx,
                                   .rdx = r->rdx,
                                   .rax = r->rax,
                                   .rcx = r->rcx,
                                   .rsp = r->rsp,
                                   .rip = r->rip,
                                   .rflags = r->rflags};
}

void sigframe_fill(struct sigframe *f, const struct sigframe_place *p,
                   const struct thread_signals *t, const struct kvm_regs *r,
                   const struct signal_info *info, uint64_t mask)
{
    const uint16_t code = SEL_USER_CODE, data = SEL_USER_DATA;
    memset(f, 0, sizeof(*f));
    f->context.flags = UC_FP_XSTATE | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS;
    f->context.stack = t->stack;
    f->context.registers = context_of(r);
    f->context.registers.cs = code;
    f->context.registers.ss = data;
    f->context.registers.vector = t->vector;
    f->context.registers.error = t->error;
    f->context.registers.cr2 = t->cr2;
    f->context.registers.old_mask = f->context.mask = mask;
    f->context.registers.fpu = p->fpu;
    f->info = *info;
}

static void put32(uint8_t *at, uint32_t value)
{
    memcpy(at, &value, sizeof(value));
}

static uint32_t get32(const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof(value));
    return value;
}

void sigframe_seal_fpu(uint8_t *image, uint32_t size, uint64_t features)
{
    struct xsave_header header;
    const struct _fpx_sw_bytes software = {.magic1 = FP_XSTATE_MAGIC1,
                                           .extended_size =
                                               size + FP_XSTATE_MAGIC2_SIZE,
                                           .xstate_bv = features,
                                           .xstate_size = size};
    memcpy(image + SOFTWARE_AT, &software, sizeof(software));
    memcpy(&header, image + XSAVE_LEGACY, sizeof(header));
    header.features = (header.features & features) | FEATURES_ALWAYS;
    memcpy(image + XSAVE_LEGACY, &header, sizeof(header));
    put32(image + size, FP_XSTATE_MAGIC2);
}

uint32_t sigframe_fpu_length(const uint8_t *legacy, uint32_t size)
{
    struct _fpx_sw_bytes software;
    memcpy(&software, legacy + SOFTWARE_AT, sizeof(software));
    if (software.magic1 != FP_XSTATE_MAGIC1 || software.xstate_size < XSAVE_LEAST ||
        software.xstate_size > size || software.xstate_size > software.extended_size)
        return XSAVE_LEGACY;
    return software.xstate_size + FP_XSTATE_MAGIC2_SIZE;
}

/* What the frame has no bytes for, or leaves out, begins as on a fresh processor. */
static int open_header(uint8_t *image, uint32_t length, uint64_t features)
{
    struct _fpx_sw_bytes software;
    struct xsave_header header = {.features = FEATURES_ALWAYS};
    uint32_t state = length - (uint32_t)FP_XSTATE_MAGIC2_SIZE;
    if (length > XSAVE_LEGACY && get32(image + state) == FP_XSTATE_MAGIC2) {
        memcpy(&header, image + XSAVE_LEGACY, sizeof(header));
        memcpy(&software, image + SOFTWARE_AT, sizeof(software));
        if (header.features & ~features || header.compacted || header.reserved)
            return -EFAULT;
        header.features &= software.xstate_bv;
        length = state;
    } else {
        length = XSAVE_LEGACY;
    }
    memset(image + length, 0, XSAVE_MOST - length);
    memset(image + XSAVE_LEGACY, 0, XSAVE_LEAST - XSAVE_LEGACY);
    if (!(header.features & FEATURE_SSE))
        memset(image + XMM_AT, 0, SOFTWARE_AT - XMM_AT);
    header.features |= FEATURE_SSE; /* or KVM would leave MXCSR out */
    memcpy(image + XSAVE_LEGACY, &header, sizeof(header));
    return 0;
}

int sigframe_open_fpu(uint8_t *image, uint32_t length, uint32_t size, uint64_t features)
{
    if (get32(image + MXCSR_AT) & ~MXCSR_KNOWN || length > size + FP_XSTATE_MAGIC2_SIZE)
        return -EFAULT;
    int ret = open_header(image, length, features);
    memset(image + SOFTWARE_AT, 0, XSAVE_LEGACY - SOFTWARE_AT);
    return ret;
}

void sigframe_fresh_fpu(uint8_t *image)
{
    const struct xsave_header header = {.features = FEATURES_ALWAYS};
    const uint16_t control = CONTROL_FRESH;
    memset(image, 0, XSAVE_MOST);
    memcpy(image, &control, sizeof(control));
    put32(image + MXCSR_AT, MXCSR_FRESH);
    memcpy(image + XSAVE_LEGACY, &header, sizeof(header));
}

int sigframe_registers(const struct sigframe *f, struct kvm_regs *r)
{
    const struct sigcontext_x86 *c = &f->context.registers;
    uint64_t flags = r->rflags & ~FLAGS_RESTORED;
    *r = (struct kvm_regs){.r8 = c->r8,
                           .r9 = c->r9,
                           .r10 = c->r10,
                           .r11 = c->r11,
                           .r12 = c->r12,
                           .r13 = c->r13,
                           .r14 = c->r14,
                           .r15 = c->r15,
                           .rdi = c->rdi,
                           .rsi = c->rsi,
                           .rbp = c->rbp,
                           .rbx = c->rbx,
                           .rdx = c->rdx,
                           .rax = c->rax,
                           .rcx = c->rcx,
                           .rsp = c->rsp,
                           .rip = c->rip,
                           .rflags = flags | (c->rflags & FLAGS_RESTORED)};
    int stack =
        !(f->context.flags & UC_STRICT_RESTORE_SS) || (c->ss | 3) == SEL_USER_DATA;
    return (c->cs | 3) == SEL_USER_CODE && stack ? 0 : -EFAULT;
}
