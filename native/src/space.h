/* space.h: the far ranges of a program's address space: what it has mapped there, and
 * with what access. Addresses only; what is behind them is far.h's.
 *
 * Sorted and apart; neighbours of the same access are one. */
#ifndef SKERRY_SPACE_H
#define SKERRY_SPACE_H

#include <stddef.h>

#include "ranges.h"

#define SPACE_RANGES 65530 /* vm.max_map_count, as it usually is */

/* Plain data but for (ranges), which are its own. All zero: nothing may be mapped. */
struct space {
    struct ranges ranges;
    uint64_t limit, total; /* bytes: the most that may be mapped, and what is */
    uint64_t next_table;   /* pages of layout.far_tables from here on are unused ... */
    uint64_t free_table; /* ... and so is this; its first word is the next. 0 = none */
    int changed;         /* page tables are not as frozen */
    int exhausted;       /* there was no memory for a page that the program may use */
};

/* Makes an empty one, of at most (limit) bytes, whose tables begin at (tables). */
void space_init(struct space *s, uint64_t limit, uint64_t tables);
void space_close(struct space *s);

/* Makes (to) equal to (from). Returns 0; or -ENOMEM, and (to) is as it was. */
int space_copy(struct space *to, const struct space *from);

/* The range that has (addr), or NULL. */
const struct far_range *space_find(const struct space *s, uint64_t addr);

/* The first that ends behind (addr), or NULL: to go through all of them. */
const struct far_range *space_next(const struct space *s, uint64_t addr);

/* Tells if nothing, or everything, of (r) is mapped. */
int space_is_free(const struct space *s, struct region r);
int space_is_mapped(const struct space *s, struct region r);

/* Maps (r), not empty, with (access), in the place of what was there. Returns 0; or
 * -ENOMEM, with nothing changed, for too many bytes or ranges. */
int space_map(struct space *s, struct region r, int access);

/* Unmaps (r); 0, or -ENOMEM with nothing changed: it would leave too many ranges. */
int space_unmap(struct space *s, struct region r);

/* The highest free (len) bytes in (whole), from a multiple of (align) on; or 0. */
uint64_t space_gap(const struct space *s, struct region whole, uint64_t len,
                   uint64_t align);

/* The ranges as bytes, and back, into (s), which has none. 0; -EINVAL if they are not
 * sorted and apart, or too many; or -ENOMEM. */
size_t space_packed(const struct space *s);
void space_pack(const struct space *s, uint8_t *dst);
int space_unpack(struct space *s, const uint8_t *src, size_t size);

#endif
