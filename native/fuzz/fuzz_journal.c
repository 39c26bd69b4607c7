/* fuzz_journal.c: storage files that nobody checked. Checksums are mostly made right,
 * or nothing behind them would ever be read. What the sink hears lies in a page; a file
 * that is taken is taken again, with the same state; one that is refused is as it was.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crc.h"
#include "demand.h"
#include "disk.h"
#include "input.h"
#include "journal.h"
#include "layout.h"

#define MOST 32768UL

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct journal_id ID = {{7}, "fuzz"};
static char path[64];
static uint8_t file[MOST], after[MOST];

/* --- What the sink hears --- */

static int lines(void *context, uint64_t offset, const uint8_t *bytes, uint64_t len)
{
    uint32_t *sum = context;
    demand(len > 0 && len % LINE_SIZE == 0 && offset % LINE_SIZE == 0);
    demand(offset >> PAGE_SHIFT <= UINT32_MAX);
    demand(len <= PAGE_SIZE - offset % PAGE_SIZE);
    *sum = crc32c(crc32c(*sum, &offset, sizeof(offset)), bytes, len);
    return offset == 0x123000 ? -EFAULT : 0;
}

static int extra(void *context, const uint8_t *bytes, uint64_t len)
{
    uint32_t *sum = context;
    demand(len <= RECORD_EXTRA_MAX);
    *sum = crc32c(*sum, bytes, len);
    return 0;
}

/* --- The file, of the input --- */

static void put_label(int fd, uint32_t which)
{
    struct label label;
    struct journal_id id = ID;
    uint64_t how = number(1), page = number(1) % 6, generation = number(1);
    if (how & 1)
        return;
    if (how >= 0xf0)
        id.digest[0] ^= (uint8_t)number(1);
    demand(label_make(&label, &id, generation, page * PAGE_SIZE) == 0);
    label.salt = 0;
    if (how >= 0xe0)
        label.start = number(8);
    if (how >= 0xf8)
        label.version = (uint32_t)number(1);
    demand(label_write(fd, which, &label) == 0);
    if (how == 0xee)
        demand(pwrite(fd, &how, 1, (off_t)(which * LABEL_SIZE + number(2) % 4096)) ==
               1);
}

/* Makes the records of the log that a label leads to good, as far as lengths go. */
static void mend(const struct label *label, uint64_t size)
{
    struct record_head head;
    uint32_t chain = label_chain(label), kind = RECORD_FULL;
    uint64_t at = label->start, sequence = 1;
    while (at >= LABELS_END && at < size && size - at >= sizeof(head)) {
        memcpy(&head, file + at, sizeof(head));
        if (head.length > size - at - sizeof(head))
            head.length &= 0x3ff;
        if (head.length > size - at - sizeof(head))
            return;
        head.kind = kind;
        head.generation = label->generation;
        head.sequence = sequence++;
        chain = crc32c(record_checksum(chain, &head), file + at + sizeof(head),
                       head.length);
        head.checksum = chain;
        memcpy(file + at, &head, sizeof(head));
        at += sizeof(head) + head.length;
        kind = RECORD_DELTA;
    }
}

static uint64_t load(int fd, uint8_t *bytes)
{
    uint64_t size;
    demand(disk_size(fd, &size) == 0 && size <= MOST);
    demand(disk_read(fd, bytes, size, 0) == 0);
    return size;
}

static void make_file(int fd)
{
    struct label label;
    const uint64_t how = number(1), gap = number(1) % 4 * PAGE_SIZE;
    demand(ftruncate(fd, 0) == 0);
    if (how < 0xf0) {
        put_label(fd, 0);
        put_label(fd, 1);
    }
    const uint64_t at = how < 0xf0 ? LABELS_END + gap : 0;
    demand(disk_write(fd, input, left, at) == 0);
    const uint64_t size = load(fd, file);
    for (uint32_t i = 0; i < 2 && how < 0xe0 && size >= LABELS_END; i++)
        if (label_parse(file, i, &label) == LABEL_GOOD)
            mend(&label, size);
    demand(disk_write(fd, file, size, 0) == 0);
}

static int open_it(uint32_t *sum, struct journal_place *place)
{
    const struct journal_sink sink = {sum, lines, extra};
    struct skerry_error err = {0};
    int fd = open(path, O_RDWR | O_CLOEXEC);
    *sum = 0;
    int ret = journal_open(fd, path, &ID, &sink, place, &err);
    demand(ret >= 0 || (err.code == -ret && err.text[0]));
    close(fd);
    return ret;
}

static int open_scratch(void)
{
    strcpy(path, "/dev/shm/fuzz_journal.XXXXXX");
    int fd = mkstemp(path);
    if (fd < 0) {
        strcpy(path, "/tmp/fuzz_journal.XXXXXX");
        fd = mkstemp(path);
    }
    demand(fd >= 0);
    return fd;
}

static void forget_scratch(void)
{
    unlink(path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int fd = -1;
    struct journal_place place, again;
    uint32_t sum, sum_again;
    if (fd < 0) {
        fd = open_scratch();
        atexit(forget_scratch);
    }
    input = data;
    left = size < MOST / 2 ? size : MOST / 2;
    make_file(fd);
    const uint64_t before = load(fd, file);
    int ret = open_it(&sum, &place);
    const uint64_t now = load(fd, after);
    if (ret < 0) {
        demand(now == before && memcmp(file, after, now) == 0);
        return 0;
    }
    demand(now == place.end && place.end >= place.start && place.start >= LABELS_END);
    demand(open_it(&sum_again, &again) == ret && sum == sum_again);
    demand(memcmp(&place, &again, sizeof(place)) == 0);
    return 0;
}
