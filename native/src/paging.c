/* paging.c: see paging.h. SDM volume 3, 4.5. */
#include "paging.h"

#include <stddef.h>

#include "x86.h"

#define TABLE_BITS (PTE_PRESENT | PTE_WRITE | PTE_USER | PTE_ACCESSED)
#define LEAF_BITS (PTE_PRESENT | PTE_ACCESSED | PTE_DIRTY)

static uint64_t *table(uint8_t *base, uint64_t addr)
{
    return (uint64_t *)(void *)(base + addr);
}

uint64_t paging_entry(const struct layout *l, uint64_t addr)
{
    return l->leaf_tables + (addr >> PAGE_SHIFT) * sizeof(uint64_t);
}

uint64_t paging_leaf(uint64_t page, int access)
{
    if (!(access & ~ACCESS_SUPERVISOR))
        return 0;
    return page | LEAF_BITS | (access & ACCESS_WRITE ? PTE_WRITE : 0) |
           (access & ACCESS_SUPERVISOR ? 0 : PTE_USER) |
           (access & ACCESS_EXECUTE ? 0 : PTE_NO_EXECUTE);
}

int paging_leaf_access(uint64_t entry)
{
    if (!(entry & PTE_PRESENT))
        return 0;
    return ACCESS_READ | (entry & PTE_WRITE ? ACCESS_WRITE : 0) |
           (entry & PTE_NO_EXECUTE ? 0 : ACCESS_EXECUTE) |
           (entry & PTE_USER ? 0 : ACCESS_SUPERVISOR);
}

/* Fills (count) entries of the table at (at) with the tables that follow (first). */
static void link_tables(uint8_t *base, uint64_t at, uint64_t first, uint64_t count)
{
    uint64_t *entries = table(base, at);
    for (uint64_t i = 0; i < count; i++)
        entries[i] = paging_link(first + i * PAGE_SIZE);
}

static void build_upper(uint8_t *base, const struct layout *l)
{
    uint64_t pdpt = l->tables + PAGE_SIZE, pd = pdpt + PAGE_SIZE;
    uint64_t leaves = (l->mapped_end + LARGE_PAGE - 1) / LARGE_PAGE;
    link_tables(base, l->tables, pdpt, 1);
    link_tables(base, pdpt, pd, (leaves + 511) / 512);
    link_tables(base, pd, l->leaf_tables, leaves);
}

static void map(uint8_t *base, const struct layout *l, struct region r, int access)
{
    if (r.begin < r.end)
        paging_protect(base, l, r.begin, r.end - r.begin, access, 0);
}

void paging_build(uint8_t *base, const struct layout *l)
{
    const int rw = ACCESS_READ | ACCESS_WRITE, rx = ACCESS_READ | ACCESS_EXECUTE;
    const struct region tables = {GDT_ADDR, EXCEPTION_STUBS_ADDR};
    const struct region stubs = {EXCEPTION_STUBS_ADDR, TRAMPOLINE_ADDR};
    const struct region stack = {EXCEPTION_STACK_ADDR, EXCEPTION_STACK_TOP};
    build_upper(base, l);
    map(base, l, tables, rw | ACCESS_SUPERVISOR);
    map(base, l, stubs, rx | ACCESS_SUPERVISOR);
    map(base, l, (struct region){TRAMPOLINE_ADDR, XSAVE_ADDR}, rx);
    map(base, l, (struct region){XSAVE_ADDR, EXCEPTION_STACK_ADDR}, ACCESS_READ);
    map(base, l, stack, rw | ACCESS_SUPERVISOR);
    map(base, l, (struct region){0x100000, 0x101000}, rw);
    map(base, l, l->program, rw);
    map(base, l, l->main_stack, rw);
    map(base, l, l->call_stack, rw);
    map(base, l, l->inbox, rw);
    map(base, l, l->shm, rw);
}

void paging_protect(uint8_t *base, const struct layout *l, uint64_t addr, uint64_t len,
                    int access, int widen)
{
    uint64_t page = addr & ~(PAGE_SIZE - 1);
    for (; page < page_up(addr + len); page += PAGE_SIZE) {
        uint64_t *entry = table(base, paging_entry(l, page));
        *entry =
            paging_leaf(page, widen ? access | paging_leaf_access(*entry) : access);
    }
}

void paging_show(uint8_t *base, const struct layout *l, uint64_t addr, uint64_t len,
                 uint64_t from)
{
    for (uint64_t at = 0; at < len; at += PAGE_SIZE)
        *table(base, paging_entry(l, addr + at)) = paging_leaf(from + at, ACCESS_READ);
}

uint64_t paging_link(uint64_t table)
{
    return table | TABLE_BITS;
}

uint64_t paging_target(uint64_t entry)
{
    return entry & PTE_ADDRESS;
}

uint64_t *paging_far_entry(const uint8_t *base, const struct layout *l, uint64_t addr)
{
    uint64_t at = l->tables;
    for (int shift = 39; shift > PAGE_SHIFT; shift -= 9) {
        uint64_t entry = table((uint8_t *)(uintptr_t)base, at)[addr >> shift & 511];
        if (!(entry & PTE_PRESENT))
            return NULL;
        at = paging_target(entry);
    }
    return &table((uint8_t *)(uintptr_t)base, at)[addr >> PAGE_SHIFT & 511];
}

/* How many bits of (addr) its first entry that is not present stands for; 0: all of
 * them are present. */
static int missing_shift(const uint8_t *base, const struct layout *l, uint64_t addr)
{
    uint64_t at = l->tables;
    for (int shift = 39; shift >= PAGE_SHIFT; shift -= 9) {
        uint64_t entry = table((uint8_t *)(uintptr_t)base, at)[addr >> shift & 511];
        if (!(entry & PTE_PRESENT))
            return shift;
        at = paging_target(entry);
    }
    return 0;
}

uint64_t paging_far_next(const uint8_t *base, const struct layout *l, uint64_t addr)
{
    int shift;
    addr = addr > l->far.begin ? addr : l->far.begin;
    while (addr < l->far.end && (shift = missing_shift(base, l, addr)))
        addr = (addr | ((1UL << shift) - 1)) + 1;
    return addr < l->far.end ? addr : l->far.end;
}

int paging_access(const uint8_t *base, const struct layout *l, uint64_t addr)
{
    const uint64_t *entry = NULL;
    if (addr < l->mapped_end)
        entry = (const uint64_t *)(const void *)(base + paging_entry(l, addr));
    else if (region_holds(l->far, addr, 1))
        entry = paging_far_entry(base, l, addr);
    if (!entry || paging_target(*entry) >= CLOCK_SLOT_ADDR)
        return 0;
    int access = paging_leaf_access(*entry);
    return access & ACCESS_SUPERVISOR ? 0 : access;
}

uint64_t paging_root(const struct layout *l)
{
    return l->tables;
}
