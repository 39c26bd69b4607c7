/* near.h: a program's memory below max_memory, where an address is that of its memory.
 *
 * Memory that has never been handed out can be read and written, and stays so: what a
 * request maps for itself it gets from there, and neither mapping nor unmapping it
 * changes an entry of the page tables. Memory that was mapped when the machine was
 * frozen, and all memory during start-up, is closed when it is unmapped, as on Linux.
 * In storage nothing is closed after its freeze: several machines share its tables. */
#ifndef SKERRY_NEAR_H
#define SKERRY_NEAR_H

#include "machine.h"

/* Tells if all of [addr, addr + len) is memory whose access a program may set: image,
 * heap, stacks, and what is mapped. */
int near_is_mapped(const struct machine *m, uint64_t addr, uint64_t len);

/* Gives pages, a range of near_is_mapped, another access. 0; or -EACCES: in storage,
 * after its freeze, they have no more than they had. */
int near_set_access(struct machine *m, uint64_t addr, uint64_t len, int access);

/* (len) bytes of zeros that can be read and written, or 0. The host's time for them
 * follows what of them has been in use before. */
uint64_t near_take(struct machine *m, uint64_t len);

/* The same at (addr), in the place of what is there. 0 or -ENOMEM. */
int near_take_at(struct machine *m, uint64_t addr, uint64_t len);

/* Makes [addr, addr + len), a range of near_is_mapped, zeros, whatever its access. */
void near_zero(struct machine *m, uint64_t addr, uint64_t len);

/* Unmaps what lies in [begin, end) of the program's memory. */
void near_unmap(struct machine *m, uint64_t begin, uint64_t end);

/* The machine is about to be frozen: what is free from here on, and how. */
void near_freeze(struct machine *m);

#endif
