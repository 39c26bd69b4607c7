/* waits.h: which of the threads of a table can run, and what the others wait for. */
#ifndef SKERRY_WAITS_H
#define SKERRY_WAITS_H

#include "threads.h"

/* (thread) stands last in the line of those that can run, or that wait for the same. */
void waits_last(struct threads *t, struct thread *thread);

/* (thread) waits on (futex), 0 = nothing, for a wake with one of (bits), or until
 * (until), 0 = for ever. */
void waits_begin(struct threads *t, struct thread *thread, uint64_t futex,
                 uint32_t bits, uint64_t until);

/* (thread) can run. */
void waits_end(struct threads *t, struct thread *thread);

/* Who can run, and has waited longest for it; NULL: nobody. */
struct thread *waits_next(struct threads *t);

/* Tells if others than the current one can run. */
int waits_others(const struct threads *t);

/* When the first of those goes on that wait for a time, 0 = there is none; and those go
 * on whose time has come by (now). */
uint64_t waits_first_time(const struct threads *t);
void waits_end_times(struct threads *t, uint64_t now);

/* Who waits longest on (futex) for one of (bits), or NULL. */
struct thread *waits_on(struct threads *t, uint64_t futex, uint32_t bits);

/* Has at most (most) of those that wait on (futex) wait on (other). Returns how many.
 */
int waits_move(struct threads *t, uint64_t futex, uint64_t other, int most);

/* Times stand still from (now) on, which is when nothing counts as changed; and go on.
 */
void waits_freeze(struct threads *t, uint64_t now);
void waits_thaw(struct threads *t, uint64_t now);

#endif
