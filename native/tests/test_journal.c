/* The file of a storage: whatever happens to it, it tells of a state that was there.
 *
 * Commit n changes memory in a way that only n decides, so the state after n commits is
 * known, and a commit that is made again writes the same bytes again. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "journal.h"
#include "layout.h"

/* --- The disk: every change goes through here --- */

enum change { WRITE, CUT, PUNCH, SYNC };

struct op {
    enum change change;
    uint64_t at, len;
    uint8_t *bytes;
    /* What the file may tell of after it. */
    uint64_t synced, committed; /* commits: at least, at most */
    uint64_t flight;            /* or one more, this; 0: none */
    int logged;                 /* it has a log */
};

static struct op ops[4096];
static uint32_t op_count;
static int recording;
static uint64_t synced, committed, flight;
static int logged;
static int64_t dies_after = -1; /* changes until the process dies; -1: it does not */
static int64_t room = -1;       /* bytes until the disk is full; -1: it has no end */
static jmp_buf death;

static void note(enum change change, const void *bytes, uint64_t len, uint64_t at)
{
    if (!recording)
        return;
    CHECK(op_count < sizeof(ops) / sizeof(*ops));
    struct op *op = &ops[op_count++];
    synced = change == SYNC ? committed : synced;
    *op = (struct op){change, at, len, NULL, synced, committed, flight, logged};
    if (change == WRITE) {
        op->bytes = malloc(len);
        memcpy(op->bytes, bytes, len);
    }
}

static int dies(void)
{
    return dies_after >= 0 && dies_after-- == 0;
}

static ssize_t disk_pwrite(int fd, const void *bytes, size_t len, off_t at)
{
    if (room == 0) {
        errno = ENOSPC;
        return -1;
    }
    if (room > 0 && len > (size_t)room)
        len = (size_t)room;
    room -= room > 0 ? (int64_t)len : 0;
    const int last = dies();
    if (last)
        len /= 2;
    note(WRITE, bytes, len, (uint64_t)at);
    ssize_t put = pwrite(fd, bytes, len, at);
    if (last)
        longjmp(death, 1);
    return put;
}

static int disk_ftruncate(int fd, off_t size)
{
    if (dies())
        longjmp(death, 1);
    note(CUT, NULL, 0, (uint64_t)size);
    return ftruncate(fd, size);
}

static int disk_fallocate(int fd, int mode, off_t at, off_t len)
{
    if (dies())
        longjmp(death, 1);
    note(PUNCH, NULL, (uint64_t)len, (uint64_t)at);
    return fallocate(fd, mode, at, len);
}

static int disk_fdatasync(int fd)
{
    (void)fd; /* the disk here loses power only where a test says so */
    if (dies())
        longjmp(death, 1);
    note(SYNC, NULL, 0, 0);
    return 0;
}

#define pwrite disk_pwrite
#define ftruncate disk_ftruncate
#define fallocate disk_fallocate
#define fdatasync disk_fdatasync
#include "../src/disk.c"
#undef pwrite
#undef ftruncate
#undef fallocate
#undef fdatasync

/* --- The program --- */

#define PAGES_MOST 64

struct state {
    uint8_t image[PAGES_MOST * PAGE_SIZE];
    uint8_t extra[16];
    uint64_t extra_len;
};

static const struct journal_id ID = {{1, 2, 3}, "counter, 8 MB"};
static uint64_t pages, seed;
static struct state now, then, got;
static struct journal_record record;
static struct journal_place place;
static struct skerry_error err;
static char directory[64], path[96];
static int fd;

/* What commit (n) does. */
static void change(struct state *s, uint64_t n)
{
    uint64_t random = seed + n * 0x9e3779b97f4a7c15;
    for (uint64_t spots = check_random(&random) % 6; spots; spots--) {
        uint64_t at = check_random(&random) % (pages * PAGE_SIZE);
        uint64_t len = check_random(&random) % 300;
        for (; len && at < pages * PAGE_SIZE; len--)
            s->image[at++] = (uint8_t)check_random(&random);
    }
    if (n % 5 == 0)
        memset(s->image + n % pages * PAGE_SIZE, (int)(n % 2), PAGE_SIZE);
    if (n % 3 == 0) {
        s->extra_len = sizeof(s->extra) - n % 2;
        memcpy(s->extra, &n, sizeof(n));
    }
}

static int same(const struct state *a, const struct state *b)
{
    return memcmp(a->image, b->image, pages * PAGE_SIZE) == 0 &&
           a->extra_len == b->extra_len &&
           memcmp(a->extra, b->extra, a->extra_len) == 0;
}

static void state_after(struct state *s, uint64_t n)
{
    memset(s->image, 0, pages * PAGE_SIZE);
    s->extra_len = 0;
    for (uint64_t i = 1; i <= n; i++)
        change(s, i);
}

/* Tells if the file that was opened told the state after as many commits as it says. */
static int got_its_state(void)
{
    static struct state expected;
    state_after(&expected, place.sequence);
    return same(&got, &expected);
}

static int take_lines(void *context, uint64_t offset, const uint8_t *bytes,
                      uint64_t len)
{
    struct state *s = context;
    if (offset > pages * PAGE_SIZE || len > pages * PAGE_SIZE - offset)
        return -EFAULT;
    memcpy(s->image + offset, bytes, len);
    return 0;
}

static int take_extra(void *context, const uint8_t *bytes, uint64_t len)
{
    struct state *s = context;
    if (len > sizeof(s->extra))
        return -EFAULT;
    memcpy(s->extra, bytes, len);
    s->extra_len = len;
    return 0;
}

static int open_as(const char *name, const struct journal_id *id)
{
    const struct journal_sink sink = {&got, take_lines, take_extra};
    state_after(&got, 0);
    fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    CHECK(fd >= 0);
    int ret = journal_open(fd, name, id, &sink, &place, &err);
    if (ret < 0) {
        close(fd);
        fd = -1;
    }
    return ret;
}

static int open_path(void)
{
    return open_as(path, &ID);
}

static void build(int full)
{
    journal_begin(&record, full);
    for (uint32_t i = 0; i < pages; i++)
        CHECK_EQ(journal_page(&record, i, now.image + i * PAGE_SIZE,
                              full ? NULL : then.image + i * PAGE_SIZE),
                 0);
    if (full || now.extra_len != then.extra_len ||
        memcmp(now.extra, then.extra, now.extra_len) != 0)
        CHECK_EQ(journal_extra(&record, now.extra, (uint32_t)now.extra_len), 0);
}

static void commit(void)
{
    struct journal_place next;
    then = now;
    flight = committed + 1;
    change(&now, flight);
    build(0);
    CHECK_EQ(journal_append(fd, &place, &record, &next), 0);
    place = next;
    committed = flight;
    flight = 0;
    CHECK_EQ(place.sequence, committed);
}

static void checkpoint(void)
{
    struct journal_place next;
    build(1);
    CHECK_EQ(journal_checkpoint(fd, &place, &record, 1, &next), 0);
    place = next;
    logged = 1;
}

static void forget_ops(void)
{
    while (op_count)
        free(ops[--op_count].bytes);
}

static void begin(void)
{
    pages = 4;
    seed = 1;
    synced = committed = flight = 0;
    logged = 0;
    memset(&now, 0, sizeof(now));
    /* In memory: a disk is slow to take ten thousand small files. */
    strcpy(directory, "/dev/shm/test_journal.XXXXXX");
    CHECK(mkdtemp(directory) != NULL);
    snprintf(path, sizeof(path), "%s/storage", directory);
    CHECK_EQ(open_path(), 0);
}

static void begin_with(int commits)
{
    begin();
    checkpoint();
    while (commits--)
        commit();
}

static void end(void)
{
    recording = 0;
    forget_ops();
    journal_free(&record);
    close(fd);
    unlink(path);
    rmdir(directory);
}

static int reopen(void)
{
    close(fd);
    fd = -1;
    return open_path();
}

/* --- The file as bytes --- */

static uint8_t file[1 << 20], before[1 << 20];

static uint64_t load(uint8_t *bytes)
{
    int from = open(path, O_RDONLY);
    ssize_t len = pread(from, bytes, sizeof(file), 0);
    CHECK(len >= 0 && (size_t)len < sizeof(file));
    close(from);
    return (uint64_t)len;
}

static void store(const uint8_t *bytes, uint64_t len)
{
    int to = open(path, O_WRONLY | O_TRUNC);
    CHECK_EQ(pwrite(to, bytes, len, 0), len);
    close(to);
}

static void check_untouched(uint64_t len)
{
    CHECK_EQ(load(before), len);
    CHECK_EQ(memcmp(before, file, len), 0);
}

/* --- Promises --- */

TEST(a_checksum_is_crc_32c_however_it_is_cut)
{
    uint32_t crc32c(uint32_t crc, const void *bytes, uint64_t len);
    CHECK_EQ(crc32c(0, "123456789", 9), 0xe3069283);
    CHECK_EQ(crc32c(crc32c(0, "1234", 4), "56789", 5), 0xe3069283);
    CHECK_EQ(crc32c(0, "", 0), 0);
}

TEST(a_storage_file_brings_back_every_commit)
{
    begin_with(0);
    uint64_t random = 7;
    for (uint64_t i = 1; i <= 200; i++) {
        commit();
        if (check_random(&random) % 10 == 0)
            checkpoint();
        if (check_random(&random) % 10 == 0)
            CHECK_EQ(journal_trim(fd, &place), 0);
        const struct journal_place was = place;
        CHECK_EQ(reopen(), 1);
        CHECK(same(&got, &now) && place.sequence == i);
        CHECK_EQ(memcmp(&was, &place, sizeof(was)), 0);
    }
    end();
}

/* Makes the file and its first log in a process that dies after so many changes. */
static int make_and_die(int changes)
{
    int status;
    pid_t child = fork();
    if (child == 0) {
        dies_after = changes;
        if (setjmp(death))
            _exit(1);
        open_path();
        checkpoint();
        _exit(0);
    }
    CHECK_EQ(waitpid(child, &status, 0), child);
    return WEXITSTATUS(status);
}

TEST(a_storage_file_is_new_until_its_first_log_is_whole)
{
    begin();
    change(&now, 5);
    for (int changes = 0, died = 1, was_new = 1; died; changes++) {
        close(fd);
        unlink(path);
        died = make_and_die(changes);
        int ret = open_path();
        CHECK(ret == 0 || (ret == 1 && same(&got, &now)));
        CHECK(ret == 0 ? was_new && died : changes > 4);
        was_new = ret == 0;
    }
    end();
}

TEST(a_storage_file_cut_at_any_length_has_the_commits_before)
{
    begin();
    uint64_t ends[8], count = 0;
    checkpoint();
    ends[count++] = place.end;
    while (count < 8) {
        commit();
        ends[count++] = place.end;
    }
    close(fd);
    const uint64_t size = load(file);
    CHECK_EQ(size, place.end);
    for (uint64_t len = 0, whole = 0; len <= size; len++) {
        store(file, len);
        while (whole < 8 && len >= ends[whole])
            whole++;
        int ret = open_path();
        if (len == 0 || whole) {
            CHECK_EQ(ret, whole > 0);
            CHECK(!whole || (got_its_state() && place.end == ends[whole - 1]));
            close(fd);
            continue;
        }
        /* The magic ends in a zero, as what is behind the end reads. */
        CHECK_EQ(ret, len < 15 ? -EINVAL : -EIO);
        check_untouched(len);
    }
    fd = -1;
    end();
}

/* Of one log, and of two when the host died before it gave the old one back. */
TEST(a_storage_file_with_a_byte_changed_is_refused_or_has_a_state_before)
{
    for (int logs = 1; logs <= 2; logs++) {
        begin_with(4);
        if (logs == 2) {
            checkpoint();
            commit();
        }
        close(fd);
        const uint64_t size = load(file);
        for (uint64_t at = 0; at < size; at++) {
            file[at] ^= (uint8_t)(1 + at * 7 % 255);
            store(file, size);
            int ret = open_path();
            CHECK(ret == 1 || ret == -EIO || (ret == -EINVAL && at < 16));
            CHECK(ret < 0 || got_its_state());
            if (ret < 0)
                check_untouched(size);
            else
                close(fd);
            file[at] ^= (uint8_t)(1 + at * 7 % 255);
        }
        fd = -1;
        end();
    }
}

/* --- Deaths, and the loss of power --- */

#define SECTOR 512UL

static uint64_t disk_len;
static uint8_t disk[1 << 20];

static void disk_put(const uint8_t *bytes, uint64_t len, uint64_t at)
{
    CHECK(at + len <= sizeof(disk));
    if (at + len > disk_len) {
        memset(disk + disk_len, 0, at + len - disk_len);
        disk_len = at + len;
    }
    if (bytes)
        memcpy(disk + at, bytes, len);
}

/* What the disk keeps of (op): of 8 parts, (keep) in the mean. */
static void apply(const struct op *op, uint64_t keep, uint64_t *random)
{
    static const uint8_t zeros[1 << 20];
    uint64_t stop = op->at + op->len, next;
    for (uint64_t at = op->at; at < stop; at = next) {
        next = (at / SECTOR + 1) * SECTOR < stop ? (at / SECTOR + 1) * SECTOR : stop;
        if (check_random(random) % 8 >= keep)
            continue;
        if (op->change == WRITE)
            disk_put(op->bytes + (at - op->at), next - at, at);
        else if (at < disk_len)
            disk_put(zeros, next < disk_len ? next - at : disk_len - at, at);
    }
    if (op->change == CUT && check_random(random) % 8 < keep) {
        if (op->at > disk_len)
            disk_put(NULL, 0, op->at);
        disk_len = op->at;
    }
}

/* The file after power went behind the first (count) changes to (base) bytes. */
static void lose_power(uint32_t count, uint64_t base, uint64_t *random)
{
    uint32_t sure = 0;
    const uint64_t keep = check_random(random) % 9;
    memcpy(disk, before, base);
    disk_len = base;
    for (uint32_t i = 0; i < count; i++)
        sure = ops[i].change == SYNC ? i : sure;
    for (uint32_t i = 0; i < count; i++)
        apply(&ops[i], i < sure ? 8 : keep, random);
    store(disk, disk_len);
}

/* A worker begins a commit or a new log and dies; another undoes it. */
static void die(uint64_t *random, uint64_t n)
{
    struct journal_place next;
    then = now;
    flight = n;
    if (n)
        change(&now, n);
    build(n == 0);
    dies_after = (int64_t)(check_random(random) % 6);
    if (setjmp(death) == 0) {
        if (n)
            journal_append(fd, &place, &record, &next);
        else
            journal_checkpoint(fd, &place, &record, 1, &next);
    }
    dies_after = -1;
    CHECK_EQ(journal_void(fd, &place), 0);
    now = then;
    flight = 0;
}

static void live(uint64_t *random)
{
    if (place.generation == 0)
        checkpoint();
    for (uint64_t steps = check_random(random) % 24; steps; steps--) {
        uint64_t what = check_random(random) % 16;
        if (what < 8)
            commit();
        else if (what < 10)
            CHECK_EQ(journal_sync(fd), 0);
        else if (what < 12)
            checkpoint();
        else if (what < 13)
            CHECK_EQ(journal_trim(fd, &place), 0);
        else if (what < 14)
            die(random, 0);
        else
            die(random, what < 15 ? committed + 1 : committed + 1000);
    }
}

/* Checks that the file told what it may after (op). 1; 0 when it is a commit that was
 * begun and is none of the counted. */
static int survived(const struct op *op, int ret)
{
    const uint64_t n = place.sequence;
    CHECK(ret == 1 || (ret == 0 && !op->logged));
    if (n >= op->synced && n <= op->committed && got_its_state())
        return 1;
    state_after(&now, op->committed);
    CHECK(op->flight > 0 && n == op->committed + 1);
    change(&now, op->flight);
    CHECK(same(&got, &now));
    return op->flight == n;
}

/* Lives from the bytes of (disk) until the power goes, leaves there what is left. */
static int one_life(uint64_t *random)
{
    const uint64_t base = disk_len;
    memcpy(before, disk, base);
    store(before, base);
    forget_ops();
    recording = 1;
    CHECK(open_path() >= 0);
    live(random);
    recording = 0;
    close(fd);
    const uint32_t count = 1 + (uint32_t)check_random(random) % op_count;
    lose_power(count, base, random);
    int ret = survived(&ops[count - 1], open_path());
    close(fd);
    fd = -1;
    logged = ops[count - 1].logged;
    synced = committed = place.sequence;
    now = got;
    return ret;
}

TEST(a_power_loss_leaves_the_commits_up_to_one_and_all_that_were_synced)
{
    for (uint64_t trial = 1; trial <= 300; trial++) {
        uint64_t random = trial * 0x2545f4914f6cdd1d;
        begin();
        close(fd);
        seed = trial;
        disk_len = 0;
        for (int lives = 0; lives < 5 && one_life(&random); lives++)
            ;
        end();
    }
}

TEST(a_commit_whose_worker_died_is_not_in_the_storage_file)
{
    begin_with(3);
    uint64_t random = 3;
    for (uint64_t i = 0; i < 100; i++) {
        die(&random, i % 3 ? committed + i : 0);
        CHECK_EQ(reopen(), 1);
        CHECK(same(&got, &now) && place.sequence == committed);
        if (i % 4 == 0)
            commit();
        if (i % 16 == 0)
            CHECK_EQ(journal_trim(fd, &place), 0);
    }
    end();
}

/* --- No room --- */

TEST(a_full_disk_leaves_the_storage_file_as_it_was)
{
    struct journal_place next;
    begin_with(3);
    const struct journal_place was = place;
    for (int full = 0; full <= 1; full++)
        for (room = 0; room < (full ? 6000 : 64); room += 1 + room / 2) {
            const int64_t left = room;
            then = now;
            change(&now, committed + 1);
            build(full);
            int ret = full ? journal_checkpoint(fd, &place, &record, 1, &next)
                           : journal_append(fd, &place, &record, &next);
            room = -1;
            CHECK(ret == -ENOSPC || ret == 0);
            now = then;
            CHECK(ret == 0 || load(file) == was.end);
            CHECK_EQ(reopen(), 1);
            CHECK(ret == 0 || memcmp(&was, &place, sizeof(was)) == 0);
            CHECK(ret == 0 || same(&got, &now));
            if (ret == 0)
                break;
            room = left;
        }
    end();
}

TEST(a_storage_file_may_grow_no_further_than_the_host_may_write)
{
    struct journal_place next;
    begin_with(3);
    struct rlimit was, limit;
    CHECK_EQ(getrlimit(RLIMIT_FSIZE, &was), 0);
    limit = was;
    limit.rlim_cur = place.end + 40;
    signal(SIGXFSZ, SIG_IGN);
    CHECK_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
    then = now;
    change(&now, committed + 1);
    build(0);
    int ret = journal_append(fd, &place, &record, &next);
    CHECK_EQ(setrlimit(RLIMIT_FSIZE, &was), 0);
    signal(SIGXFSZ, SIG_DFL);
    CHECK_EQ(ret, -EFBIG);
    CHECK_EQ(reopen(), 1);
    CHECK(same(&got, &then) && load(file) == place.end);
    end();
}

TEST(a_storage_file_stays_in_bounds_however_long_it_is_used)
{
    struct stat st;
    begin();
    pages = PAGES_MOST;
    uint64_t random = 11, logs = 0, longest = 0, largest_full = 0, size;
    checkpoint();
    for (int i = 0; i < 800; i++) {
        struct journal_place next;
        then = now;
        for (uint64_t at = 0; at < pages * PAGE_SIZE; at += LINE_SIZE)
            now.image[at] = (uint8_t)check_random(&random);
        build(0);
        CHECK_EQ(journal_append(fd, &place, &record, &next), 0);
        place = next;
        if (place.end - place.start > longest)
            longest = place.end - place.start;
        if (journal_is_long(&place)) {
            checkpoint();
            CHECK_EQ(journal_trim(fd, &place), 0);
            CHECK_EQ(fstat(fd, &st), 0);
            CHECK((uint64_t)st.st_blocks * 512 <=
                  LABELS_END + page_up(place.end - place.start));
            logs++;
        }
        if (place.full_bytes > largest_full)
            largest_full = place.full_bytes;
        CHECK_EQ(disk_size(fd, &size), 0);
        CHECK(size <= LABELS_END + 2 * longest + largest_full + 2 * PAGE_SIZE);
    }
    CHECK(logs > 10 && longest < (5UL << 20));
    CHECK_EQ(reopen(), 1);
    CHECK(same(&got, &now));
    end();
}

/* --- What is refused --- */

static int open_other(void)
{
    struct journal_place other;
    const struct journal_sink sink = {&got, take_lines, take_extra};
    int other_fd = open(path, O_RDWR | O_CLOEXEC);
    int ret = journal_open(other_fd, path, &ID, &sink, &other, &err);
    close(other_fd);
    return ret;
}

TEST(a_storage_file_has_one_host_until_the_last_process_with_it_is_gone)
{
    int gate[2];
    begin_with(1);
    CHECK_EQ(open_other(), -EBUSY);
    CHECK(strstr(err.text, path) && strstr(err.text, "another skerry"));
    CHECK_EQ(pipe(gate), 0);
    pid_t child = fork();
    if (child == 0) {
        char byte;
        close(gate[1]);
        _exit(read(gate[0], &byte, 1) == 0 ? 0 : 1);
    }
    close(fd);
    CHECK_EQ(open_other(), -EBUSY);
    close(gate[1]);
    CHECK_EQ(waitpid(child, NULL, 0), child);
    CHECK_EQ(open_other(), 1);
    close(gate[0]);
    fd = -1;
    end();
}

TEST(the_storage_of_another_program_is_refused_by_both_names)
{
    const struct journal_id other = {{9}, "ledger\n, 16 MB"};
    begin_with(1);
    close(fd);
    const uint64_t size = load(file);
    CHECK_EQ(open_as(path, &other), -ESTALE);
    CHECK(strstr(err.text, "storage of counter, 8 MB, not of ledger?, 16 MB"));
    check_untouched(size);
    fd = -1;
    end();
}

TEST(a_file_of_another_format_or_none_is_refused_and_left_as_it_is)
{
    struct label label;
    const char *texts[] = {"x", "Dear diary,\n", "skerry storage"};
    begin_with(1);
    CHECK_EQ(label_read(fd, place.header, &label), 0);
    label.version++;
    for (uint32_t i = 0; i < 2; i++)
        CHECK_EQ(label_write(fd, i, &label), 0);
    close(fd);
    uint64_t size = load(file);
    CHECK_EQ(open_path(), -EINVAL);
    CHECK(strstr(err.text, "another version"));
    check_untouched(size);
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        store((const uint8_t *)texts[i], strlen(texts[i]));
        size = load(file);
        CHECK_EQ(open_path(), -EINVAL);
        CHECK(strstr(err.text, "no storage file"));
        check_untouched(size);
    }
    fd = -1;
    end();
}

TEST(a_storage_file_is_a_regular_file)
{
    char link[96];
    begin_with(1);
    close(fd);
    snprintf(link, sizeof(link), "%s/link", directory);
    CHECK_EQ(symlink(path, link), 0);
    CHECK_EQ(open_as(link, &ID), 1);
    close(fd);
    fd = -1;
    unlink(link);
    CHECK_EQ(mkfifo(link, 0600), 0);
    CHECK_EQ(open_as(link, &ID), -EINVAL);
    unlink(link);
    CHECK_EQ(open_as("/dev/null", &ID), -EINVAL);
    CHECK(strstr(err.text, "/dev/null"));
    end();
}
