/* sys_futex_pi.h: locks that their holder is known of: FUTEX_LOCK_PI and its kin. */
#ifndef SKERRY_SYS_FUTEX_PI_H
#define SKERRY_SYS_FUTEX_PI_H

#include "syscall.h"

/* Takes the lock at (addr), or waits until the time at (time), by (clock); (time) 0:
 * for ever. 0, -EDEADLK, -ESRCH, -EFAULT or -EINVAL; -ETIMEDOUT unless it is given. */
long futex_lock(struct call *c, uint64_t addr, clockid_t clock, uint64_t time);

/* The same, but -EAGAIN instead of a wait. */
long futex_try_lock(struct call *c, uint64_t addr);

/* 0, -EPERM to who does not hold it, or -EFAULT. */
long futex_unlock(struct call *c, uint64_t addr);

/* The thread that runs ends: locks of its that others wait for become theirs, and tell
 * how. The table must be there. */
void futex_leave_locks(struct machine *m);

#endif
