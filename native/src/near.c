/* near.c: see near.h. Entries that come or allow more are seen by a KVM at once; of
 * pages that are closed it is told through the host's own mapping of them, which costs
 * less than an exchange of the memory slot, and concerns no other page. */
#include "near.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "paging.h"

#define FEW_BYTES (64UL << 10) /* that are sooner written than given back */

static int is_fixed(const struct machine *m)
{
    return m->facts->is_storage && !m->booting;
}

int near_is_mapped(const struct machine *m, uint64_t addr, uint64_t len)
{
    const struct layout *l = &m->mem.layout;
    if (region_holds(l->program, addr, len))
        return !arena_has_free(&m->process->arena, addr, len);
    return region_holds(l->main_stack, addr, len) ||
           region_holds(l->call_stack, addr, len);
}

/* --- Access --- */

/* The access that all of the range has is (access), or is more. */
static int has_access(const struct machine *m, uint64_t addr, uint64_t len, int access)
{
    for (uint64_t page = addr; page < addr + len; page += PAGE_SIZE)
        if (access & ~paging_access(m->mem.base, &m->mem.layout, page))
            return 0;
    return 1;
}

/* Changes an entry, which is noted as any memory. Returns what it allowed before. */
static int change_page(struct machine *m, uint64_t page, int access)
{
    const struct layout *l = &m->mem.layout;
    int before = paging_access(m->mem.base, l, page);
    if (before != access) {
        paging_protect(m->mem.base, l, page, PAGE_SIZE, access, 0);
        guest_note(&m->mem, paging_entry(l, page), sizeof(uint64_t));
    }
    return before;
}

int near_set_access(struct machine *m, uint64_t addr, uint64_t len, int access)
{
    if (is_fixed(m))
        return has_access(m, addr, len, access) ? 0 : -EACCES;
    for (uint64_t page = addr; page < addr + len; page += PAGE_SIZE) {
        int before = change_page(m, page, access);
        m->space.changed |= before != access;
        m->stale_tables |= (before & ~access) != 0;
    }
    return 0;
}

/* Has KVM forget the entries of pages that have been closed. A reset opens them again,
 * which KVM sees without being told. What start-up unmaps is given back. */
static void forget(struct machine *m, uint64_t addr, uint64_t len)
{
    int advice = m->booting ? MADV_REMOVE : MADV_DONTNEED;
    if (madvise(m->mem.base + addr, len, advice) < 0)
        m->stale_tables = m->space.changed = 1;
}

static void close_pages(struct machine *m, uint64_t addr, uint64_t len)
{
    int before = ACCESS_NONE;
    for (uint64_t page = addr; page < addr + len; page += PAGE_SIZE)
        before |= change_page(m, page, ACCESS_NONE);
    if (before)
        forget(m, addr, len);
}

/* --- Mappings --- */

void near_zero(struct machine *m, uint64_t addr, uint64_t len)
{
    uint8_t *at = m->mem.base + addr;
    if (m->booting && len > FEW_BYTES && madvise(at, len, MADV_REMOVE) == 0)
        return;
    memset(at, 0, len);
    guest_note(&m->mem, addr, len);
}

/* What may be closed is what is free and does not lie below arena->open. */
static int open_pages(struct machine *m, uint64_t addr, uint64_t len)
{
    const int rw = ACCESS_READ | ACCESS_WRITE;
    return is_fixed(m) ? 0 : near_set_access(m, addr, len, rw);
}

uint64_t near_take(struct machine *m, uint64_t len)
{
    struct arena *a = &m->process->arena;
    uint64_t stale, addr = arena_take(a, len, &stale);
    if (!addr)
        return 0;
    if (addr >= a->open)
        open_pages(m, addr, len);
    if (stale < addr + len)
        near_zero(m, stale, addr + len - stale);
    return addr;
}

int near_take_at(struct machine *m, uint64_t addr, uint64_t len)
{
    const int rw = ACCESS_READ | ACCESS_WRITE;
    if (!region_holds(m->mem.layout.program, addr, len))
        return -ENOMEM;
    if (near_set_access(m, addr, len, rw) < 0)
        return -ENOMEM;
    near_zero(m, addr, len);
    arena_take_at(&m->process->arena, addr, len); /* if it is not image or heap */
    return 0;
}

/* Of a storage, pages that cannot be read and written are not given back to it after
 * its freeze. */
static void release(struct machine *m, uint64_t begin, uint64_t end)
{
    struct arena *a = &m->process->arena;
    uint64_t stop = end < a->open ? end : a->open;
    if (begin < stop) {
        if (near_set_access(m, begin, stop - begin, ACCESS_READ | ACCESS_WRITE) == 0)
            arena_give(a, begin, stop - begin);
        begin = stop;
    }
    if (begin < end) {
        close_pages(m, begin, end - begin);
        arena_give(a, begin, end - begin);
    }
}

/* Other memory of the program than mappings is closed; the rest is not there, as far as
 * it knows. */
void near_unmap(struct machine *m, uint64_t begin, uint64_t end)
{
    const struct region near = m->mem.layout.program, mapped = m->process->arena.whole;
    begin = begin > near.begin ? begin : near.begin;
    end = end < near.end ? end : near.end;
    if (begin < mapped.begin && begin < end) {
        uint64_t stop = end < mapped.begin ? end : mapped.begin;
        near_set_access(m, begin, stop - begin, ACCESS_NONE);
        begin = stop;
    }
    if (begin < end)
        release(m, begin, end);
}

/* Storage has all of its memory open from here on, and closes none. */
void near_freeze(struct machine *m)
{
    struct arena *a = &m->process->arena;
    for (uint32_t i = 0; m->facts->is_storage && i < a->count; i++)
        paging_protect(m->mem.base, &m->mem.layout, a->free[i].begin,
                       a->free[i].end - a->free[i].begin, ACCESS_READ | ACCESS_WRITE,
                       0);
    arena_freeze(a, m->facts->is_storage ? a->whole.end : a->low);
}
