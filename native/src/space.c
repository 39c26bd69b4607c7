/* space.c: see space.h. A table of this size is searched in less time than a page
 * fault takes, and changed by moving its end. */
#include "space.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CAPACITY 16

void space_init(struct space *s, uint64_t limit, uint64_t tables)
{
    *s = (struct space){.limit = limit, .next_table = tables};
}

void space_close(struct space *s)
{
    free(s->range);
    *s = (struct space){0};
}

static int reserve(struct space *s, uint32_t count)
{
    uint32_t capacity = s->capacity ? s->capacity : FIRST_CAPACITY;
    while (capacity < count)
        capacity *= 2;
    if (capacity == s->capacity)
        return 0;
    struct far_range *range = realloc(s->range, capacity * sizeof(*range));
    if (!range)
        return -ENOMEM;
    s->range = range;
    s->capacity = capacity;
    return 0;
}

int space_copy(struct space *to, const struct space *from)
{
    if (from->count && reserve(to, from->count) < 0)
        return -ENOMEM;
    struct far_range *range = to->range;
    uint32_t capacity = to->capacity;
    *to = *from;
    to->range = range;
    to->capacity = capacity;
    if (from->count)
        memcpy(range, from->range, from->count * sizeof(*range));
    return 0;
}

/* The first range that ends behind (addr). */
static uint32_t lower_bound(const struct space *s, uint64_t addr)
{
    uint32_t low = 0, high = s->count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (s->range[middle].end <= addr)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const struct far_range *space_find(const struct space *s, uint64_t addr)
{
    uint32_t i = lower_bound(s, addr);
    return i < s->count && s->range[i].begin <= addr ? &s->range[i] : NULL;
}

int space_is_free(const struct space *s, struct region r)
{
    uint32_t i = lower_bound(s, r.begin);
    return i == s->count || s->range[i].begin >= r.end;
}

/* Bytes of (r) that are mapped. */
static uint64_t mapped_bytes(const struct space *s, struct region r)
{
    uint64_t sum = 0;
    for (uint32_t i = lower_bound(s, r.begin);
         i < s->count && s->range[i].begin < r.end; i++) {
        const struct far_range *f = &s->range[i];
        sum += (f->end < r.end ? f->end : r.end) -
               (f->begin > r.begin ? f->begin : r.begin);
    }
    return sum;
}

int space_is_mapped(const struct space *s, struct region r)
{
    return mapped_bytes(s, r) == r.end - r.begin;
}

/* Puts (count) ranges in the place of (gone) from (i) on. There is room. */
static void splice(struct space *s, uint32_t i, uint32_t gone,
                   const struct far_range *with, uint32_t count)
{
    memmove(&s->range[i + count], &s->range[i + gone],
            (s->count - i - gone) * sizeof(*s->range));
    memcpy(&s->range[i], with, count * sizeof(*with));
    s->count = s->count - gone + count;
}

/* Adds (f) to the (count) ranges of (list), to the last one where that is the same. */
static uint32_t add(struct far_range *list, uint32_t count, struct far_range f)
{
    if (f.begin == f.end)
        return count;
    if (count && list[count - 1].end == f.begin && list[count - 1].access == f.access) {
        list[count - 1].end = f.end;
        return count;
    }
    list[count] = f;
    return count + 1;
}

/* Gives all of (r) to (new), which may be empty. Ranges that touch (r) are looked at
 * too: they may become one with it. */
static int replace(struct space *s, struct region r, struct far_range new)
{
    struct far_range list[3];
    uint32_t first = lower_bound(s, r.begin), last, count = 0;
    if (first > 0 && s->range[first - 1].end == r.begin)
        first--;
    for (last = first; last < s->count && s->range[last].begin <= r.end; last++)
        ;
    struct far_range before = {0}, after = {0};
    if (first < last) {
        before = s->range[first];
        after = s->range[last - 1];
        before.end = before.end < r.begin ? before.end : r.begin;
        after.begin = after.begin > r.end ? after.begin : r.end;
    }
    if (before.begin < before.end)
        count = add(list, count, before);
    count = add(list, count, new);
    if (after.begin < after.end)
        count = add(list, count, after);
    uint32_t total = s->count - (last - first) + count;
    if (total > SPACE_RANGES || reserve(s, total) < 0)
        return -ENOMEM;
    splice(s, first, last - first, list, count);
    return 0;
}

int space_map(struct space *s, struct region r, int access)
{
    uint64_t more = r.end - r.begin - mapped_bytes(s, r);
    if (more > s->limit - s->total)
        return -ENOMEM;
    int ret = replace(s, r, (struct far_range){r.begin, r.end, access});
    if (ret == 0)
        s->total += more;
    return ret;
}

int space_unmap(struct space *s, struct region r)
{
    uint64_t less = mapped_bytes(s, r);
    int ret = less ? replace(s, r, (struct far_range){0}) : 0;
    if (ret == 0)
        s->total -= less;
    return ret;
}

uint64_t space_gap(const struct space *s, struct region whole, uint64_t len,
                   uint64_t align)
{
    uint64_t end = whole.end;
    for (uint32_t i = s->count + 1; i-- > 0; end = s->range[i - 1].begin) {
        uint64_t begin = i ? s->range[i - 1].end : whole.begin;
        uint64_t at = end >= len ? (end - len) & ~(align - 1) : 0;
        if (len <= end && at >= begin)
            return at;
        if (i == 0)
            break;
    }
    return 0;
}
