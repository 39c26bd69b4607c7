/* dirty.c: see dirty.h. Sources: KVM API, 8.29 KVM_CAP_DIRTY_LOG_RING. */
#include "dirty.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kvm.h"
#include "layout.h"

#define FIRST_CAPACITY 512

static size_t seen_bytes(uint32_t pages)
{
    return ((size_t)pages + 63) / 64 * 8;
}

int dirty_open(struct dirty *d, uint32_t pages)
{
    memset(d, 0, sizeof(*d));
    d->page_total = pages;
    d->capacity = FIRST_CAPACITY;
    d->seen = calloc(1, seen_bytes(pages));
    d->pages = malloc(FIRST_CAPACITY * sizeof(*d->pages));
    return d->seen && d->pages ? 0 : -ENOMEM;
}

void dirty_close(struct dirty *d)
{
    free(d->seen);
    free(d->pages);
    memset(d, 0, sizeof(*d));
}

static int grow(struct dirty *d)
{
    uint32_t *pages = realloc(d->pages, (size_t)d->capacity * 2 * sizeof(*pages));
    if (!pages)
        return -ENOMEM;
    d->pages = pages;
    d->capacity *= 2;
    return 0;
}

void dirty_note(struct dirty *d, uint32_t page)
{
    if (page >= d->page_total || d->seen[page / 64] & 1UL << page % 64)
        return;
    if (d->count == d->capacity && grow(d) < 0) {
        d->failed = 1;
        return;
    }
    d->seen[page / 64] |= 1UL << page % 64;
    d->pages[d->count++] = page;
}

void dirty_collect(struct dirty *d)
{
    if (!d->ring)
        return;
    for (;;) {
        struct kvm_dirty_gfn *entry = &d->ring[d->ring_next % DIRTY_RING_ENTRIES];
        if (!(__atomic_load_n(&entry->flags, __ATOMIC_ACQUIRE) & KVM_DIRTY_GFN_F_DIRTY))
            return;
        dirty_note(d, (uint32_t)entry->offset);
        __atomic_store_n(&entry->flags, KVM_DIRTY_GFN_F_RESET, __ATOMIC_RELEASE);
        d->ring_next++;
    }
}

void dirty_forget(struct dirty *d)
{
    for (uint32_t i = 0; i < d->count; i++)
        d->seen[d->pages[i] / 64] = 0;
    d->count = d->kept = 0;
}

uint64_t dirty_charge(const struct dirty *d)
{
    return (uint64_t)(d->count - d->kept) << PAGE_SHIFT;
}
