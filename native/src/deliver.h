/* deliver.h: signals reach the program: its handler is called on its stack, and
 * rt_sigreturn leads back; or they end the run. */
#ifndef SKERRY_DELIVER_H
#define SKERRY_DELIVER_H

#include "machine.h"

struct exception_frame; /* stubs.h */

/* Of the thread that runs. */
static inline struct thread_signals *deliver_thread(const struct machine *m)
{
    return &m->process->signals;
}

/* Delivers what is pending and not blocked to the program, which has stopped at a
 * system call or in its own code; its sleep may end by it. 0, or -EPROTO with the
 * reason when a signal ends the program. */
int deliver_pending(struct machine *m);

/* Exception (vector) of the program, with (frame), becomes a signal if that has a
 * handler which can be called. Tells if it did. */
int deliver_exception(struct machine *m, unsigned vector,
                      const struct exception_frame *frame);

/* rt_sigreturn(). Returns rax; or -EPROTO with the reason, and sets (*ends). */
long deliver_return(struct machine *m, int *ends);

/* Tells if the alarm is due at (now); sends the SIGALRM of one that is: 0, or -EPROTO
 * with the reason when that ends the program. */
int deliver_alarm_due(const struct machine *m, uint64_t now);
int deliver_alarm(struct machine *m, uint64_t now);

/* Tells if the vCPU, which was interrupted, is in code of the program, between two of
 * its instructions. */
int deliver_may_interrupt(struct machine *m);

/* The program, which sleeps, is awake when a signal is there that it waits for. */
void deliver_wanted(struct machine *m);

#endif
