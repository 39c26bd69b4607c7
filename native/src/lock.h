/* lock.h: the lock of a program's storage, in memory that worker processes share.
 *
 * A process owns it, not a thread: any thread may give back what another one took, and
 * an owner counts as dead when its last thread has gone, as until then one of them may
 * still run a guest in the memory that the lock guards. */
#ifndef SKERRY_LOCK_H
#define SKERRY_LOCK_H

#include "error.h"

#define LOCK_SEATS 126 /* processes that may take part at the same time */
#define LOCK_WAITERS 128

/* Plain data in shared memory; all zero = free. Whatever instruction a process dies in,
 * the others can go on with what it leaves here. */
struct lock {
    uint64_t owner;       /* times taken << 8 | seat number + 1, or 0 while free */
    uint64_t released_at; /* when it was last given back while somebody waited, ns */
    uint32_t waiters;     /* 0: nobody waits; 1: somebody may */
    uint32_t releases;    /* the futex: changes when it is given back to waiters */
    uint64_t waiting[LOCK_WAITERS]; /* the tickets of those that wait, 0 = no one */
};

/* This process's place at a lock: one per process and lock, used by all its threads. */
struct lock_seat {
    int fd;
    uint32_t number;
};

/* Of one that waits, kept by the caller between calls; all zero: does not wait. */
struct lock_ticket {
    uint32_t place;
    uint64_t since; /* CLOCK_MONOTONIC ns, with the seat in the lowest bits */
};

/* Takes a place for this process at the lock in (memfd), whose OFD locks on bytes 0 to
 * LOCK_SEATS - 1 it uses. It opens (memfd) anew through /proc/self/fd, so that no other
 * process shares the file description; a child that is forked later does, and keeps the
 * place taken until it ends or executes another program.
 * Returns 0; 1: the place's last owner died holding the lock, which is now ours: repair
 * what it guards, then lock_give; -EUSERS when all places are taken; or -errno. */
int lock_join(struct lock *l, int memfd, struct lock_seat *seat,
              struct skerry_error *err);

/* The same with (fd), which another process has opened so for this one, and which is
 * taken over, whatever comes back: for processes that may not open files. */
int lock_join_with(struct lock *l, int fd, struct lock_seat *seat,
                   struct skerry_error *err);

/* Who has just joined with (seat) does this for each further lock that has the same
 * seats. 1: the place's last owner died holding it, and it is ours now; else 0. */
int lock_inherit(struct lock *l, const struct lock_seat *seat);

/* Leaves the place to others. The lock must not be held, nor waited for. */
void lock_leave(struct lock_seat *seat);

/* Waits for the lock until (until) at most, CLOCK_MONOTONIC ns; looks once if that is
 * over. Returns 0: taken; 1: taken from an owner that died: repair what it guards;
 * -EAGAIN: not yet: call again with the same ticket, from any thread, or lock_forget
 * it. The ticket is zero again when the lock is taken. */
int lock_take(struct lock *l, const struct lock_seat *seat, struct lock_ticket *t,
              uint64_t until);

/* Waits no longer. A ticket that does not wait is fine. */
void lock_forget(struct lock *l, struct lock_ticket *t);

/* Gives the lock back, from any thread of its owner. Nothing happens when this process
 * does not own it. */
void lock_give(struct lock *l, const struct lock_seat *seat);

#endif
