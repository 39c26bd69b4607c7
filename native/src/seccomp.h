/* seccomp.h: which system calls are left. What is refused stays refused, for all
 * threads of the process, those that exist already among them. */
#ifndef SKERRY_SECCOMP_H
#define SKERRY_SECCOMP_H

#include "error.h"

/* From here on only what seccomp_calls.c lists. Another call ends the process with
 * SIGSYS if (kill); else it fails with EPERM, and a line on descriptor 2 names it.
 * (A thread that blocks SIGSYS, as the watchdog does, ends the process in any case.)
 * With (reads), files may be opened for reading: Landlock has to say which.
 * Needs no_new_privs, or CAP_SYS_ADMIN. 0 or -errno. */
int seccomp_enter(int kill, int reads, struct skerry_error *err);

/* From here on no ring of io_uring can be made. 0 or -errno; needs the same. */
int seccomp_refuse_rings(struct skerry_error *err);

#endif
