/* vcpu.h: the state of a vCPU: what it starts with, and how a function is called on it.
 */
#ifndef SKERRY_VCPU_H
#define SKERRY_VCPU_H

#include "vm.h"

/* Gives a new vCPU its CPUID, XCR0, MSRs and segments: ring 3, 64-bit, paging on. */
int vcpu_setup(struct vm *vm, const struct layout *l, struct skerry_error *err);

/* Starts at (rip) with stack (rsp) and no other state: the entry of a program. */
void vcpu_start(struct vm *vm, uint64_t rip, uint64_t rsp);

/* A function of the program, called through the trampoline. */
struct guest_call {
    uint64_t function;
    uint64_t arg[6];
    uint64_t rsp; /* 16-byte aligned */
    uint64_t fs_base, gs_base;
};

/* The next KVM_RUN calls (call). With (privileged) the registers that ring 3 cannot
 * change are put back too: for a vCPU that was stopped in the middle of something. */
void vcpu_call(struct vm *vm, const struct guest_call *call, int privileged);

/* Ends an exception: the next KVM_RUN goes on in ring 3, with all other registers as
 * they are. */
void vcpu_leave_exception(struct vm *vm, uint64_t rip, uint64_t rsp, uint64_t rflags);

/* Result of a host call or system call; the next KVM_RUN goes on behind it. */
void vcpu_return(struct vm *vm, uint64_t rax, uint64_t rdx);

/* The vCPU has exited for a host call: it goes on behind that, with (rax) as its
 * result, and its registers say so. */
void vcpu_step_over(struct vm *vm, const struct guestmem *gm, uint64_t rax);

/* The next KVM_RUN goes on in ring 3, wherever the vCPU has stopped, with (r); the data
 * segments and their bases stay. */
void vcpu_resume(struct vm *vm, const struct kvm_regs *r);

/* The next KVM_RUN takes the segments and control registers from the kvm_run page too.
 */
void vcpu_set_sregs(struct vm *vm);

static inline struct kvm_regs *vcpu_regs(const struct vm *vm)
{
    return &vm->run->s.regs.regs;
}

#endif
