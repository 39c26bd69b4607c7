/* Memory behind far ranges: where it comes from, where it goes, and how the host looks
 * at buffers that do not lie in one piece. */
#include <errno.h>

#include "arena.h"
#include "bare.h"
#include "check.h"
#include "far.h"

#define AT (1UL << 45)
#define RW (ACCESS_READ | ACCESS_WRITE)

static struct bare b;
static struct guestmem *gm = &b.machine.mem;

static struct region range_of(uint64_t from, uint64_t to)
{
    return (struct region){AT + from, AT + to};
}

static void begin(uint64_t bytes, int access)
{
    bare_open(&b, 64UL << 20, 0);
    CHECK_EQ(space_map(gm->space, range_of(0, bytes), access), 0);
}

static uint64_t room(void)
{
    return arena_room(gm->frames);
}

/* Pages side by side get memory that lies apart. */
static void begin_apart(void)
{
    begin(4 * PAGE_SIZE, RW);
    CHECK_EQ(space_unmap(gm->space, range_of(0, 4 * PAGE_SIZE)), 0);
    for (uint64_t at = 0; at < 4 * PAGE_SIZE; at += PAGE_SIZE) {
        CHECK_EQ(space_map(gm->space, range_of(at, at + PAGE_SIZE), RW), 0);
        CHECK_EQ(far_back(gm, AT + at, RW), 0); /* before it has a neighbour */
    }
    CHECK(far_page(gm, AT, RW) != far_page(gm, AT + PAGE_SIZE, RW) - PAGE_SIZE);
}

TEST(a_far_page_costs_nothing_until_it_is_touched_and_is_given_back)
{
    begin(1UL << 39, RW);
    uint64_t before = room();
    CHECK_EQ(far_back(gm, AT + 5, ACCESS_READ), 0);
    CHECK_EQ(room(), before - LARGE_PAGE);
    CHECK_EQ(far_back(gm, AT + LARGE_PAGE - 1, RW), 0);
    CHECK_EQ(room(), before - LARGE_PAGE);
    CHECK_EQ(far_back(gm, AT + (1UL << 38), RW), 0);
    uint64_t used = gm->space->next_table;
    CHECK(far_clear(gm, range_of(0, 1UL << 39)));
    CHECK_EQ(room(), before);
    CHECK_EQ(paging_access(gm->base, &gm->layout, AT), 0);
    CHECK_EQ(far_back(gm, AT + (3UL << 37), RW), 0);
    CHECK_EQ(gm->space->next_table, used);
    CHECK_EQ(bare_forgotten(&b), 0);
    bare_close(&b);
}

TEST(nothing_is_backed_where_the_program_may_not_go)
{
    begin(PAGE_SIZE, ACCESS_READ);
    CHECK_EQ(far_back(gm, AT, RW), -EFAULT);
    CHECK_EQ(far_back(gm, AT, ACCESS_EXECUTE), -EFAULT);
    CHECK_EQ(far_back(gm, AT - 1, ACCESS_READ), -EFAULT);
    CHECK_EQ(far_back(gm, AT + PAGE_SIZE, ACCESS_READ), -EFAULT);
    CHECK_EQ(far_back(gm, UINT64_MAX, ACCESS_READ), -EFAULT);
    CHECK_EQ(far_back(gm, FAR_END, ACCESS_READ), -EFAULT);
    CHECK(!gm->space->changed && !gm->space->exhausted);
    bare_close(&b);
}

TEST(memory_that_was_used_before_comes_back_as_zeros)
{
    begin(1UL << 30, RW);
    CHECK_EQ(guest_write(gm, AT, "old", 4), 0);
    CHECK(far_clear(gm, range_of(0, 1UL << 30)));
    char text[4] = "new";
    CHECK_EQ(guest_read(gm, AT, text, 4), 0);
    CHECK(text[0] == 0 && text[2] == 0);
    CHECK_EQ(bare_forgotten(&b), 0);
    bare_close(&b);
}

TEST(more_than_the_arena_has_is_told_and_breaks_nothing)
{
    begin(1UL << 30, RW);
    CHECK_EQ(far_back_all(gm, AT, 1UL << 30, RW), -ENOMEM);
    CHECK(gm->space->exhausted);
    CHECK_EQ(guest_write(gm, AT, "still", 6), 0);
    CHECK_EQ(guest_writable(gm, AT + (1UL << 29), 1), 0);
    bare_close(&b);
}

TEST(ranges_of_which_little_is_touched_take_little_of_the_last_memory)
{
    begin(1UL << 40, RW);
    for (uint64_t i = 0; i < 150; i++)
        CHECK_EQ(guest_write(gm, AT + i * (8UL << 20), "stack", 6), 0);
    CHECK(room() >= LARGE_PAGE);
    bare_close(&b);
}

TEST(a_page_that_is_closed_keeps_its_bytes)
{
    begin(PAGE_SIZE, RW);
    CHECK_EQ(guest_write(gm, AT, "kept", 5), 0);
    CHECK_EQ(space_map(gm->space, range_of(0, PAGE_SIZE), 0), 0);
    CHECK_EQ(far_protect(gm, range_of(0, PAGE_SIZE), 0), 1);
    CHECK(!guest_view(gm, AT, 1));
    CHECK_EQ(space_map(gm->space, range_of(0, PAGE_SIZE), RW), 0);
    CHECK_EQ(far_protect(gm, range_of(0, PAGE_SIZE), RW), 0);
    CHECK_TEXT((const char *)guest_view(gm, AT, 5), "kept");
    bare_close(&b);
}

TEST(buffers_in_pieces_are_read_written_and_moved_as_one)
{
    char bytes[3 * PAGE_SIZE], back[3 * PAGE_SIZE];
    uint64_t random = 1, at = AT + 100;
    begin_apart();
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (char)check_random(&random);
    CHECK_EQ(guest_write(gm, at, bytes, sizeof(bytes)), 0);
    CHECK_EQ(guest_read(gm, at, back, sizeof(back)), 0);
    CHECK(memcmp(bytes, back, sizeof(bytes)) == 0);
    CHECK(memcmp(guest_view(gm, at, sizeof(bytes)), bytes, sizeof(bytes)) == 0);
    CHECK_EQ(guest_move(gm, at + 900, at, sizeof(bytes)), 0);
    CHECK_EQ(guest_read(gm, at + 900, back, sizeof(back)), 0);
    CHECK(memcmp(bytes, back, sizeof(bytes)) == 0);
    CHECK_EQ(guest_zero(gm, AT, 4 * PAGE_SIZE), 0);
    CHECK_EQ(guest_read(gm, at, back, 1) | back[0], 0);
    CHECK_EQ(guest_write(gm, at, bytes, 4 * PAGE_SIZE), -EFAULT);
    CHECK_EQ(bare_forgotten(&b), 0);
    bare_close(&b);
}

TEST(what_is_written_to_a_window_in_pieces_is_there_when_the_call_ends)
{
    begin_apart();
    uint8_t *window = guest_window(gm, AT + PAGE_SIZE - 2, 4);
    memcpy(window, "abcd", 4);
    bounce_settle(gm);
    bounce_drop(gm);
    char text[5] = "";
    CHECK_EQ(guest_read(gm, AT + PAGE_SIZE - 2, text, 4), 0);
    CHECK_TEXT(text, "abcd");
    CHECK(!guest_window(gm, AT + 4 * PAGE_SIZE - 2, 4));
    CHECK_EQ(bare_forgotten(&b), 0);
    bare_close(&b);
}
