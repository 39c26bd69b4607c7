/* space.c: see space.h. */
#include "space.h"

#include <errno.h>
#include <string.h>

void space_init(struct space *s, uint64_t limit, uint64_t tables)
{
    *s = (struct space){.limit = limit, .next_table = tables};
}

void space_close(struct space *s)
{
    ranges_close(&s->ranges);
    *s = (struct space){0};
}

int space_copy(struct space *to, const struct space *from)
{
    if (ranges_copy(&to->ranges, &from->ranges) < 0)
        return -ENOMEM;
    struct ranges ranges = to->ranges;
    *to = *from;
    to->ranges = ranges;
    return 0;
}

const struct far_range *space_next(const struct space *s, uint64_t addr)
{
    return ranges_after(&s->ranges, addr);
}

const struct far_range *space_find(const struct space *s, uint64_t addr)
{
    const struct far_range *f = space_next(s, addr);
    return f && f->begin <= addr ? f : NULL;
}

int space_is_free(const struct space *s, struct region r)
{
    const struct far_range *f = space_next(s, r.begin);
    return !f || f->begin >= r.end;
}

/* Bytes of (r) that are mapped. */
static uint64_t mapped_bytes(const struct space *s, struct region r)
{
    uint64_t sum = 0;
    const struct far_range *f = space_next(s, r.begin);
    for (; f && f->begin < r.end; f = space_next(s, f->end))
        sum += (f->end < r.end ? f->end : r.end) -
               (f->begin > r.begin ? f->begin : r.begin);
    return sum;
}

int space_is_mapped(const struct space *s, struct region r)
{
    return mapped_bytes(s, r) == r.end - r.begin;
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

/* The ranges that touch (r): how many, and the first and the last of them. */
static uint32_t touching(const struct space *s, struct region r,
                         struct far_range *first, struct far_range *last)
{
    uint32_t count = 0;
    const struct far_range *f = space_next(s, r.begin - 1);
    for (; f && f->begin <= r.end; f = space_next(s, f->end)) {
        *first = count++ ? *first : *f;
        *last = *f;
    }
    return count;
}

static void exchange(struct space *s, struct region r, const struct far_range *with,
                     uint32_t count)
{
    const struct far_range *f;
    while ((f = space_next(s, r.begin - 1)) && f->begin <= r.end)
        ranges_remove(&s->ranges, f->begin);
    for (uint32_t i = 0; i < count; i++)
        ranges_add(&s->ranges, with[i]);
}

/* Gives all of (r) to (new), which may be empty. Ranges that touch (r) are looked at
 * too: they may become one with it. */
static int replace(struct space *s, struct region r, struct far_range new)
{
    struct far_range list[3], before = {0}, after = {0};
    uint32_t gone = touching(s, r, &before, &after), count = 0;
    before.end = before.end < r.begin ? before.end : r.begin;
    after.begin = after.begin > r.end ? after.begin : r.end;
    if (gone && before.begin < before.end)
        count = add(list, count, before);
    count = add(list, count, new);
    if (gone && after.begin < after.end)
        count = add(list, count, after);
    if (s->ranges.count - gone + count > SPACE_RANGES ||
        ranges_reserve(&s->ranges, count) < 0)
        return -ENOMEM;
    exchange(s, r, list, count);
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
    return ranges_gap(&s->ranges, whole, len, align);
}

size_t space_packed(const struct space *s)
{
    return s->ranges.count * sizeof(struct far_range);
}

void space_pack(const struct space *s, uint8_t *dst)
{
    const struct far_range *f = space_next(s, 0);
    for (; f; f = space_next(s, f->end), dst += sizeof(*f))
        memcpy(dst, f, sizeof(*f));
}

int space_unpack(struct space *s, const uint8_t *src, size_t size)
{
    struct far_range f;
    uint64_t end = 0, count = size / sizeof(f);
    s->ranges = (struct ranges){0};
    if (size % sizeof(f) || count > SPACE_RANGES)
        return -EINVAL;
    if (ranges_reserve(&s->ranges, (uint32_t)count) < 0)
        return -ENOMEM;
    for (uint64_t i = 0; i < count; i++, end = f.end) {
        memcpy(&f, src + i * sizeof(f), sizeof(f)); /* they have no alignment */
        if (f.begin < end || f.end <= f.begin)
            return -EINVAL;
        ranges_add(&s->ranges, f);
    }
    return 0;
}
