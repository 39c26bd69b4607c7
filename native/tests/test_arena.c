/* The arena against a map of single pages. */
#include "arena.h"
#include "check.h"

#define MOST 1000

enum { UNTOUCHED, TAKEN, GIVEN };

/* What every page of an arena is. */
struct model {
    struct arena arena;
    uint64_t random;
    uint32_t pages;
    uint8_t page[MOST];
};

static struct model model_of(uint32_t pages, uint64_t seed)
{
    struct model m = {.random = seed, .pages = pages};
    arena_init(&m.arena, (struct region){PAGE_SIZE, (1 + pages) * PAGE_SIZE});
    return m;
}

static uint32_t index_of(uint64_t addr)
{
    return (uint32_t)(addr / PAGE_SIZE - 1);
}

static int is_free(const struct model *m, uint32_t page)
{
    for (uint32_t i = 0; i < m->arena.count; i++)
        if (page >= index_of(m->arena.free[i].begin) &&
            page < index_of(m->arena.free[i].end))
            return 1;
    return 0;
}

/* The ranges are in order, apart and not empty; no page that is in use is among them.
 * (exact): and every page that is not in use is. */
static void check_table(const struct model *m, int exact)
{
    const struct arena *a = &m->arena;
    for (uint32_t i = 0; i < a->count; i++) {
        CHECK(a->free[i].begin < a->free[i].end);
        uint64_t before = i ? a->free[i - 1].end : 0;
        CHECK(before < a->free[i].begin ||
              (before == a->open && before == a->free[i].begin));
    }
    for (uint32_t page = 0; page < m->pages; page++)
        CHECK(exact ? is_free(m, page) == (m->page[page] != TAKEN)
                    : !is_free(m, page) || m->page[page] != TAKEN);
}

static int has_room(const struct model *m, uint32_t pages)
{
    uint32_t run = 0;
    for (uint32_t page = 0; page < m->pages && run < pages; page++)
        run = m->page[page] == TAKEN ? 0 : run + 1;
    return run >= pages;
}

/* Everything in [addr, stale) is fresh: it was never handed out. */
static void take(struct model *m, uint32_t pages, int exact)
{
    uint64_t stale, addr = arena_take(&m->arena, pages * PAGE_SIZE, &stale);
    if (!addr) {
        CHECK(!exact || !has_room(m, pages));
        return;
    }
    CHECK(region_holds(m->arena.whole, addr, pages * PAGE_SIZE) && stale >= addr);
    for (uint32_t i = 0; i < pages; i++) {
        uint8_t *page = &m->page[index_of(addr) + i];
        CHECK(*page != TAKEN);
        CHECK(*page == UNTOUCHED || addr + i * PAGE_SIZE >= stale);
        *page = TAKEN;
    }
}

static void step(struct model *m, int exact)
{
    uint32_t at = (uint32_t)(check_random(&m->random) % m->pages);
    uint32_t len = 1 + (uint32_t)(check_random(&m->random) % 20);
    if (len > m->pages - at)
        len = m->pages - at;
    uint64_t addr = (1 + at) * PAGE_SIZE;
    switch (check_random(&m->random) % 4) {
    case 0:
    case 1:
        take(m, len, exact);
        break;
    case 2:
        CHECK_EQ(arena_take_at(&m->arena, addr, len * PAGE_SIZE), 0);
        memset(m->page + at, TAKEN, len);
        break;
    default:
        arena_give(&m->arena, addr, len * PAGE_SIZE);
        memset(m->page + at, GIVEN, len);
    }
}

/* 120 pages have at most 60 holes: the table holds them all. */
TEST(a_small_arena_gives_exactly_what_is_free)
{
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct model m = model_of(120, seed * 7919);
        for (int i = 0; i < 200; i++) {
            step(&m, 1);
            check_table(&m, 1);
        }
    }
}

/* Holes that the table cannot hold are lost, but never is a page given twice. */
TEST(a_large_arena_never_gives_what_is_in_use)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct model m = model_of(MOST, seed * 104729);
        for (int i = 0; i < 2000; i++)
            step(&m, 0);
        check_table(&m, 0);
    }
}

TEST(a_table_full_of_holes_loses_the_smallest)
{
    struct model m = model_of(MOST, 1);
    CHECK_EQ(arena_take_at(&m.arena, PAGE_SIZE, MOST * PAGE_SIZE), 0);
    for (uint64_t i = 0; i < ARENA_RANGES; i++)
        arena_give(&m.arena, (1 + 4 * i) * PAGE_SIZE, (i ? 2 : 1) * PAGE_SIZE);
    CHECK_EQ(m.arena.count, ARENA_RANGES);
    arena_give(&m.arena, 900 * PAGE_SIZE, 50 * PAGE_SIZE);
    CHECK_EQ(m.arena.count, ARENA_RANGES);
    CHECK(!is_free(&m, 0) && is_free(&m, 4) && is_free(&m, 899) && is_free(&m, 948));
}

/* Frozen in the middle of what has been handed out: both sides stay apart. */
TEST(a_frozen_arena_gives_what_was_never_used_first)
{
    for (uint64_t seed = 1; seed <= 50; seed++) {
        struct model m = model_of(120, seed * 7919);
        for (int i = 0; i < 20; i++)
            step(&m, 1);
        arena_freeze(&m.arena, m.arena.low);
        const uint64_t open = m.arena.open;
        check_table(&m, 0);
        for (int i = 0; i < 200; i++) {
            step(&m, 0);
            check_table(&m, 0);
            for (uint32_t k = 0; k < m.arena.count; k++)
                CHECK(m.arena.free[k].end <= open || m.arena.free[k].begin >= open);
        }
    }
}

TEST(an_arena_refuses_what_is_outside)
{
    struct model m = model_of(10, 1);
    static const uint64_t wrong[][2] = {
        {0, PAGE_SIZE},
        {0, 12 * PAGE_SIZE},
        {10 * PAGE_SIZE, 2 * PAGE_SIZE},
        {12 * PAGE_SIZE, 0},
        {PAGE_SIZE, UINT64_MAX & ~(PAGE_SIZE - 1)},
        {UINT64_MAX & ~(PAGE_SIZE - 1), 2 * PAGE_SIZE},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        CHECK_EQ(arena_take_at(&m.arena, wrong[i][0], wrong[i][1]), -1);
        arena_give(&m.arena, wrong[i][0], wrong[i][1]);
    }
    uint64_t stale;
    CHECK_EQ(arena_take(&m.arena, 11 * PAGE_SIZE, &stale), 0);
    CHECK_EQ(arena_take(&m.arena, 0, &stale), 0);
    check_table(&m, 1);
}

TEST(an_empty_arena_has_nothing_to_give)
{
    struct arena a;
    uint64_t stale;
    arena_init(&a, (struct region){PAGE_SIZE, PAGE_SIZE});
    CHECK_EQ(arena_take(&a, PAGE_SIZE, &stale), 0);
}
