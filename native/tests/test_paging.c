/* The page tables, walked as a processor walks them. */
#include <stdlib.h>

#include "check.h"
#include "paging.h"
#include "x86.h"

static struct layout l;
static uint8_t *base;

static void begin(uint64_t shm)
{
    CHECK_EQ(layout_make(&l, 12UL << 20, shm), 0);
    base = calloc(1, l.slot_size);
    paging_build(base, &l);
}

static void end(void)
{
    free(base);
}

/* The leaf entry of (addr), by way of the root at (table), or 0. */
static uint64_t walk(uint64_t table, uint64_t addr)
{
    uint64_t entry = 0;
    for (unsigned shift = 39; shift >= 12; shift -= 9) {
        CHECK(table % PAGE_SIZE == 0 && table < l.slot_size);
        memcpy(&entry, base + table + (addr >> shift & 511) * 8, 8);
        if (!(entry & PTE_PRESENT))
            return 0;
        CHECK(entry & PTE_ACCESSED);
        CHECK(shift == 12 || (entry & PTE_WRITE && entry & PTE_USER));
        table = entry & PTE_ADDRESS;
    }
    return entry;
}

/* What layout.h says about the page at (addr). */
static int expected(uint64_t addr)
{
    const int rw = ACCESS_READ | ACCESS_WRITE, rx = ACCESS_READ | ACCESS_EXECUTE;
    const struct {
        struct region r;
        int access;
    } table[] = {
        {{0x1000, 0x4000}, rw | ACCESS_SUPERVISOR},
        {{0x4000, 0x6000}, rx | ACCESS_SUPERVISOR},
        {{0x6000, 0x7000}, rx},
        {{0x7000, 0x8000}, ACCESS_READ},
        {{0x8000, 0x9000}, rw | ACCESS_SUPERVISOR},
        {{0x100000, 0x101000}, rw},
        {l.program, rw},
        {l.main_stack, rw},
        {l.call_stack, rw},
        {l.inbox, rw},
        {l.shm, rw},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++)
        if (region_holds(table[i].r, addr, 1))
            return table[i].access;
    return ACCESS_NONE;
}

static int access_of(uint64_t entry)
{
    if (!(entry & PTE_PRESENT))
        return ACCESS_NONE;
    return ACCESS_READ | (entry & PTE_WRITE ? ACCESS_WRITE : 0) |
           (entry & PTE_NO_EXECUTE ? 0 : ACCESS_EXECUTE) |
           (entry & PTE_USER ? 0 : ACCESS_SUPERVISOR);
}

static void check_page(uint64_t addr)
{
    uint64_t entry = walk(paging_root(&l), addr);
    CHECK_EQ(access_of(entry), expected(addr));
    CHECK(!entry || ((entry & PTE_ADDRESS) == addr && entry & PTE_DIRTY));
}

TEST(page_tables_say_what_the_drawing_says)
{
    for (uint64_t shm = 0; shm <= 2 * LARGE_PAGE; shm += LARGE_PAGE) {
        begin(shm);
        for (uint64_t addr = 0; addr < l.mapped_end + 4 * LARGE_PAGE; addr += PAGE_SIZE)
            check_page(addr);
        end();
    }
}

TEST(nothing_is_mapped_behind_the_end)
{
    begin(LARGE_PAGE);
    for (unsigned bit = 30; bit < 48; bit++)
        CHECK_EQ(walk(paging_root(&l), 1UL << bit), 0);
    end();
}

TEST(ring_3_is_told_what_the_tables_allow_it)
{
    begin(LARGE_PAGE);
    for (uint64_t addr = 0; addr < l.mapped_end; addr += PAGE_SIZE) {
        int want = expected(addr);
        CHECK_EQ(paging_access(base, &l, addr + 7),
                 want & ACCESS_SUPERVISOR ? ACCESS_NONE : want);
    }
    CHECK_EQ(paging_access(base, &l, l.mapped_end), 0);
    CHECK_EQ(paging_access(base, &l, UINT64_MAX), 0);
    end();
}

TEST(protecting_touches_the_pages_of_the_range_and_no_others)
{
    begin(0);
    const uint64_t at = PROGRAM_LOW + 4 * PAGE_SIZE;
    paging_protect(base, &l, at + 5, PAGE_SIZE, ACCESS_READ, 0);
    CHECK_EQ(paging_access(base, &l, at - 1), ACCESS_READ | ACCESS_WRITE);
    CHECK_EQ(paging_access(base, &l, at), ACCESS_READ);
    CHECK_EQ(paging_access(base, &l, at + PAGE_SIZE), ACCESS_READ);
    CHECK_EQ(paging_access(base, &l, at + 2 * PAGE_SIZE), ACCESS_READ | ACCESS_WRITE);
    end();
}

TEST(widening_adds_to_what_a_page_allows)
{
    begin(0);
    paging_protect(base, &l, PROGRAM_LOW, 1, ACCESS_NONE, 0);
    CHECK_EQ(paging_access(base, &l, PROGRAM_LOW), ACCESS_NONE);
    paging_protect(base, &l, PROGRAM_LOW, 1, ACCESS_EXECUTE, 1);
    paging_protect(base, &l, PROGRAM_LOW, 1, ACCESS_WRITE, 1);
    CHECK_EQ(paging_access(base, &l, PROGRAM_LOW),
             ACCESS_READ | ACCESS_WRITE | ACCESS_EXECUTE);
    end();
}
