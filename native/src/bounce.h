/* bounce.h: bytes of far pages that do not lie side by side, in one piece for the host.
 *
 * For the length of one call of the guest, and of its answer. What was meant to be
 * written goes back to its pages when the call ends. */
#ifndef SKERRY_BOUNCE_H
#define SKERRY_BOUNCE_H

#include "guestmem.h"

/* Bytes of one call: far buffers beyond that have to lie in one piece. */
#define BOUNCE_MAX (64UL << 20)

struct bounce {
    struct bounce_piece *first;
    uint64_t bytes;
};

/* A copy of (len) bytes at (addr), which ring 3 may read and are backed; with (back),
 * to be written back. NULL without memory for it. */
uint8_t *bounce_copy(const struct guestmem *gm, uint64_t addr, uint64_t len, int back);

/* The call has ended: writes back. */
void bounce_settle(struct guestmem *gm);

/* Nobody looks at the copies any more. */
void bounce_drop(struct guestmem *gm);

#endif
