/* The list of written pages. */
#include "check.h"
#include "dirty.h"
#include "kvm.h"

static struct dirty d;
static struct kvm_dirty_gfn ring[DIRTY_RING_ENTRIES];

static void begin(uint32_t pages)
{
    CHECK_EQ(dirty_open(&d, pages), 0);
    memset(ring, 0, sizeof(ring));
    d.ring = ring;
}

TEST(a_page_is_listed_once)
{
    begin(100);
    for (int i = 0; i < 3; i++)
        for (uint32_t page = 0; page < 100; page += 9)
            dirty_note(&d, page);
    CHECK_EQ(d.count, 12);
    for (uint32_t i = 0; i < d.count; i++)
        CHECK_EQ(d.pages[i], i * 9);
    dirty_close(&d);
}

TEST(a_page_outside_is_not_listed)
{
    begin(65);
    dirty_note(&d, 64);
    dirty_note(&d, 65);
    dirty_note(&d, 128);
    dirty_note(&d, UINT32_MAX);
    CHECK_EQ(d.count, 1);
    dirty_close(&d);
}

TEST(the_list_grows_to_all_pages)
{
    begin(5000);
    for (uint32_t page = 5000; page-- > 0;)
        dirty_note(&d, page);
    CHECK_EQ(d.count, 5000);
    CHECK(!d.failed && d.pages[0] == 4999 && d.pages[4999] == 0);
    dirty_close(&d);
}

TEST(a_list_that_forgot_lists_again)
{
    begin(1000);
    for (uint32_t page = 0; page < 1000; page += 3)
        dirty_note(&d, page);
    dirty_forget(&d);
    CHECK_EQ(d.count, 0);
    for (uint32_t page = 0; page < 1000; page++)
        dirty_note(&d, page);
    CHECK_EQ(d.count, 1000);
    dirty_close(&d);
}

TEST(a_request_is_charged_for_the_pages_that_it_was_the_first_to_write)
{
    begin(1000);
    for (uint32_t page = 0; page < 10; page++)
        dirty_note(&d, page);
    CHECK_EQ(dirty_charge(&d), 10 * 4096);
    d.kept = d.count;
    CHECK_EQ(dirty_charge(&d), 0);
    for (uint32_t page = 5; page < 13; page++)
        dirty_note(&d, page);
    CHECK_EQ(dirty_charge(&d), 3 * 4096);
    dirty_forget(&d);
    CHECK_EQ(dirty_charge(&d), 0);
    dirty_close(&d);
}

/* KVM's part: reports (count) pages from (first) on, at the entries that follow. */
static void report(uint32_t entry, uint32_t first, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct kvm_dirty_gfn *e = &ring[(entry + i) % DIRTY_RING_ENTRIES];
        *e =
            (struct kvm_dirty_gfn){.flags = KVM_DIRTY_GFN_F_DIRTY, .offset = first + i};
    }
}

TEST(what_the_ring_reports_is_listed_and_handed_back)
{
    begin(10000);
    report(0, 100, 3);
    dirty_collect(&d);
    CHECK(d.count == 3 && d.pages[0] == 100 && d.pages[2] == 102);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(ring[i].flags, KVM_DIRTY_GFN_F_RESET);
    dirty_collect(&d);
    CHECK_EQ(d.count, 3);
    dirty_close(&d);
}

TEST(the_ring_goes_round)
{
    begin(10000);
    uint32_t entry = 0;
    for (uint32_t i = 0; i < 5; i++, entry += 1500) {
        report(entry, i * 1500, 1500);
        dirty_collect(&d);
        CHECK_EQ(d.count, (i + 1) * 1500);
    }
    dirty_close(&d);
}

TEST(a_ring_that_is_full_is_read_once)
{
    begin(10000);
    report(0, 0, DIRTY_RING_ENTRIES);
    dirty_collect(&d);
    CHECK_EQ(d.count, DIRTY_RING_ENTRIES);
    dirty_close(&d);
}

TEST(a_list_without_a_ring_has_what_was_noted)
{
    begin(10);
    d.ring = NULL;
    dirty_note(&d, 3);
    dirty_collect(&d);
    CHECK_EQ(d.count, 1);
    dirty_close(&d);
}
