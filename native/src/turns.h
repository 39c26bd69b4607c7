/* turns.h: which thread runs: they share the vCPU, one after the other.
 *
 * The one that runs is left when it waits, ends or yields, and when it has run for a
 * while and others can run too. All of this is for machines that have a table of
 * threads. */
#ifndef SKERRY_TURNS_H
#define SKERRY_TURNS_H

#include "threads.h"

/* The thread that runs does not go on behind its system call, but when it is woken, or
 * at (until), 0 = never. What the call returns is the result without a wake. */
void turns_wait(struct machine *m, uint64_t futex, uint32_t bits, uint64_t until);
void turns_yield(struct machine *m);

/* It has ended: its place is free. */
void turns_end(struct machine *m);

/* A thread has been added, or has been woken. */
void turns_more(struct machine *m);

/* Wakes at most (most), at least one, of those that wait on (futex) for one of (bits).
 * Returns how many. The machine may be without a table. */
int turns_wake(struct machine *m, uint64_t futex, uint32_t bits, int most);

/* A system call is about to be answered, which may be one that is made again. */
void turns_before_call(struct machine *m);

/* A system call has been answered: goes on with who is next, if that is another one. 0
 * or -EPROTO. */
int turns_after_call(struct machine *m);

/* Goes on with whoever can run: the machine has slept until somebody could. 0 or
 * -EPROTO. */
int turns_next(struct machine *m);

/* The vCPU was kicked out of the program: somebody else may have his turn. 0 or
 * -EPROTO. */
int turns_tick(struct machine *m);

/* Before the machine runs: sees to it that it is kicked when there are others. */
void turns_begin(struct machine *m);

#endif
