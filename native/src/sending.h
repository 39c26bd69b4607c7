/* sending.h: who gets a signal, and what becomes of the wait that it ends. */
#ifndef SKERRY_SENDING_H
#define SKERRY_SENDING_H

#include "threads.h"

/* (info) is sent to the thread with (tid), which is there; to the one that runs; or to
 * the program: to one of its threads that lets it through, or the first that will. 0;
 * -EAGAIN when a signal that must not lose its siginfo finds no room; or -EPROTO, with
 * the reason, when it ends the program at once. */
int sending_to(struct machine *m, uint32_t tid, const struct signal_info *info);
int sending_to_itself(struct machine *m, const struct signal_info *info);
int sending_to_program(struct machine *m, const struct signal_info *info);

/* (signal) is not pending any more, for anybody. */
void sending_forget(struct machine *m, int signal);

/* The program ends by (signal). Returns -EPROTO. */
int sending_ends(struct machine *m, int signal);

/* Writes (info) to (addr), if that is not 0. Returns the signal, or -EFAULT. */
long sending_info(struct machine *m, uint64_t addr, const struct signal_info *info);

/* A handler with (flags) ends the wait of the thread that runs, if it waits, whose
 * registers are (r), behind its system call. */
void sending_interrupts(struct machine *m, struct kvm_regs *r, uint64_t flags);

#endif
