/* handler.h: a handler of the program is called on its stack, and rt_sigreturn leads
 * back. */
#ifndef SKERRY_HANDLER_H
#define SKERRY_HANDLER_H

#include "machine.h"
#include "sigframe.h"

#define USER_END (1UL << 47) /* KVM refuses to enter where no address can be */

/* An XSAVE image with room for what a frame has behind it. */
struct vectors {
    _Alignas(64) uint8_t image[XSAVE_MOST + 64];
};

/* Of the thread that runs. */
static inline struct thread_signals *handler_thread(const struct machine *m)
{
    return &m->process->signals;
}

/* The vectors that the program has now. 0 or -EFAULT. */
int handler_vectors(const struct machine *m, struct vectors *v);

/* The program's registers. `syscall` has left two of them in others. */
struct kvm_regs handler_registers(const struct machine *m);

/* Tells if a signal that cannot wait has a handler now. */
int handler_can_be_called(const struct machine *m, int signal);

/* (r) becomes what the handler of (info) begins with; or that of SIGSEGV, which is
 * called instead of one that has no room for its frame. 0, or -EFAULT: neither has. */
int handler_call(struct machine *m, struct kvm_regs *r, const struct signal_info *info);

/* rt_sigreturn(). Returns rax; or -EPROTO with the reason, and sets (*ends). */
long handler_return(struct machine *m, int *ends);

#endif
