/* The door to guest memory: every edge of every region, ranges that wrap, permissions.
 */
#include <errno.h>

#include "bare.h"
#include "check.h"
#include "paging.h"

static struct bare b;
static struct guestmem *gm = &b.machine.mem;

static void begin(uint64_t shm)
{
    bare_open(&b, 12UL << 20, shm);
}

static int may_read(uint64_t addr, uint64_t len)
{
    return guest_view(gm, addr, len) != NULL;
}

static int may_write(uint64_t addr, uint64_t len)
{
    return guest_window(gm, addr, len) != NULL;
}

static void check_edges(struct region r, int writable)
{
    uint64_t size = r.end - r.begin;
    CHECK(may_read(r.begin, size) && may_read(r.begin, 1) && may_read(r.end - 1, 1));
    CHECK(may_write(r.begin, size) == writable && may_write(r.end - 1, 1) == writable);
    CHECK(!may_read(r.begin - 1, 1) && !may_read(r.begin - 1, 2));
    CHECK(!may_read(r.end, 1) && !may_read(r.end - 1, 2));
    CHECK(!may_read(r.begin, size + 1) && !may_read(r.begin - 1, size + 2));
    CHECK(!may_write(r.begin - 1, 1) && !may_write(r.end - 1, 2));
}

TEST(every_region_is_open_up_to_its_edges)
{
    begin(LARGE_PAGE);
    const struct layout *l = &gm->layout;
    const struct region program = {PROGRAM_LOW + LARGE_PAGE, l->program.end};
    const struct region open[] = {
        {0x100000, 0x101000}, l->main_stack, l->call_stack, l->inbox, l->shm};
    for (size_t i = 0; i < sizeof(open) / sizeof(*open); i++)
        check_edges(open[i], 1);
    CHECK(may_write(program.begin, program.end - program.begin));
    CHECK(!may_read(program.end, 1) && !may_write(program.end - 1, 2));
    bare_close(&b);
}

TEST(code_can_be_read_and_not_written)
{
    begin(0);
    CHECK(may_read(PROGRAM_LOW, LARGE_PAGE) && !may_write(PROGRAM_LOW, 1));
    CHECK(may_read(TRAMPOLINE_ADDR, PAGE_SIZE) && !may_write(TRAMPOLINE_ADDR, 1));
    CHECK(may_read(XSAVE_ADDR, PAGE_SIZE) && !may_write(XSAVE_ADDR, 1));
    CHECK(!may_write(PROGRAM_LOW + LARGE_PAGE - 1, 2));
    CHECK_EQ(guest_write(gm, PROGRAM_LOW, "x", 1), -EFAULT);
    CHECK_EQ(guest_zero(gm, PROGRAM_LOW, 1), -EFAULT);
    bare_close(&b);
}

TEST(what_is_ring_0s_or_nobodys_is_closed)
{
    begin(LARGE_PAGE);
    const struct layout *l = &gm->layout;
    const uint64_t closed[] = {0,
                               0xfff,
                               GDT_ADDR,
                               IDT_ADDR,
                               TSS_ADDR,
                               EXCEPTION_STUBS_ADDR,
                               SYSCALL_STUB_ADDR,
                               EXCEPTION_STACK_ADDR,
                               EXCEPTION_STACK_TOP,
                               0x101000,
                               PROGRAM_LOW - 1,
                               l->tables,
                               l->leaf_tables,
                               l->slot_size - 1,
                               l->slot_size,
                               l->shm.begin - 1,
                               l->shm.end,
                               l->mapped_end,
                               1UL << 47,
                               1UL << 63,
                               UINT64_MAX};
    for (size_t i = 0; i < sizeof(closed) / sizeof(*closed); i++)
        CHECK(!may_read(closed[i], 1) && !may_write(closed[i], 1));
    bare_close(&b);
}

TEST(ranges_that_wrap_are_refused)
{
    begin(LARGE_PAGE);
    const uint64_t starts[] = {PROGRAM_LOW + LARGE_PAGE, gm->layout.shm.begin,
                               UINT64_MAX - 1, 1UL << 63};
    const uint64_t lens[] = {UINT64_MAX, UINT64_MAX - PROGRAM_LOW, 1UL << 63,
                             1UL << 48};
    for (size_t i = 0; i < 4; i++)
        for (size_t k = 0; k < 4; k++)
            CHECK(!may_read(starts[i], lens[k]) && !may_write(starts[i], lens[k]));
    bare_close(&b);
}

TEST(no_bytes_are_always_there_below_the_end)
{
    begin(0);
    CHECK(may_read(0, 0) && may_read(gm->layout.tables, 0));
    CHECK(may_read(gm->layout.mapped_end, 0));
    CHECK(!may_read(gm->layout.mapped_end + 1, 0) && !may_read(UINT64_MAX, 0));
    uint8_t unused;
    CHECK_EQ(guest_read(gm, 0, &unused, 0), 0);
    CHECK_EQ(guest_write(gm, 0, NULL, 0), 0);
    bare_close(&b);
}

TEST(writes_note_their_pages_and_shared_memory_none)
{
    begin(LARGE_PAGE);
    const uint64_t at = gm->layout.call_stack.begin + 3 * PAGE_SIZE - 1;
    CHECK_EQ(guest_write(gm, at, "ab", 2), 0);
    CHECK_EQ(guest_write(gm, at, "ab", 2), 0);
    CHECK_EQ(guest_write(gm, gm->layout.shm.begin, "ab", 2), 0);
    CHECK_EQ(guest_write(gm, 0, "", 0), 0);
    CHECK_EQ(b.machine.dirty.count, 2);
    CHECK_EQ(b.machine.dirty.pages[0], at / PAGE_SIZE);
    CHECK_EQ(b.machine.dirty.pages[1], at / PAGE_SIZE + 1);
    CHECK_EQ(bare_forgotten(&b), 0);
    bare_close(&b);
}

TEST(reading_brings_what_writing_left_in_either_slot)
{
    begin(LARGE_PAGE);
    const uint64_t places[] = {gm->layout.inbox.end - 8, gm->layout.shm.begin,
                               gm->layout.shm.end - 8};
    for (size_t i = 0; i < 3; i++) {
        uint64_t back = 0, value = 0x1122334455667788 + i;
        CHECK_EQ(guest_write(gm, places[i], &value, 8), 0);
        CHECK_EQ(guest_read(gm, places[i], &back, 8), 0);
        CHECK_EQ(back, value);
        CHECK_EQ(guest_read(gm, places[i] + 1, &back, 1), 0);
        CHECK_EQ(guest_zero(gm, places[i], 8), 0);
        CHECK_EQ(guest_read(gm, places[i], &back, 8) | (int)back, 0);
    }
    bare_close(&b);
}

static long string_at(uint64_t addr, size_t size)
{
    static char dst[3 * PAGE_SIZE];
    return guest_string(gm, addr, dst, size);
}

TEST(strings_end_where_their_memory_ends_at_the_latest)
{
    begin(LARGE_PAGE);
    const struct region stack = gm->layout.call_stack, shm = gm->layout.shm;
    memset(gm->base + stack.end - 2 * PAGE_SIZE, 'x', 2 * PAGE_SIZE);
    memset(gm->shm + LARGE_PAGE - 4, 'x', 4);
    CHECK_EQ(string_at(stack.end - 4, 100), -EFAULT);
    CHECK_EQ(string_at(shm.end - 4, 100), -EFAULT);
    CHECK_EQ(string_at(stack.end - 4, 4), -ENAMETOOLONG);
    gm->base[stack.end - 1] = 0;
    CHECK_EQ(string_at(stack.end - 4, 100), 3);
    CHECK_EQ(string_at(stack.end - PAGE_SIZE - 4, 2 * PAGE_SIZE), PAGE_SIZE + 3);
    CHECK_EQ(string_at(stack.end - 4, 4), 3);
    CHECK_EQ(string_at(stack.end - 4, 3), -ENAMETOOLONG);
    CHECK_EQ(string_at(stack.end - 1, 100), 0);
    CHECK_EQ(string_at(0, 100), -EFAULT);
    CHECK_EQ(string_at(UINT64_MAX, 100), -EFAULT);
    bare_close(&b);
}

TEST(only_the_programs_own_code_is_its_function)
{
    begin(LARGE_PAGE);
    CHECK(guest_executable(gm, PROGRAM_LOW));
    CHECK(guest_executable(gm, PROGRAM_LOW + LARGE_PAGE - 1));
    CHECK(!guest_executable(gm, PROGRAM_LOW + LARGE_PAGE) && !guest_executable(gm, 0));
    CHECK(!guest_executable(gm, gm->layout.shm.begin));
    CHECK(!guest_executable(gm, EXCEPTION_STUBS_ADDR));
    CHECK(!guest_executable(gm, TRAMPOLINE_ADDR));
    CHECK(!guest_executable(gm, UINT64_MAX));
    bare_close(&b);
}
