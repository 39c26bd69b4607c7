/* remains.h: a machine that has failed, to be looked at: where it was, its registers
 * and its memory. */
#ifndef SKERRY_REMAINS_H
#define SKERRY_REMAINS_H

#include "machine.h"
#include "shm.h"

/* Where the program was when (m) stopped: the instruction that raised the exception, or
 * that made the call, or that was not run any more. */
uint64_t remains_rip(const struct machine *m);

/* The word on top of its stack, or 0 if the program may not read it. */
uint64_t remains_top(const struct machine *m);

/* Where it was, for people, " at 0x401234", or "" if the reason why (m) has failed
 * tells. */
struct place {
    char text[32];
};
struct place remains_place(const struct machine *m);

/* Looks at (m), which stays as it is until they are closed. (shm) is its shared memory,
 * or NULL. 0 or -errno. */
int remains_open(const struct machine *m, struct skerry_shm *shm,
                 struct skerry_remains **out, struct skerry_error *err);

/* The memory of (m) is theirs from now on, and ends with them. */
void remains_keep(struct skerry_remains *r, struct machine *m);

#endif
