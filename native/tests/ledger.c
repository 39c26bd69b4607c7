/* ledger.c: see ledger.h. */
#include "ledger.h"

#include <fcntl.h>
#include <unistd.h>

#include "memory.h"
#include "watchdog.h"

static int journal_sync_or_fail(int fd);
static int journal_checkpoint_or_fail(int fd, const struct journal_place *place,
                                      struct journal_record *full, int sync,
                                      struct journal_place *next);
static int journal_is_long_enough(const struct journal_place *place);

#define journal_sync journal_sync_or_fail
#define journal_checkpoint journal_checkpoint_or_fail
#define journal_is_long journal_is_long_enough
#include "../src/store.c"
#include "../src/store_sync.c"
#undef journal_sync
#undef journal_checkpoint
#undef journal_is_long

struct ledger_disk ledger_disk;

static int journal_sync_or_fail(int fd)
{
    return ledger_disk.sync_error ? ledger_disk.sync_error : journal_sync(fd);
}

static int journal_checkpoint_or_fail(int fd, const struct journal_place *place,
                                      struct journal_record *full, int sync,
                                      struct journal_place *next)
{
    int ret = journal_checkpoint(fd, place, full, sync, next);
    return ledger_disk.checkpoint_error ? ledger_disk.checkpoint_error : ret;
}

static int journal_is_long_enough(const struct journal_place *place)
{
    return ledger_disk.is_long || journal_is_long(place);
}

struct layout ledger_layout(void)
{
    struct layout l;
    layout_make(&l, MAX_MEMORY_MIN, 0);
    return l;
}

uint64_t ledger_page(int index)
{
    const struct layout l = ledger_layout();
    const uint64_t addr[LEDGER_PAGES] = {PROGRAM_LOW,
                                         PROGRAM_LOW + PAGE_SIZE,
                                         l.program.end - PAGE_SIZE,
                                         l.main_stack.begin,
                                         l.call_stack.end - PAGE_SIZE,
                                         l.inbox.begin,
                                         0x100000};
    return addr[index] >> PAGE_SHIFT;
}

int ledger_create(struct store *s, const char *path, int waits,
                  struct skerry_error *err)
{
    const struct layout l = ledger_layout();
    const struct process process = {0};
    const int fd = path ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;
    const struct store_file file = {fd, path, {{1, 2, 3}, "ledger, 8 MB"}, waits};
    const struct store_fds fds = {memory_create("ledger", l.slot_size, err), -1, -1};
    return store_create(s, fds, &l, &process, path ? &file : NULL, err);
}

int ledger_join(struct store *s, const struct store *of, struct skerry_error *err)
{
    const struct layout l = ledger_layout();
    const int fds[STORE_FDS] = {dup(of->live_fd), dup(of->control_fd),
                                dup(of->committed_fd),
                                of->file < 0 ? -1 : dup(of->file), -1};
    return store_attach(s, fds, &l, err);
}

struct dirty ledger_dirty(const struct store *s)
{
    struct dirty d;
    dirty_open(&d, (uint32_t)(s->size >> PAGE_SHIFT));
    return d;
}

/* What commit (n) leaves in a page of the state: one number, or one in every line. */
static void fill(int index, uint64_t n, uint64_t *page)
{
    page[index % 2 ? 511 : 0] = n;
    for (int i = 0; index == 1 && i < 512; i += 8)
        page[i] = n;
}

void ledger_write(struct store *s, struct dirty *dirty, uint64_t n)
{
    store_begin(s);
    for (int i = 0; i < LEDGER_PAGES; i++) {
        uint64_t at = ledger_page(i) << PAGE_SHIFT;
        if (dirty)
            dirty_note(dirty, (uint32_t)ledger_page(i));
        fill(i, n, (uint64_t *)(void *)(s->live + at));
    }
    s->control->process.brk = n;
}

int ledger_commit(struct store *s, struct dirty *dirty)
{
    ledger_write(s, dirty, store_sequence(s) + 1);
    return store_commit(s, dirty);
}

static int is_after(const uint8_t *image, const struct process *p, uint64_t n)
{
    uint64_t expected[512];
    int good = p->brk == n;
    for (int i = 0; i < LEDGER_STATE; i++) {
        memset(expected, 0, sizeof(expected));
        fill(i, n, expected);
        good &= !memcmp(image + (ledger_page(i) << PAGE_SHIFT), expected, PAGE_SIZE);
    }
    return good;
}

int64_t ledger_state(struct store *s)
{
    const struct control *c = s->control;
    const uint64_t n = store_sequence(s);
    return is_after(s->live, &c->process, n) &&
                   is_after(s->committed, &c->committed, n) &&
                   images_compare_both(s) == 0
               ? (int64_t)n
               : -1;
}
