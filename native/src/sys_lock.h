/* sys_lock.h: fcntl()'s record locks. */
#ifndef SKERRY_SYS_LOCK_H
#define SKERRY_SYS_LOCK_H

#include "syscall.h"

/* F_SETLK, F_SETLKW and F_GETLK of (h); the third argument is a struct flock. 0 or
 * -errno. */
long lock_records(struct call *c, const struct handle *h);

#endif
