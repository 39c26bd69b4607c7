/* stubs.h: all code of ours that runs inside a guest. */
#ifndef SKERRY_STUBS_H
#define SKERRY_STUBS_H

#include <stdint.h>

#include "layout.h"

/* Writes descriptor tables, exception stubs, the system-call stub of the kind that this
 * KVM needs, and the trampoline into slot 0 at (base). */
void stubs_install(uint8_t *base, int ring0_stub);

/* Where the trampoline's page has the stub that takes all registers from the stack it
 * is called on (struct resume_frame), and then an address from the stack of these
 * registers, below what it skips: the red zone. */
#define RESUME_ADDR (TRAMPOLINE_ADDR + 0x100)
#define RESUME_SKIP 128

/* What the processor pushed for an exception, at the top of its stack. */
struct exception_frame {
    uint64_t error; /* only for vectors that have one */
    uint64_t rip, cs, rflags, rsp, ss;
};
#define EXCEPTION_FRAME_ADDR (EXCEPTION_STACK_TOP - sizeof(struct exception_frame))

/* Code and limit of the task state segment: ports 0 to 3 are ring 3's, no others. */
#define TSS_LIMIT 0x69

#endif
