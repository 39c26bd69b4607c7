/* The layout, for every size that a program can have. */
#include <errno.h>

#include "check.h"
#include "layout.h"

static struct layout made(uint64_t max_memory, uint64_t shm)
{
    struct layout l;
    CHECK_EQ(layout_make(&l, max_memory, shm), 0);
    return l;
}

/* A hole of 2 MB at least lies between one region and the next. */
static void check_apart(const struct layout *l)
{
    const struct region rest = {l->tables, l->slot_size};
    const struct region order[] = {l->program, l->main_stack, l->call_stack,
                                   l->inbox,   rest,          l->shm};
    for (size_t i = 0; i < sizeof(order) / sizeof(*order); i++) {
        CHECK(order[i].begin <= order[i].end);
        CHECK(order[i].begin % PAGE_SIZE == 0 && order[i].end % PAGE_SIZE == 0);
        CHECK(i == 0 || order[i].begin >= order[i - 1].end + LARGE_PAGE);
    }
}

/* The leaf entries of every address below mapped_end lie in the slot, behind the upper
 * tables: a PML4, a PDPT, and a PD for each GiB. */
static void check_tables(const struct layout *l)
{
    uint64_t directories = (l->mapped_end + (1UL << 30) - 1) >> 30;
    uint64_t leaf_tables = (l->mapped_end + LARGE_PAGE - 1) / LARGE_PAGE;
    CHECK(l->leaf_tables >= l->tables + (2 + directories) * PAGE_SIZE);
    CHECK(l->leaf_tables + leaf_tables * PAGE_SIZE <= l->far_tables.begin);
    CHECK(l->far_tables.end <= l->slot_size);
    CHECK(l->far.begin >= l->mapped_end && l->far.begin % FAR_ALIGN == 0);
    CHECK(l->mapped_end >= l->shm.end && l->shm.end > l->slot_size);
    CHECK(directories <= 512);
}

static void check_sizes(const struct layout *l, uint64_t max_memory, uint64_t shm)
{
    CHECK(l->program.begin == PROGRAM_LOW && l->program.end == max_memory);
    CHECK_EQ(l->main_stack.end - l->main_stack.begin, STACK_SIZE);
    CHECK_EQ(l->call_stack.end - l->call_stack.begin, STACK_SIZE);
    CHECK_EQ(l->shm.end - l->shm.begin, shm);
    CHECK(l->inbox.end - l->inbox.begin >= max_memory / 4 ||
          l->inbox.end - l->inbox.begin == INBOX_MAX);
}

TEST(every_layout_keeps_its_regions_apart_and_its_tables_inside)
{
    static const uint64_t shm[] = {0, LARGE_PAGE, 7 * LARGE_PAGE, SHM_MAX};
    const uint64_t step = PAGE_SIZE * 3;
    for (uint64_t size = MAX_MEMORY_MIN; size <= MAX_MEMORY_MAX; size += step)
        for (size_t i = 0; i < sizeof(shm) / sizeof(*shm); i++) {
            uint64_t whole = size / PAGE_SIZE * PAGE_SIZE;
            struct layout l = made(whole, shm[i]);
            check_apart(&l);
            check_tables(&l);
            check_sizes(&l, whole, shm[i]);
        }
}

TEST(the_largest_layout_is_possible)
{
    struct layout l = made(MAX_MEMORY_MAX, SHM_MAX);
    check_tables(&l);
    CHECK_EQ(l.program.end, MAX_MEMORY_MAX);
}

TEST(sizes_outside_the_range_are_refused)
{
    static const uint64_t wrong[][2] = {
        {0, 0},
        {MAX_MEMORY_MIN - PAGE_SIZE, 0},
        {MAX_MEMORY_MAX + PAGE_SIZE, 0},
        {MAX_MEMORY_MIN + 1, 0},
        {UINT64_MAX & ~(PAGE_SIZE - 1), 0},
        {MAX_MEMORY_MIN, PAGE_SIZE},
        {MAX_MEMORY_MIN, SHM_MAX + LARGE_PAGE},
        {MAX_MEMORY_MIN, UINT64_MAX & ~(LARGE_PAGE - 1)},
    };
    struct layout l;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
        CHECK_EQ(layout_make(&l, wrong[i][0], wrong[i][1]), -EINVAL);
}

TEST(a_region_holds_what_lies_in_it_and_nothing_that_wraps)
{
    const struct region r = {0x2000, 0x4000};
    CHECK(region_holds(r, 0x2000, 0x2000) && region_holds(r, 0x4000, 0));
    CHECK(!region_holds(r, 0x1fff, 1) && !region_holds(r, 0x4000, 1));
    CHECK(!region_holds(r, 0x2000, 0x2001) && !region_holds(r, 0x3000, UINT64_MAX));
    CHECK(!region_holds(r, UINT64_MAX, 2) && !region_holds(r, 0x3000, 1UL << 63));
}
