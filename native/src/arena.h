/* arena.h: addresses for a program's anonymous mappings.
 *
 * Mappings are cut from the top of the arena downwards. What lies below (low) was never
 * handed out, so it is zero; what lies above may hold old bytes. In a frozen arena what
 * lies below (open) is handed out first, and never becomes one with the rest. */
#ifndef SKERRY_ARENA_H
#define SKERRY_ARENA_H

#include "layout.h"

#define ARENA_RANGES 64

struct arena {
    struct region free[ARENA_RANGES]; /* sorted, apart from each other, not empty */
    uint32_t count;
    uint64_t low;
    uint64_t open; /* 0 before the freeze */
    struct region whole;
};

void arena_init(struct arena *a, struct region whole);

/* Takes (len) bytes, a multiple of the page size. Returns the address, or 0. The bytes
 * from max(address, *stale) to the end may be old: *stale is set to where they begin.
 */
uint64_t arena_take(struct arena *a, uint64_t len, uint64_t *stale);

/* Bytes that are free, in one piece or not. */
uint64_t arena_room(const struct arena *a);

/* Tells if all of [addr, addr + len) is free. */
int arena_is_free(const struct arena *a, uint64_t addr, uint64_t len);

/* Tells if some of [addr, addr + len) is free. */
int arena_has_free(const struct arena *a, uint64_t addr, uint64_t len);

/* Takes exactly [addr, addr + len), whatever was there. 0, or -1 when outside. */
int arena_take_at(struct arena *a, uint64_t addr, uint64_t len);

/* Gives a range back. When the table is full the smallest free range is lost until the
 * next reset: a program that leaves that many holes runs out sooner, and harms no one.
 */
void arena_give(struct arena *a, uint64_t addr, uint64_t len);

/* Sets (open). */
void arena_freeze(struct arena *a, uint64_t open);

#endif
