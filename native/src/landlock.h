/* landlock.h: files, ports and signals that a thread can no longer reach. */
#ifndef SKERRY_LANDLOCK_H
#define SKERRY_LANDLOCK_H

#include <stdint.h>

#include "error.h"

/* The calling thread, and those it will make, may do nothing more with names of files,
 * TCP ports, abstract sockets and processes outside; what is open stays so. Of the
 * (count) directories (readable) they may read what lies below. Needs no_new_privs.
 *
 * Returns the kernel's version of Landlock, of which all rights are taken up to 7's; 0
 * when it has none; or -errno. */
int landlock_enter(const char *const *readable, uint32_t count,
                   struct skerry_error *err);

/* Tells if that version has taken the threads that existed already, too. */
int landlock_takes_threads(int version);

#endif
