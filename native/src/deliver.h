/* deliver.h: signals reach the program: a handler is called, a wait ends, or the run.
 */
#ifndef SKERRY_DELIVER_H
#define SKERRY_DELIVER_H

#include "machine.h"

/* Delivers what is pending and not blocked to the program, which has stopped at a
 * system call or in its own code; its sleep may end by it. 0, or -EPROTO with the
 * reason when a signal ends the program. */
int deliver_pending(struct machine *m);

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
