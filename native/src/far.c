/* far.c: see far.h. The tree of tables is walked from its root; tables that have become
 * empty are taken out of it at once, so there are never more of them than the pages
 * that are in use need. */
#include "far.h"

#include <errno.h>
#include <string.h>

#include "arena.h"
#include "space.h"
#include "x86.h"

#define ROOT_SHIFT 39
#define ENTRIES 512
#define MIDDLE_PIECE (64UL << 10)

static uint64_t *table(const struct guestmem *gm, uint64_t at)
{
    return (uint64_t *)(void *)(gm->base + at);
}

static void set_entry(const struct guestmem *gm, uint64_t *entry, uint64_t value)
{
    *entry = value;
    guest_note(gm, (uint64_t)((uint8_t *)entry - gm->base), sizeof(*entry));
    gm->space->changed = 1;
}

/* A table without entries, or 0. Where it lies all is zero but for the link to the next
 * free one, unless a snapshot has come from a process that was broken. */
static uint64_t take_table(const struct guestmem *gm)
{
    struct space *s = gm->space;
    uint64_t at = s->free_table;
    if (at) {
        s->free_table = *table(gm, at);
    } else if (s->next_table < gm->layout.far_tables.end) {
        at = s->next_table;
        s->next_table += PAGE_SIZE;
    }
    if (at) {
        memset(table(gm, at), 0, PAGE_SIZE);
        guest_note(gm, at, PAGE_SIZE);
        s->changed = 1;
    }
    return at;
}

static void give_table(const struct guestmem *gm, uint64_t at)
{
    set_entry(gm, table(gm, at), gm->space->free_table);
    gm->space->free_table = at;
}

static uint64_t *make_entry(const struct guestmem *gm, uint64_t addr)
{
    uint64_t *entry = &table(gm, gm->layout.tables)[addr >> ROOT_SHIFT & 511];
    for (int shift = ROOT_SHIFT - 9; shift >= PAGE_SHIFT; shift -= 9) {
        if (!(*entry & PTE_PRESENT)) {
            uint64_t at = take_table(gm);
            if (!at)
                return NULL;
            set_entry(gm, entry, paging_link(at));
        }
        entry = &table(gm, paging_target(*entry))[addr >> shift & 511];
    }
    return entry;
}

/* Also a page that nobody may use keeps its memory: the address stays in its entry. */
static uint64_t leaf(uint64_t page, int access)
{
    return access ? paging_leaf(page, access) : page;
}

/* --- Memory for pages that are touched --- */

/* The largest run of pages around (addr) without memory that lies in (r) and in one
 * piece of (size), whose entry is (entry). */
static struct region run_around(const uint64_t *entry, uint64_t addr, struct region r,
                                uint64_t size)
{
    struct region run = {addr, addr + PAGE_SIZE};
    uint64_t begin = addr & ~(size - 1), end = begin + size;
    begin = begin > r.begin ? begin : r.begin;
    end = end < r.end ? end : r.end;
    for (const uint64_t *e = entry; run.begin > begin && !*--e;)
        run.begin -= PAGE_SIZE;
    for (const uint64_t *e = entry; run.end < end && !*++e;)
        run.end += PAGE_SIZE;
    return run;
}

/* Takes memory for (run), zeros, around the page at (addr) with (entry). */
static int fill(const struct guestmem *gm, uint64_t *entry, uint64_t addr,
                struct region run, int access)
{
    uint64_t stale, len = run.end - run.begin;
    uint64_t memory = arena_take(gm->frames, len, &stale);
    if (!memory)
        return -ENOMEM;
    if (stale < memory + len) {
        memset(gm->base + stale, 0, memory + len - stale);
        guest_note(gm, stale, memory + len - stale);
    }
    entry -= (addr - run.begin) >> PAGE_SHIFT;
    for (uint64_t at = 0; at < len; at += PAGE_SIZE)
        set_entry(gm, entry++, leaf(memory + at, access));
    return 0;
}

/* Many stacks, each of a page or two, must not take all memory: where that becomes
 * little, pieces become small. */
static int is_too_much(const struct guestmem *gm, struct region run)
{
    uint64_t len = run.end - run.begin;
    return len > PAGE_SIZE && len > arena_room(gm->frames) / 8;
}

static int fill_around(const struct guestmem *gm, uint64_t addr,
                       const struct far_range *f)
{
    static const uint64_t sizes[] = {LARGE_PAGE, MIDDLE_PIECE, PAGE_SIZE};
    const struct region r = {f->begin, f->end};
    uint64_t *entry = make_entry(gm, addr);
    for (size_t i = 0; entry && i < sizeof(sizes) / sizeof(*sizes); i++) {
        struct region run = run_around(entry, addr, r, sizes[i]);
        if (!is_too_much(gm, run) && fill(gm, entry, addr, run, f->access) == 0)
            return 0;
    }
    gm->space->exhausted = 1;
    return -ENOMEM;
}

static uint64_t present_page(const struct guestmem *gm, uint64_t addr, int access)
{
    const uint64_t *entry = paging_far_entry(gm->base, &gm->layout, addr);
    if (!entry || (paging_leaf_access(*entry) & access) != access)
        return 0;
    return paging_target(*entry);
}

int far_back(const struct guestmem *gm, uint64_t addr, int access)
{
    if (!region_holds(gm->layout.far, addr, 1))
        return -EFAULT;
    if (present_page(gm, addr, access))
        return 0;
    const struct far_range *f = gm->space ? space_find(gm->space, addr) : NULL;
    if (!f || access & ~f->access)
        return -EFAULT;
    return fill_around(gm, addr & ~(PAGE_SIZE - 1), f);
}

uint64_t far_page(const struct guestmem *gm, uint64_t addr, int access)
{
    return far_back(gm, addr, access) < 0 ? 0 : present_page(gm, addr, access);
}

int far_back_all(const struct guestmem *gm, uint64_t addr, uint64_t len, int access)
{
    int ret = region_holds(gm->layout.far, addr, len) ? 0 : -EFAULT;
    for (uint64_t page = addr & ~(PAGE_SIZE - 1); ret == 0 && page < addr + len;
         page += PAGE_SIZE)
        ret = far_back(gm, page, access);
    return ret;
}

/* --- All entries of a range --- */

struct walk {
    const struct guestmem *gm;
    void (*leaf)(struct walk *w, uint64_t *entry, uint64_t addr);
    int clears, lost, access;
    uint64_t to_less_from;
    struct region memory; /* that has been given up, but not yet to the arena */
};

static int is_empty(const uint64_t *entries)
{
    for (int i = 0; i < ENTRIES; i++)
        if (entries[i])
            return 0;
    return 1;
}

static void walk(struct walk *w, uint64_t at, int shift, uint64_t begin, uint64_t end)
{
    uint64_t *entries = table(w->gm, at);
    for (uint64_t next; begin < end; begin = next) {
        uint64_t *entry = &entries[begin >> shift & 511];
        next = ((begin >> shift) + 1) << shift;
        if (!*entry)
            continue;
        if (shift == PAGE_SHIFT) {
            w->leaf(w, entry, begin);
            continue;
        }
        uint64_t below = paging_target(*entry);
        walk(w, below, shift - 9, begin, next < end ? next : end);
        if (w->clears && is_empty(table(w->gm, below))) {
            set_entry(w->gm, entry, 0);
            give_table(w->gm, below);
            w->lost = 1;
        }
    }
}

static void walk_all(struct walk *w, struct region r)
{
    walk(w, w->gm->layout.tables, ROOT_SHIFT, r.begin, r.end);
}

static void give_memory(struct walk *w)
{
    if (w->memory.begin < w->memory.end)
        arena_give(w->gm->frames, w->memory.begin, w->memory.end - w->memory.begin);
}

/* Pieces that lie side by side go back as one: the arena has a small table. */
static void clear_leaf(struct walk *w, uint64_t *entry, uint64_t addr)
{
    (void)addr;
    uint64_t page = paging_target(*entry);
    set_entry(w->gm, entry, 0);
    w->lost = 1;
    if (w->memory.end != page) {
        give_memory(w);
        w->memory.begin = page;
    }
    w->memory.end = page + PAGE_SIZE;
}

int far_clear(const struct guestmem *gm, struct region r)
{
    struct walk w = {.gm = gm, .leaf = clear_leaf, .clears = 1};
    walk_all(&w, r);
    give_memory(&w);
    return w.lost;
}

static void protect_leaf(struct walk *w, uint64_t *entry, uint64_t addr)
{
    (void)addr;
    if (paging_leaf_access(*entry) & ~w->access)
        w->lost = 1;
    set_entry(w->gm, entry, leaf(paging_target(*entry), w->access));
}

int far_protect(const struct guestmem *gm, struct region r, int access)
{
    struct walk w = {.gm = gm, .leaf = protect_leaf, .access = access};
    walk_all(&w, r);
    return w.lost;
}

static void move_leaf(struct walk *w, uint64_t *entry, uint64_t addr)
{
    uint64_t *to = make_entry(w->gm, addr + w->to_less_from);
    if (!to) {
        w->gm->space->exhausted = 1;
        return;
    }
    set_entry(w->gm, to, *entry);
    set_entry(w->gm, entry, 0);
    w->lost = 1;
}

int far_move(const struct guestmem *gm, uint64_t from, uint64_t to, uint64_t len)
{
    struct walk w = {
        .gm = gm, .leaf = move_leaf, .clears = 1, .to_less_from = to - from};
    walk_all(&w, (struct region){from, from + len});
    return gm->space->exhausted ? -ENOMEM : w.lost;
}
