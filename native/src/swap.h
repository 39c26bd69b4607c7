/* swap.h: a thread from the vCPU into its place in the table, and back.
 *
 * A thread is left in ring 3 only, and with nothing pending: behind a system call that
 * has been answered, or between two instructions of its own. */
#ifndef SKERRY_SWAP_H
#define SKERRY_SWAP_H

#include "threads.h"

/* Notes the thread that runs in place (i), with what the kernel knows of it. It is in a
 * system call (swap_in_call), or swap_can. 0 or -EPROTO. */
int swap_out(struct machine *m, uint32_t i);

/* The vCPU goes on with what place (i) has. 0 or -EPROTO. */
int swap_in(struct machine *m, uint32_t i);

/* The thread that runs, in a system call, makes that again when it goes on. */
void swap_again(struct machine *m);

#define SYSCALL_BYTES 2

/* The registers of a thread that waits in a system call, with which it goes on. */
struct kvm_regs *swap_registers(struct machine *m, struct thread *of);

/* The same for what the kernel knows alone. */
void swap_in_own(struct machine *m, const struct thread *from);

/* The program was kicked: tells if its thread can be left there. Needs
 * KVM_SYNC_X86_EVENTS among the valid registers. */
int swap_can(const struct machine *m);

/* Tells if the last exit was that of the system-call stub. */
int swap_in_call(const struct machine *m);

#endif
