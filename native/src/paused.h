/* paused.h: programs that go on behind their wait (wait_for_requests_paused), whether
 * they are put back after a request or not. */
#ifndef SKERRY_PAUSED_H
#define SKERRY_PAUSED_H

#include "machine.h"

/* What the resume stub pops, in its order. */
struct resume_frame {
    uint64_t rflags, rax, rbx, rcx, rdx, rsi, rdi, rbp;
    uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
    uint64_t rsp; /* of the address to go to, which is below the red zone */
    uint64_t unused;
};

/* (m) has made its wait: notes all registers, so that a clone can go on from there. */
void paused_freeze(struct machine *m);

/* Tells if a request that no callback takes lets the program go on. */
int paused_waits(const struct machine *m);

/* Tells if that leads on from the program's last answer: this machine was not put back
 * after it. */
int paused_goes_on(const struct machine *m);

/* Has (request) for the program that goes on from its frozen wait, and fills in what
 * the stub at RESUME_ADDR is called with. 0, or -EPROTO with the reason. */
int paused_resume(struct machine *m, const struct kvm_request *request,
                  struct resume_frame *frame);

/* Keeps (request) for the program that goes on from its last answer, until it waits. */
void paused_go_on(struct machine *m, const struct kvm_request *request);

/* The program waits with room for a request at (addr), and gets the one that is kept.
 * Returns rax. */
long paused_wait(struct machine *m, uint64_t addr);

#endif
