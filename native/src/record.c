/* record.c: see record.h. */
#include "record.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "crc.h"
#include "layout.h"

#define CAPACITY_MIN 65536UL

/* Makes room for (more) bytes; there is always room for the head. 0 or -ENOMEM. */
static int reserve(struct journal_record *r, uint64_t more)
{
    uint64_t capacity = r->capacity ? r->capacity : CAPACITY_MIN;
    while (capacity < r->length + more)
        capacity *= 2;
    if (capacity == r->capacity)
        return 0;
    uint8_t *bytes = realloc(r->bytes, capacity);
    if (!bytes)
        return -ENOMEM;
    r->bytes = bytes;
    r->capacity = capacity;
    return 0;
}

static void add(struct journal_record *r, const void *bytes, uint64_t len)
{
    memcpy(r->bytes + r->length, bytes, len);
    r->length += len;
}

void journal_begin(struct journal_record *r, int full)
{
    r->kind = full ? RECORD_FULL : RECORD_DELTA;
    r->length = sizeof(struct record_head);
}

static uint64_t differing(const uint8_t *now, const uint8_t *then)
{
    uint64_t lines = 0;
    for (uint64_t i = 0; i < PAGE_SIZE / LINE_SIZE; i++) {
        uint64_t at = i * LINE_SIZE;
        lines |= (uint64_t)(memcmp(now + at, then + at, LINE_SIZE) != 0) << i;
    }
    return lines;
}

int journal_page(struct journal_record *r, uint32_t page, const uint8_t *now,
                 const uint8_t *then)
{
    static const uint8_t zeros[PAGE_SIZE];
    const struct record_item item = {page, differing(now, then ? then : zeros)};
    if (!item.lines)
        return 0;
    if (reserve(r, sizeof(item) + PAGE_SIZE) < 0)
        return -ENOMEM;
    add(r, &item, sizeof(item));
    for (uint64_t left = item.lines; left; left &= left - 1)
        add(r, now + (uint64_t)__builtin_ctzl(left) * LINE_SIZE, LINE_SIZE);
    return 0;
}

int journal_extra(struct journal_record *r, const void *bytes, uint32_t len)
{
    const struct record_item item = {RECORD_EXTRA, len};
    if (len > RECORD_EXTRA_MAX)
        return -E2BIG;
    if (reserve(r, sizeof(item) + len) < 0)
        return -ENOMEM;
    add(r, &item, sizeof(item));
    add(r, bytes, len);
    return 0;
}

void journal_free(struct journal_record *r)
{
    free(r->bytes);
    *r = (struct journal_record){0};
}

uint32_t record_checksum(uint32_t chain, const struct record_head *head)
{
    const size_t skip = sizeof(head->checksum);
    return crc32c(chain, (const uint8_t *)head + skip, sizeof(*head) - skip);
}

int record_seal(struct journal_record *r, const struct journal_place *before,
                struct journal_place *behind)
{
    if (reserve(r, 0) < 0)
        return -ENOMEM;
    struct record_head head = {.kind = r->kind,
                               .generation = before->generation,
                               .sequence = before->sequence + (r->kind == RECORD_DELTA),
                               .length = r->length - sizeof(head)};
    head.checksum = crc32c(record_checksum(before->chain, &head),
                           r->bytes + sizeof(head), head.length);
    memcpy(r->bytes, &head, sizeof(head));
    *behind = *before;
    behind->end += r->length;
    behind->sequence = head.sequence;
    behind->chain = head.checksum;
    return 0;
}
