/* sigframe.h: what a signal handler finds on its stack, as Linux leaves it on x86-64
 * (arch/x86/include/uapi/asm/sigcontext.h says how): bytes only, no machine.
 *
 *     higher   the interrupted function's stack, its red zone of 128 bytes
 *              XSAVE image, a multiple of 64; behind it, FP_XSTATE_MAGIC2
 *     rsp ->   struct sigframe, 8 below a multiple of 16, as behind a call */
#ifndef SKERRY_SIGFRAME_H
#define SKERRY_SIGFRAME_H

#include <linux/kvm.h>

#include "signals.h"
#include "x86.h"

#define SIGFRAME_RED_ZONE 128

struct sigcontext_x86 {
    uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
    uint64_t rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, rflags;
    uint16_t cs, gs, fs, ss;
    uint64_t error, vector, old_mask, cr2;
    uint64_t fpu; /* the address of the XSAVE image, or 0 */
    uint64_t reserved[8];
};

struct sigframe {
    uint64_t restorer;
    struct {
        uint64_t flags, link;
        struct alt_stack stack;
        struct sigcontext_x86 registers;
        uint64_t mask;
    } context;
    struct signal_info info;
    uint8_t info_rest[128 - sizeof(struct signal_info)];
};
_Static_assert(sizeof(struct sigframe) == 440, "as Linux has it");

/* Where it goes. */
struct sigframe_place {
    uint64_t frame, fpu, end; /* end: of all that is written */
};

/* Finds the place for a frame with (xsave) bytes of XSAVE image, for a thread whose
 * stack pointer is (rsp); with (flags) of its handler. 0, or -EFAULT when the alternate
 * stack is too small. */
int sigframe_place(struct sigframe_place *p, const struct thread_signals *t,
                   uint64_t rsp, uint64_t flags, uint32_t xsave);

/* Fills (f) in: thread (t), which has registers (r) and returns to (mask). */
void sigframe_fill(struct sigframe *f, const struct sigframe_place *p,
                   const struct thread_signals *t, const struct kvm_regs *r,
                   const struct signal_info *info, uint64_t mask);

/* Makes the (size) bytes of XSAVE image that KVM has given, and 4 more, what a frame
 * has: only (features). */
void sigframe_seal_fpu(uint8_t *image, uint32_t size, uint64_t features);

/* What the bytes 464 to 511 of an image in a frame say of it: its length in bytes, with
 * the 4 behind it, which has to be read for sigframe_open_fpu; at most as sealed. */
uint32_t sigframe_fpu_length(const uint8_t *legacy, uint32_t size);

/* Makes (image), (length) bytes that a program may have changed, what KVM_SET_XSAVE
 * takes, in XSAVE_MOST bytes. 0, or -EFAULT where a processor would refuse them. */
int sigframe_open_fpu(uint8_t *image, uint32_t length, uint32_t size,
                      uint64_t features);

/* The registers of a processor that nobody has used the vectors of. */
void sigframe_fresh_fpu(uint8_t *image);

/* Takes the registers that frame (f) goes back to into (r), but for flags that are not
 * the program's. 0, or -EFAULT when code or stack segment are none of ring 3's. */
int sigframe_registers(const struct sigframe *f, struct kvm_regs *r);

#endif
