/* sys_far.h: mappings at far addresses, for the calls of sys_mem.c. Ranges come rounded
 * to pages and not empty; results are those of Linux: an address, 0, or -errno. */
#ifndef SKERRY_SYS_FAR_H
#define SKERRY_SYS_FAR_H

#include "machine.h"

/* Tells if all of [addr, addr + len) may be mapped. */
int far_holds(const struct machine *m, uint64_t addr, uint64_t len);

/* Maps zeros at (addr), in the place of what was there. */
long far_map(struct machine *m, uint64_t addr, uint64_t len, int access);

/* Maps zeros where there is room. */
long far_map_anywhere(struct machine *m, uint64_t len, int access);

long far_unmap(struct machine *m, uint64_t addr, uint64_t len);
long far_set_access(struct machine *m, uint64_t addr, uint64_t len, int access);

/* mremap's, with (flags) that go together: the mapping goes to (*fixed) if that is not
 * NULL. */
long far_resize(struct machine *m, uint64_t addr, uint64_t old, uint64_t len,
                uint64_t flags, const uint64_t *fixed);

/* MADV_DONTNEED: what is there reads as zeros, and costs no memory. */
long far_forget(struct machine *m, uint64_t addr, uint64_t len);

/* At the freeze of storage, whose page tables then belong to several machines: all that
 * may be used gets its memory. 0, or -ENOMEM. */
int far_fill(struct machine *m);

#endif
