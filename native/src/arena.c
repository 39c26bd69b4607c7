/* arena.c: see arena.h. */
#include "arena.h"

#include <string.h>

void arena_init(struct arena *a, struct region whole)
{
    memset(a, 0, sizeof(*a));
    a->whole = whole;
    a->low = whole.end;
    if (whole.begin < whole.end)
        a->free[a->count++] = whole;
}

static void remove_at(struct arena *a, uint32_t i)
{
    a->count--;
    memmove(&a->free[i], &a->free[i + 1], (a->count - i) * sizeof(*a->free));
}

static void insert_at(struct arena *a, uint32_t i, struct region r)
{
    memmove(&a->free[i + 1], &a->free[i], (a->count - i) * sizeof(*a->free));
    a->free[i] = r;
    a->count++;
}

static uint64_t size_of(struct region r)
{
    return r.end - r.begin;
}

static void drop_smallest(struct arena *a)
{
    uint32_t smallest = 0;
    for (uint32_t i = 1; i < a->count; i++)
        if (size_of(a->free[i]) < size_of(a->free[smallest]))
            smallest = i;
    remove_at(a, smallest);
}

/* The highest free range of (len) bytes that lies in (among); or NULL. */
static struct region *find(struct arena *a, uint64_t len, struct region among)
{
    for (uint32_t i = a->count; i-- > 0;) {
        struct region *r = &a->free[i];
        if (r->begin >= among.begin && r->end <= among.end && size_of(*r) >= len)
            return r;
    }
    return NULL;
}

uint64_t arena_take(struct arena *a, uint64_t len, uint64_t *stale)
{
    struct region *r = NULL;
    if (len)
        r = find(a, len, (struct region){a->whole.begin, a->open});
    if (len && !r)
        r = find(a, len, a->whole);
    if (!r)
        return 0;
    r->end -= len;
    uint64_t addr = r->end;
    if (size_of(*r) == 0)
        remove_at(a, (uint32_t)(r - a->free));
    *stale = a->low > addr ? a->low : addr;
    if (addr < a->low)
        a->low = addr;
    return addr;
}

uint64_t arena_room(const struct arena *a)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < a->count; i++)
        sum += size_of(a->free[i]);
    return sum;
}

int arena_is_free(const struct arena *a, uint64_t addr, uint64_t len)
{
    for (uint32_t i = 0; i < a->count; i++)
        if (region_holds(a->free[i], addr, len))
            return 1;
    return 0;
}

int arena_has_free(const struct arena *a, uint64_t addr, uint64_t len)
{
    for (uint32_t i = 0; i < a->count; i++)
        if (a->free[i].begin < addr + len && a->free[i].end > addr)
            return 1;
    return 0;
}

/* Cuts [begin, end) out of free range (i). Returns how far to move on in the table. */
static uint32_t cut(struct arena *a, uint32_t i, uint64_t begin, uint64_t end)
{
    struct region r = a->free[i];
    remove_at(a, i);
    if (r.end > end && a->count < ARENA_RANGES)
        insert_at(a, i, (struct region){end, r.end});
    if (r.begin >= begin)
        return i;
    if (a->count == ARENA_RANGES)
        return i;
    insert_at(a, i, (struct region){r.begin, begin});
    return i + 1;
}

int arena_take_at(struct arena *a, uint64_t addr, uint64_t len)
{
    if (!region_holds(a->whole, addr, len))
        return -1;
    for (uint32_t i = 0; i < a->count;) {
        if (a->free[i].end <= addr || a->free[i].begin >= addr + len)
            i++;
        else if ((i = cut(a, i, addr, addr + len)) < a->count &&
                 a->free[i].begin >= addr + len)
            break;
    }
    if (addr < a->low)
        a->low = addr;
    return 0;
}

void arena_give(struct arena *a, uint64_t addr, uint64_t len)
{
    if (addr < a->open && len > a->open - addr) {
        arena_give(a, a->open, len - (a->open - addr));
        len = a->open - addr;
    }
    if (!len || arena_take_at(a, addr, len) < 0)
        return;
    uint32_t i = 0;
    while (i < a->count && a->free[i].begin < addr)
        i++;
    struct region r = {addr, addr + len};
    if (i < a->count && a->free[i].begin == r.end && r.end != a->open) {
        r.end = a->free[i].end;
        remove_at(a, i);
    }
    if (i > 0 && a->free[i - 1].end == addr && addr != a->open) {
        a->free[i - 1].end = r.end;
        return;
    }
    if (a->count == ARENA_RANGES) {
        drop_smallest(a);
        arena_give(a, r.begin, size_of(r));
        return;
    }
    insert_at(a, i, r);
}

void arena_freeze(struct arena *a, uint64_t open)
{
    a->open = open;
    for (uint32_t i = 0; i < a->count; i++) {
        struct region r = a->free[i];
        if (r.begin >= open || r.end <= open)
            continue;
        a->free[i].end = open;
        arena_give(a, open, r.end - open);
        return;
    }
}
