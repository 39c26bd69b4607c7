/* replay.c: see replay.h.
 *
 * A record is read twice: first for its checksum, so that the sink never hears of one
 * that is not whole, then for what it tells. Memory does not grow with its length. */
#include "replay.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "crc.h"
#include "disk.h"
#include "layout.h"

#define CHUNK 65536UL

/* The items of a record, read in order. */
struct items {
    int fd;
    uint64_t at, end; /* in the file, of what has not been read into (chunk) */
    uint64_t used, filled;
    uint8_t chunk[CHUNK];
};

static uint64_t at_most(uint64_t n, uint64_t limit)
{
    return n < limit ? n : limit;
}

/* Reads on when all of the chunk is used. 0 or -errno. */
static int fill(struct items *from)
{
    if (from->used < from->filled)
        return 0;
    uint64_t len = at_most(from->end - from->at, CHUNK);
    int ret = disk_read(from->fd, from->chunk, len, from->at);
    from->at += len;
    from->filled = len;
    from->used = 0;
    return ret;
}

static uint64_t left(const struct items *from)
{
    return from->end - from->at + from->filled - from->used;
}

/* The next (len) bytes. 0, -EBADMSG when the record ends before, or -errno. */
static int take(struct items *from, void *bytes, uint64_t len)
{
    uint8_t *to = bytes;
    if (len > left(from))
        return -EBADMSG;
    while (len) {
        int ret = fill(from);
        if (ret < 0)
            return ret;
        uint64_t part = at_most(len, from->filled - from->used);
        memcpy(to, from->chunk + from->used, part);
        from->used += part;
        to += part;
        len -= part;
    }
    return 0;
}

/* Continues the checksum over all items. 0 or -errno. */
static int sum(struct items *from, uint32_t *checksum)
{
    while (left(from)) {
        int ret = fill(from);
        if (ret < 0)
            return ret;
        *checksum = crc32c(*checksum, from->chunk, from->filled);
        from->used = from->filled;
    }
    return 0;
}

/* --- What a record tells --- */

static int play_page(struct items *from, const struct record_item *item,
                     const struct journal_sink *sink)
{
    uint8_t bytes[PAGE_SIZE], *at = bytes;
    uint64_t lines = item->lines, line = 0;
    if (item->page > UINT32_MAX || !lines)
        return -EBADMSG;
    int ret = take(from, bytes, (uint64_t)__builtin_popcountll(lines) * LINE_SIZE);
    while (ret == 0 && line < 64 && lines >> line) {
        line += (uint64_t)__builtin_ctzl(lines >> line);
        uint64_t others = ~(lines >> line);
        uint64_t run = others ? (uint64_t)__builtin_ctzl(others) : 64;
        ret = sink->lines(sink->context, item->page * PAGE_SIZE + line * LINE_SIZE, at,
                          run * LINE_SIZE);
        at += run * LINE_SIZE;
        line += run;
    }
    return ret;
}

static int play_extra(struct items *from, uint64_t len, const struct journal_sink *sink)
{
    if (len > RECORD_EXTRA_MAX)
        return -EBADMSG;
    uint8_t *bytes = malloc(len + 1);
    if (!bytes)
        return -ENOMEM;
    int ret = take(from, bytes, len);
    if (ret == 0)
        ret = sink->extra(sink->context, bytes, len);
    free(bytes);
    return ret;
}

static int play(struct items *from, const struct journal_sink *sink)
{
    struct record_item item;
    int ret = 0;
    while (ret == 0 && left(from)) {
        ret = take(from, &item, sizeof(item));
        if (ret == 0)
            ret = item.page == RECORD_EXTRA ? play_extra(from, item.lines, sink)
                                            : play_page(from, &item, sink);
    }
    return ret;
}

/* --- One record --- */

static void rewind_to(struct items *from, int fd, uint64_t at, uint64_t len)
{
    from->fd = fd;
    from->at = at;
    from->end = at + len;
    from->used = from->filled = 0;
}

/* Tells if a head can be that of the next record of the log, in a file that has (room)
 * bytes behind it. */
static int follows(const struct record_head *head, uint32_t kind, uint64_t room,
                   const struct journal_place *place)
{
    return head->kind == kind && head->generation == place->generation &&
           head->length <= room &&
           (kind == RECORD_FULL || head->sequence == place->sequence + 1);
}

static int read_whole(struct items *from, const struct record_head *head,
                      struct journal_place *place, const struct journal_sink *sink)
{
    const uint64_t at = place->end + sizeof(*head);
    uint32_t checksum = record_checksum(place->chain, head);
    rewind_to(from, from->fd, at, head->length);
    int ret = sum(from, &checksum);
    if (ret < 0 || checksum != head->checksum)
        return ret;
    rewind_to(from, from->fd, at, head->length);
    ret = play(from, sink);
    if (ret < 0)
        return ret;
    place->end = at + head->length;
    place->sequence = head->sequence;
    place->chain = checksum;
    return 1;
}

int replay_record(int fd, uint64_t size, uint32_t kind, struct journal_place *place,
                  const struct journal_sink *sink)
{
    struct record_head head;
    if (place->end > size || size - place->end < sizeof(head))
        return 0;
    int ret = disk_read(fd, &head, sizeof(head), place->end);
    if (ret < 0)
        return ret;
    if (!follows(&head, kind, size - place->end - sizeof(head), place))
        return 0;
    struct items *from = malloc(sizeof(*from));
    if (!from)
        return -ENOMEM;
    from->fd = fd;
    ret = read_whole(from, &head, place, sink);
    free(from);
    return ret;
}
