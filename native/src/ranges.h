/* ranges.h: ranges of addresses, sorted and apart, in a balanced tree: a program may
 * have as many as Linux allows it, and no call of it costs more than a few steps for
 * each range that it concerns. */
#ifndef SKERRY_RANGES_H
#define SKERRY_RANGES_H

#include "layout.h"

struct far_range {
    uint64_t begin, end;
    int access; /* ACCESS_*, 0 = reserved only */
};

/* A range, and what is said of all that are below it in the tree, itself included. */
struct range_node {
    struct far_range range;
    uint32_t left, right; /* numbers of nodes, 0 = none */
    uint32_t height;
    uint64_t low, high, gap; /* first and last address; the widest between two */
};

/* All zero: none. Plain data but for (node). */
struct ranges {
    struct range_node *node; /* malloc'ed, room for (capacity), [0] is not used; NULL */
    uint32_t root, count;
    uint32_t used,
        capacity;    /* nodes: that have ever been used; that there is room for */
    uint32_t unused; /* one of these, whose left is the next; 0 = none */
};

void ranges_close(struct ranges *r);

/* Makes (to) equal to (from). Returns 0; or -ENOMEM, and (to) is as it was. */
int ranges_copy(struct ranges *to, const struct ranges *from);

/* The first that ends behind (addr), or NULL. Good until the next change. */
const struct far_range *ranges_after(const struct ranges *r, uint64_t addr);

/* Makes room for (more) than there are. 0 or -ENOMEM. */
int ranges_reserve(struct ranges *r, uint32_t more);

/* Adds (range), which is apart from all others, and for which there is room. */
void ranges_add(struct ranges *r, struct far_range range);

/* Takes out the one that begins at (begin). */
void ranges_remove(struct ranges *r, uint64_t begin);

/* The highest multiple of (align) in (whole) with (len) free bytes behind it; or 0. A
 * gap that has room only at the right place in it may not be found. */
uint64_t ranges_gap(const struct ranges *r, struct region whole, uint64_t len,
                    uint64_t align);

#endif
