/* Commit and roll-back of storage: a call happens entirely or not at all, in memory and
 * in the file. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "images.h"
#include "ledger.h"
#include "memory.h"
#include "watchdog.h"

static struct store store;
static struct dirty dirty;
static struct skerry_error err;
static char path[64];

static void open_store(int waits)
{
    CHECK_EQ(ledger_create(&store, path[0] ? path : NULL, waits, &err), 0);
    dirty = ledger_dirty(&store);
}

static void close_store(void)
{
    dirty_close(&dirty);
    store_close(&store);
}

static void begin_without_file(void)
{
    path[0] = 0;
    ledger_disk = (struct ledger_disk){0};
    open_store(0);
}

static void begin_with_file(int waits)
{
    snprintf(path, sizeof(path), "/dev/shm/skerry-store-%d", getpid());
    unlink(path);
    ledger_disk = (struct ledger_disk){0};
    open_store(waits);
}

static void end(void)
{
    close_store();
    if (path[0])
        unlink(path);
}

static int take(struct store *s)
{
    struct lock_ticket ticket = {0};
    return store_take(s, &ticket, NEVER);
}

/* A call that ends well, from the lock to the lock. */
static int call(struct store *s, const struct dirty *d)
{
    CHECK_EQ(take(s), 0);
    int ret = ledger_commit(s, (struct dirty *)d);
    store_give(s);
    return ret;
}

static void call_and_fail(struct dirty *d)
{
    CHECK_EQ(take(&store), 0);
    ledger_write(&store, d, 77);
    store_roll_back(&store, d);
    store_give(&store);
}

static off_t file_size(void)
{
    struct stat st;
    CHECK_EQ(stat(path, &st), 0);
    return st.st_size;
}

/* Logs that there were. */
static uint64_t generation(void)
{
    return store.control->places[store.control->state >> 8 & 1].generation;
}

static int leads_to_another_log(void)
{
    const uint32_t other = !store.control->places[store.control->state >> 8 & 1].header;
    struct label label;
    return label_read(store.file, other, &label) == 0 &&
           label.generation > generation();
}

/* What the file has, once the store is closed. */
static int64_t reopened(void)
{
    close_store();
    open_store(0);
    return ledger_state(&store);
}

/* --- In memory --- */

TEST(a_commit_is_in_both_images_whether_its_pages_are_listed_or_looked_for)
{
    begin_without_file();
    for (int64_t n = 1; n <= 6; n++) {
        CHECK_EQ(call(&store, n % 2 ? &dirty : NULL), 0);
        CHECK_EQ(ledger_state(&store), n);
    }
    CHECK_EQ(store.control->counts.calls, 6);
    CHECK_EQ(store.control->counts.failed, 0);
    end();
}

TEST(a_call_that_is_rolled_back_leaves_the_state_before)
{
    begin_without_file();
    CHECK_EQ(call(&store, &dirty), 0);
    for (int i = 0; i < 4; i++) {
        call_and_fail(i % 2 ? &dirty : NULL);
        CHECK_EQ(ledger_state(&store), 1);
    }
    CHECK_EQ(store.control->counts.failed, 4);
    CHECK_EQ(call(&store, &dirty), 0);
    CHECK_EQ(ledger_state(&store), 2);
    end();
}

TEST(scratch_memory_is_no_state)
{
    begin_with_file(0);
    const off_t size = file_size();
    CHECK_EQ(take(&store), 0);
    store_begin(&store);
    for (int i = LEDGER_STATE; i < LEDGER_PAGES; i++) {
        CHECK(!images_keep(&store.layout, ledger_page(i)));
        store.live[ledger_page(i) << PAGE_SHIFT] = 1;
        dirty_note(&dirty, (uint32_t)ledger_page(i));
    }
    CHECK_EQ(store_commit(&store, &dirty), 0);
    store_give(&store);
    CHECK_EQ(ledger_state(&store), 0);
    CHECK_EQ(file_size(), size);
    end();
}

TEST(all_that_a_program_can_write_to_and_rely_on_is_state)
{
    const struct layout l = ledger_layout();
    const uint64_t kept[] = {l.program.begin, l.program.end - 1, l.main_stack.begin,
                             l.main_stack.end - 1, l.leaf_tables + PAGE_SIZE};
    const uint64_t not_kept[] = {0,
                                 0x7000,
                                 0x100000,
                                 PROGRAM_LOW - 1,
                                 l.call_stack.begin,
                                 l.call_stack.end - 1,
                                 l.inbox.begin,
                                 l.inbox.end - 1,
                                 l.leaf_tables};
    for (size_t i = 0; i < sizeof(kept) / sizeof(*kept); i++)
        CHECK(images_keep(&l, kept[i] >> PAGE_SHIFT));
    for (size_t i = 0; i < sizeof(not_kept) / sizeof(*not_kept); i++)
        CHECK(!images_keep(&l, not_kept[i] >> PAGE_SHIFT));
}

TEST(a_page_that_only_one_image_has_is_found_once)
{
    begin_without_file();
    uint64_t last = ledger_layout().program.end >> PAGE_SHIFT;
    for (uint64_t page = PROGRAM_LOW >> PAGE_SHIFT; page < last; page++)
        (page % 2 ? store.live : store.committed)[page << PAGE_SHIFT] = 1;
    CHECK_EQ(images_compare_both(&store), last - (PROGRAM_LOW >> PAGE_SHIFT));
    end();
}

/* --- With others --- */

TEST(two_that_share_a_store_see_each_others_commits)
{
    struct store other;
    begin_with_file(0);
    CHECK_EQ(call(&store, &dirty), 0);
    CHECK_EQ(ledger_join(&other, &store, &err), 0);
    CHECK_EQ(ledger_state(&other), 1);
    for (int64_t n = 2; n < 8; n++) {
        CHECK_EQ(n % 2 ? call(&store, &dirty) : call(&other, NULL), 0);
        CHECK_EQ(ledger_state(n % 2 ? &other : &store), n);
    }
    store_close(&other);
    CHECK_EQ(reopened(), 7);
    end();
}

TEST(another_versions_store_is_not_joined)
{
    struct store other;
    begin_without_file();
    store.control->size++;
    CHECK_EQ(ledger_join(&other, &store, &err), -EINVAL);
    CHECK_TEXT(err.text, "it was made by another version of skerry");
    store_close(&other);
    end();
}

/* A store whose owner stops being there, as far as anybody else can tell. */
static void die(struct store *s)
{
    lock_leave(&s->seat);
    s->joined = 0;
    store_close(s);
}

TEST(the_next_one_at_a_dead_owners_place_repairs_and_counts_him)
{
    struct store other, next;
    begin_with_file(0);
    CHECK_EQ(call(&store, &dirty), 0);
    CHECK_EQ(ledger_join(&other, &store, &err), 0);
    CHECK_EQ(take(&other), 0);
    ledger_write(&other, NULL, 77);
    die(&other);
    CHECK_EQ(ledger_join(&next, &store, &err), 0);
    CHECK_EQ(ledger_state(&next), 1);
    CHECK_EQ(store.control->counts.repaired, 1);
    CHECK_EQ(call(&store, &dirty), 0);
    store_close(&next);
    CHECK_EQ(reopened(), 2);
    end();
}

TEST(a_new_log_that_a_dead_owner_began_is_given_up_when_there_is_no_room)
{
    struct store other;
    begin_with_file(0);
    CHECK_EQ(call(&store, &dirty), 0);
    CHECK_EQ(ledger_join(&other, &store, &err), 0);
    CHECK_EQ(take(&other), 0);
    other.control->state |= PHASE_CHECKPOINT;
    die(&other);
    ledger_disk.checkpoint_error = -ENOSPC;
    CHECK_EQ(call(&store, &dirty), 0);
    CHECK_EQ(store.control->lost, 0);
    CHECK_EQ(generation(), 1);
    CHECK(!leads_to_another_log());
    CHECK_EQ(reopened(), 2);
    end();
}

/* --- In a file --- */

TEST(a_file_has_the_state_of_the_last_commit)
{
    begin_with_file(0);
    CHECK_EQ(reopened(), 0);
    for (int64_t n = 1; n <= 5; n++) {
        CHECK_EQ(call(&store, &dirty), 0);
        if (n == 3)
            call_and_fail(&dirty);
        CHECK_EQ(reopened(), n);
    }
    end();
}

TEST(a_call_that_changes_nothing_appends_nothing)
{
    begin_with_file(0);
    CHECK_EQ(call(&store, &dirty), 0);
    const off_t size = file_size();
    CHECK_EQ(take(&store), 0);
    ledger_write(&store, &dirty, 1); /* the same again */
    CHECK_EQ(store_commit(&store, &dirty), 0);
    store_give(&store);
    call_and_fail(&dirty);
    CHECK_EQ(file_size(), size);
    CHECK_EQ(store_sequence(&store), 1);
    CHECK_EQ(reopened(), 1);
    end();
}

TEST(a_long_log_is_followed_by_a_new_one)
{
    begin_with_file(0);
    off_t most = 0;
    for (int64_t n = 1; n < 3000; n++) {
        CHECK_EQ(call(&store, &dirty), 0);
        most = file_size() > most ? file_size() : most;
    }
    CHECK(most < 10 << 20); /* all the commits are twice as much */
    CHECK(generation() > 2);
    CHECK_EQ(reopened(), 2999);
    end();
}

/* The disk has room for (bytes) more. */
static void leave_room(off_t bytes)
{
    struct rlimit limit;
    signal(SIGXFSZ, SIG_IGN);
    CHECK_EQ(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes < 0 ? limit.rlim_max : (rlim_t)(file_size() + bytes);
    CHECK_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

TEST(a_full_disk_undoes_the_call_and_room_lets_the_next_one_be)
{
    begin_with_file(0);
    CHECK_EQ(call(&store, &dirty), 0);
    const off_t size = file_size();
    for (off_t room = 0; room < 4000; room += 100) {
        leave_room(room);
        CHECK_EQ(call(&store, room % 200 ? &dirty : NULL), -EFBIG);
        leave_room(-1);
        CHECK_EQ(ledger_state(&store), 1);
        CHECK_EQ(file_size(), size);
    }
    CHECK_EQ(call(&store, &dirty), 0);
    CHECK_EQ(reopened(), 2);
    end();
}

TEST(a_log_without_room_for_a_new_one_goes_on)
{
    begin_with_file(0);
    const off_t empty = file_size();
    CHECK_EQ(call(&store, &dirty), 0);
    const off_t commit = file_size() - empty;
    for (int64_t n = 2; n < 5; n++) {
        ledger_disk.is_long = 1;
        leave_room(commit + 64);
        CHECK_EQ(call(&store, &dirty), 0);
        leave_room(-1);
        ledger_disk.is_long = 0;
        CHECK_EQ(store.control->lost, 0);
        CHECK_EQ(generation(), 1);
        CHECK_EQ(ledger_state(&store), n);
    }
    CHECK_EQ(call(&store, &dirty), 0);
    CHECK_EQ(reopened(), 5);
    end();
}

TEST(a_file_that_another_store_has_is_refused)
{
    struct store other;
    begin_with_file(0);
    CHECK_EQ(ledger_create(&other, path, 0, &err), -EBUSY);
    store_close(&other);
    CHECK_EQ(call(&store, &dirty), 0);
    end();
}

static int create_as(const struct journal_id *id)
{
    const struct layout l = ledger_layout();
    const struct process process = {0};
    struct store_file file = {open(path, O_RDWR | O_CLOEXEC), path, *id, 0};
    struct store other;
    struct store_fds fds = {memory_create("other", l.slot_size, &err), -1, -1};
    int ret = store_create(&other, fds, &l, &process, &file, &err);
    store_close(&other);
    return ret;
}

TEST(a_file_of_another_program_is_refused_and_left_alone)
{
    const struct journal_id other = {{1, 2, 4}, "other, 8 MB"};
    begin_with_file(0);
    CHECK_EQ(call(&store, &dirty), 0);
    close_store();
    CHECK_EQ(create_as(&other), -ESTALE);
    CHECK(strstr(err.text, "has the storage of ledger, 8 MB, not of other, 8 MB"));
    open_store(0);
    CHECK_EQ(ledger_state(&store), 1);
    end();
}

/* A file that says it is ours, with a line at (page). */
static int open_with_line_at(uint32_t page, uint32_t extra)
{
    const uint8_t bytes[PAGE_SIZE] = {1};
    uint8_t *process = calloc(1, extra);
    struct journal_place *now = &store.control->places[store.control->state >> 8 & 1];
    struct journal_record r = {0};
    journal_begin(&r, 1);
    CHECK_EQ(journal_page(&r, page, bytes, NULL), 0);
    CHECK_EQ(journal_extra(&r, process, extra), 0);
    CHECK_EQ(journal_checkpoint(store.file, now, &r, 0, now), 0);
    journal_free(&r);
    free(process);
    close_store();
    int ret = ledger_create(&store, path, 0, &err);
    dirty = ledger_dirty(&store);
    return ret;
}

TEST(a_file_whose_lines_are_not_of_the_state_is_refused)
{
    const struct layout l = ledger_layout();
    const uint64_t wrong[] = {0,
                              0x100000,
                              l.call_stack.begin,
                              l.inbox.begin,
                              l.leaf_tables,
                              l.slot_size,
                              UINT32_MAX * PAGE_SIZE};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        begin_with_file(0);
        const uint32_t page = (uint32_t)(wrong[i] >> PAGE_SHIFT);
        CHECK_EQ(open_with_line_at(page, sizeof(struct process)), -EINVAL);
        end();
    }
    begin_with_file(0);
    const uint32_t good = PROGRAM_LOW >> PAGE_SHIFT;
    CHECK_EQ(open_with_line_at(good, sizeof(struct process) - 1), -EINVAL);
    end();
    begin_with_file(0);
    CHECK_EQ(open_with_line_at(good, sizeof(struct process)), 0);
    CHECK_EQ(store.live[PROGRAM_LOW], 1);
    end();
}

/* --- Power loss --- */

TEST(who_has_seen_a_commit_waits_until_it_is_synced)
{
    begin_with_file(1);
    CHECK(!store_must_wait(&store, store_sequence(&store)));
    CHECK_EQ(call(&store, &dirty), 0);
    CHECK(store_must_wait(&store, 1));
    CHECK_EQ(store_sync(&store), 0);
    CHECK(!store_must_wait(&store, 1));
    CHECK_EQ(call(&store, &dirty), 0);
    CHECK(!store_must_wait(&store, 1));
    CHECK(store_must_wait(&store, 2));
    end();
}

TEST(a_sync_is_worth_nothing_for_a_commit_that_came_after_it_began)
{
    begin_with_file(1);
    CHECK_EQ(take(&store), 0);
    CHECK_EQ(ledger_commit(&store, &dirty), 0);
    CHECK_EQ(store_sync(&store), 0); /* its owner has not given it back yet */
    store_give(&store);
    CHECK(store_must_wait(&store, 1));
    end();
}

TEST(nobody_waits_without_a_file_or_with_durability_process)
{
    begin_without_file();
    CHECK_EQ(call(&store, &dirty), 0);
    CHECK(!store_must_wait(&store, 1));
    CHECK_EQ(store_sync(&store), 0);
    end();
    begin_with_file(0);
    CHECK_EQ(call(&store, &dirty), 0);
    CHECK(!store_must_wait(&store, 1));
    end();
}

TEST(a_new_log_is_synced)
{
    begin_with_file(1);
    ledger_disk.is_long = 1;
    CHECK_EQ(call(&store, &dirty), 0);
    CHECK(!store_must_wait(&store, 1));
    end();
}

/* After it the kernel may tell of success, of pages that it has dropped. */
static void check_lost(int64_t state)
{
    ledger_disk = (struct ledger_disk){0};
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(call(&store, &dirty), -EIO);
        CHECK_EQ(ledger_state(&store), state);
        CHECK_EQ(store_sync(&store), -EIO);
        CHECK(store_must_wait(&store, 1));
    }
}

TEST(after_a_failed_sync_nothing_more_is_committed_nor_called_synced)
{
    begin_with_file(1);
    CHECK_EQ(call(&store, &dirty), 0);
    ledger_disk.sync_error = -EIO;
    CHECK_EQ(store_sync(&store), -EIO);
    check_lost(1);
    end();
}

TEST(a_sync_that_fails_while_a_new_log_is_written_counts)
{
    begin_with_file(1);
    ledger_disk = (struct ledger_disk){.is_long = 1, .checkpoint_error = -EIO};
    CHECK_EQ(call(&store, &dirty), 0); /* but it is never called synced */
    check_lost(1);
    CHECK_EQ(reopened(), 1);
    end();
}
