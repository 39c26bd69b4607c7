/* waiting.h: which of the threads of a table can run, and what the others wait for. */
#ifndef SKERRY_WAITING_H
#define SKERRY_WAITING_H

#include "threads.h"

/* (thread) stands last in the line of those that can run, or that wait for the same. */
void waiting_last(struct threads *t, struct thread *thread);

/* (thread) waits on (futex), 0 = nothing, for a wake with one of (bits), or until
 * (until), 0 = for ever. */
void waiting_begin(struct threads *t, struct thread *thread, uint64_t futex,
                   uint32_t bits, uint64_t until);

/* (thread), which waits, makes its call again: also when others have made one. */
void waiting_again(struct threads *t, struct thread *thread);
void waiting_end_again(struct threads *t);

/* (thread) can run. */
void waiting_end(struct threads *t, struct thread *thread);

/* Who can run, and has waited longest for it; NULL: nobody. */
struct thread *waiting_next(struct threads *t);

/* Tells if others than the current one can run. */
int waiting_others(const struct threads *t);

/* When the first of those goes on that wait for a time, 0 = there is none; and those go
 * on whose time has come by (now). */
uint64_t waiting_first_time(const struct threads *t);
void waiting_end_times(struct threads *t, uint64_t now);

/* Of the bits of a wait: no wake ends it, as it is for a lock that is handed over. */
#define WAITING_FOR_LOCK 0

/* Who has waited longest for the lock at (futex), or NULL. */
struct thread *waiting_for_lock(struct threads *t, uint64_t futex);

/* Who waits longest on (futex) for one of (bits), or NULL. */
struct thread *waiting_on(struct threads *t, uint64_t futex, uint32_t bits);

/* Has at most (most) of those that wait on (futex) wait on (other). Returns how many.
 */
int waiting_move(struct threads *t, uint64_t futex, uint64_t other, int most);

/* Times stand still from (now) on, which is when nothing counts as changed; and go on.
 */
void waiting_freeze(struct threads *t, uint64_t now);
void waiting_thaw(struct threads *t, uint64_t now);

#endif
