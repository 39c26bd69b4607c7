/* far.h: what is behind a program's far ranges.
 *
 * Nothing, until the program or the host touches a page. Then it gets memory from the
 * mmap arena, so max_memory bounds what is used and not what is mapped: 2 MB at once
 * where the range has them and the arena has plenty, so that most buffers are in one
 * piece for the host.
 *
 * Entries that come or allow more are seen by a KVM without further ado; where others
 * change, the caller of these functions has the tables forgotten (machine.h). */
#ifndef SKERRY_FAR_H
#define SKERRY_FAR_H

#include "guestmem.h"
#include "paging.h"

/* Has memory behind the page at (addr). Returns 0; -EFAULT where the program may not do
 * (access); or -ENOMEM, and space->exhausted is set. */
int far_back(const struct guestmem *gm, uint64_t addr, int access);

/* The address in slot 0 of the page behind (addr), backed if need be; or 0. */
uint64_t far_page(const struct guestmem *gm, uint64_t addr, int access);

/* Of [addr, addr + len): all that ring 3 may do (access) with is backed. 0 or as
 * far_back. */
int far_back_all(const struct guestmem *gm, uint64_t addr, uint64_t len, int access);

/* Takes all memory from behind (r). Tells if entries are gone. */
int far_clear(const struct guestmem *gm, struct region r);

/* Gives the pages behind (r) another access. Tells if one has lost some. */
int far_protect(const struct guestmem *gm, struct region r, int access);

/* Puts what is behind [from, from + len) behind (to), where nothing is. Tells if
 * entries are gone, or returns -ENOMEM with space->exhausted set. */
int far_move(const struct guestmem *gm, uint64_t from, uint64_t to, uint64_t len);

#endif
