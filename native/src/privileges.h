/* privileges.h: what a process may do because of who it is. */
#ifndef SKERRY_PRIVILEGES_H
#define SKERRY_PRIVILEGES_H

#include <stdint.h>

#include "error.h"

/* No program that is started has more rights than who starts it: setuid files do
 * nothing. Of this thread and those it will make. 0 or -errno. */
int privileges_freeze(struct skerry_error *err);

/* No core files, and at most (files) open descriptors; 0 leaves these as they are.
 * Neither can be raised again without privileges. 0 or -errno. */
int privileges_limit(uint32_t files, struct skerry_error *err);

/* Root becomes (uid) and (gid), without other groups, in all threads; another user, or
 * with (uid) 0, stays. Then all capabilities go, also from the bounding set, and no
 * process of the same user may look into this one. 0 or -errno: what has gone by then
 * does not come back. */
int privileges_drop(uint32_t uid, uint32_t gid, struct skerry_error *err);

#endif
