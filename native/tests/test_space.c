/* Far ranges against a map of single pages. */
#include <errno.h>
#include <string.h>

#include "check.h"
#include "space.h"

#define PAGES 200
#define LOW (1UL << 40)

static struct space s;
static int page[PAGES]; /* access + 1, 0 = not mapped */

static struct region range_of(uint64_t first, uint64_t last)
{
    return (struct region){LOW + first * PAGE_SIZE, LOW + last * PAGE_SIZE};
}

/* Sorted, apart, not empty, of the right access, and no more ranges than runs. */
static void check_table(void)
{
    uint64_t total = 0, runs = 0;
    uint64_t end = 0;
    const struct far_range *r = space_next(&s, 0);
    for (; r; end = r->end, r = space_next(&s, r->end))
        CHECK(r->begin < r->end && end <= r->begin);
    for (uint64_t i = 0; i < PAGES; i++) {
        const struct far_range *f = space_find(&s, LOW + i * PAGE_SIZE + 7);
        CHECK_EQ(f ? f->access + 1 : 0, page[i]);
        total += page[i] ? PAGE_SIZE : 0;
        runs += page[i] && (i == 0 || page[i - 1] != page[i]);
    }
    CHECK_EQ(s.total, total);
    CHECK_EQ(s.ranges.count, runs);
}

static void check_questions(uint64_t first, uint64_t last)
{
    uint64_t mapped = 0;
    for (uint64_t i = first; i < last; i++)
        mapped += page[i] != 0;
    CHECK_EQ(space_is_free(&s, range_of(first, last)), mapped == 0);
    CHECK_EQ(space_is_mapped(&s, range_of(first, last)), mapped == last - first);
}

TEST(far_ranges_are_what_was_mapped_last)
{
    uint64_t random = 1;
    space_init(&s, PAGES * PAGE_SIZE, 0);
    for (int round = 0; round < 20000; round++) {
        uint64_t first = check_random(&random) % PAGES;
        uint64_t last = first + 1 + check_random(&random) % (PAGES - first);
        int access = (int)(check_random(&random) % 4);
        last = round % 3 ? last : first + 1;
        check_questions(first, last);
        CHECK_EQ(access == 3 ? space_unmap(&s, range_of(first, last))
                             : space_map(&s, range_of(first, last), access),
                 0);
        for (uint64_t i = first; i < last; i++)
            page[i] = access == 3 ? 0 : access + 1;
        check_table();
    }
    space_close(&s);
}

TEST(no_more_is_mapped_than_the_limit)
{
    space_init(&s, 10 * PAGE_SIZE, 0);
    CHECK_EQ(space_map(&s, range_of(0, 8), 1), 0);
    CHECK_EQ(space_map(&s, range_of(6, 11), 1), -ENOMEM);
    CHECK_EQ(space_map(&s, range_of(6, 10), 2), 0);
    CHECK_EQ(space_map(&s, range_of(20, 21), 1), -ENOMEM);
    CHECK_EQ(space_unmap(&s, range_of(0, 1)), 0);
    CHECK_EQ(space_map(&s, range_of(20, 21), 1), 0);
    space_close(&s);
}

TEST(a_change_that_needs_too_many_ranges_changes_nothing)
{
    space_init(&s, UINT64_MAX, 0);
    for (uint64_t i = 0; i < SPACE_RANGES; i++)
        CHECK_EQ(space_map(&s, range_of(4 * i, 4 * i + 3), 1), 0);
    uint64_t total = s.total;
    CHECK_EQ(space_map(&s, range_of(3 + 800000, 4 + 800000), 1), -ENOMEM);
    CHECK_EQ(space_map(&s, range_of(1, 2), 2), -ENOMEM);
    CHECK_EQ(space_unmap(&s, range_of(1, 2)), -ENOMEM);
    CHECK(s.total == total && s.ranges.count == SPACE_RANGES);
    CHECK_EQ(space_find(&s, LOW + PAGE_SIZE)->access, 1);
    CHECK_EQ(space_map(&s, range_of(3, 4), 1), 0);
    CHECK_EQ(s.ranges.count, SPACE_RANGES - 1);
    space_close(&s);
}

TEST(a_gap_is_the_highest_that_is_large_enough)
{
    const struct region whole = range_of(0, 100);
    space_init(&s, UINT64_MAX, 0);
    CHECK_EQ(space_gap(&s, whole, 100 * PAGE_SIZE, PAGE_SIZE), LOW);
    CHECK_EQ(space_gap(&s, whole, 101 * PAGE_SIZE, PAGE_SIZE), 0);
    CHECK_EQ(space_gap(&s, whole, UINT64_MAX, PAGE_SIZE), 0);
    CHECK_EQ(space_map(&s, range_of(90, 98), 1), 0);
    CHECK_EQ(space_gap(&s, whole, 2 * PAGE_SIZE, PAGE_SIZE), LOW + 98 * PAGE_SIZE);
    CHECK_EQ(space_gap(&s, whole, 3 * PAGE_SIZE, PAGE_SIZE), LOW + 87 * PAGE_SIZE);
    CHECK_EQ(space_gap(&s, whole, 3 * PAGE_SIZE, 64 * PAGE_SIZE), LOW + 64 * PAGE_SIZE);
    CHECK_EQ(space_gap(&s, whole, 91 * PAGE_SIZE, PAGE_SIZE), 0);
    space_close(&s);
}

TEST(a_copy_is_the_same_and_its_own)
{
    struct space copy = {0};
    space_init(&s, UINT64_MAX, 0);
    for (uint64_t i = 0; i < 40; i++)
        CHECK_EQ(space_map(&s, range_of(4 * i, 4 * i + 3), 1), 0);
    CHECK_EQ(space_copy(&copy, &s), 0);
    CHECK_EQ(space_unmap(&s, range_of(0, 200)), 0);
    CHECK(copy.ranges.count == 40 && space_find(&copy, LOW) && !space_find(&s, LOW));
    CHECK_EQ(space_copy(&copy, &s), 0);
    CHECK_EQ(copy.ranges.count, 0);
    space_close(&copy);
    space_close(&s);
}

/* How deep a tree of (n) ranges may be: 1.45 times what a perfect one is. */
static uint32_t deepest(uint32_t n)
{
    uint32_t depth = 1;
    while (n >>= 1)
        depth++;
    return depth * 145 / 100 + 1;
}

static uint32_t depth(void)
{
    return s.ranges.root ? s.ranges.node[s.ranges.root].height : 0;
}

/* A call walks down the tree once for each range that it concerns. */
TEST(twenty_thousand_mappings_are_few_steps_away)
{
    const struct region whole = range_of(0, 1UL << 20);
    space_init(&s, UINT64_MAX, 0);
    for (uint64_t i = 0; i < 20000; i++) { /* downwards, as mmap does it */
        uint64_t at = space_gap(&s, whole, PAGE_SIZE, PAGE_SIZE);
        CHECK_EQ(at, whole.end - (i + 1) * PAGE_SIZE);
        CHECK_EQ(space_map(&s, (struct region){at, at + PAGE_SIZE}, (int)i % 2), 0);
    }
    CHECK_EQ(s.ranges.count, 20000);
    CHECK(depth() <= deepest(20000));
    for (uint64_t i = 0; i < 20000; i += 2) {
        uint64_t at = whole.end - (i + 1) * PAGE_SIZE;
        CHECK_EQ(space_unmap(&s, (struct region){at, at + PAGE_SIZE}), 0);
    }
    CHECK_EQ(s.ranges.count, 10000);
    CHECK(depth() <= deepest(10000));
    CHECK_EQ(space_gap(&s, whole, PAGE_SIZE, PAGE_SIZE), whole.end - PAGE_SIZE);
    CHECK_EQ(space_gap(&s, whole, 2 * PAGE_SIZE, PAGE_SIZE),
             whole.end - 20002 * PAGE_SIZE);
    uint32_t used = s.ranges.used;
    CHECK_EQ(space_map(&s, whole, 1), 0);
    CHECK_EQ(s.ranges.count, 1);
    CHECK_EQ(space_unmap(&s, whole), 0);
    CHECK_EQ(s.ranges.used, used);
    space_close(&s);
}

TEST(ranges_go_to_another_process_and_nothing_else_does)
{
    uint8_t bytes[3 * sizeof(struct far_range)];
    struct space there = {.limit = 1};
    struct far_range last;
    space_init(&s, UINT64_MAX, 0);
    for (uint64_t i = 0; i < 3; i++)
        CHECK_EQ(space_map(&s, range_of(4 * i, 4 * i + 3), (int)i), 0);
    CHECK_EQ(space_packed(&s), sizeof(bytes));
    space_pack(&s, bytes);
    CHECK_EQ(space_unpack(&there, bytes, sizeof(bytes)), 0);
    CHECK(there.ranges.count == 3 && space_find(&there, LOW + 8 * PAGE_SIZE));
    space_close(&there);
    CHECK_EQ(space_unpack(&there, bytes, sizeof(bytes) - 1), -EINVAL);
    memcpy(&last, bytes + 2 * sizeof(last), sizeof(last));
    last.begin = LOW;
    memcpy(bytes + 2 * sizeof(last), &last, sizeof(last));
    CHECK_EQ(space_unpack(&there, bytes, sizeof(bytes)), -EINVAL);
    space_close(&there);
    space_close(&s);
}
