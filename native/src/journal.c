/* journal.c: see journal.h; journal_open.c has journal_open. */
#include "journal.h"

#include <errno.h>

#include "disk.h"
#include "layout.h"

#define LONG_MIN_BYTES (4UL << 20)

int journal_append(int fd, const struct journal_place *place, struct journal_record *r,
                   struct journal_place *next)
{
    struct journal_place behind;
    int ret = record_seal(r, place, &behind);
    if (ret < 0)
        return ret;
    ret = disk_write(fd, r->bytes, r->length, place->end);
    if (ret < 0) {
        /* A part of a record is none; this only gives its room back. */
        disk_cut(fd, place->end);
        return ret;
    }
    *next = behind;
    return 0;
}

/* Makes what is at the log's end no record. Returns 1 when it wrote, 0, or -errno. */
static int void_record(int fd, const struct journal_place *place)
{
    const struct record_head none = {0};
    uint64_t size, len = sizeof(none);
    int ret = disk_size(fd, &size);
    if (ret < 0 || size <= place->end)
        return ret;
    if (len > size - place->end)
        len = size - place->end; /* a longer file might need room that is not there */
    ret = disk_write(fd, &none, len, place->end);
    return ret < 0 ? ret : 1;
}

/* The same for a label that tells of a log after this one. */
static int void_label(int fd, const struct journal_place *place)
{
    struct label label;
    int ret = label_read(fd, !place->header, &label);
    if (ret == -EIO || (ret == 0 && label.generation <= place->generation))
        return 0;
    if (ret == 0)
        ret = label_erase(fd, !place->header);
    return ret < 0 ? ret : 1;
}

int journal_void(int fd, const struct journal_place *place)
{
    int label = void_label(fd, place);
    int record = void_record(fd, place);
    if (label < 0 || record < 0)
        return label < 0 ? label : record;
    return label || record ? disk_sync(fd) : 0;
}

int journal_is_long(const struct journal_place *place)
{
    const uint64_t twice = 2 * place->full_bytes;
    return place->end - place->start >
           (twice > LONG_MIN_BYTES ? twice : LONG_MIN_BYTES);
}

/* In front of the log if it fits there, so that the file does not grow for ever. */
static uint64_t room_for(const struct journal_place *place, uint64_t length)
{
    const uint64_t in_front = place->start - LABELS_END;
    return page_up(length) <= in_front ? LABELS_END : page_up(place->end);
}

/* The FULL record is whole on the disk before the label leads to it. */
static int write_log(int fd, const struct journal_place *at,
                     const struct journal_record *full, const struct label *label,
                     int sync)
{
    int ret = disk_write(fd, full->bytes, full->length, at->start);
    if (ret == 0 && sync)
        ret = disk_sync(fd);
    if (ret == 0)
        ret = label_write(fd, at->header, label);
    if (ret == 0 && sync)
        ret = disk_sync(fd);
    return ret;
}

int journal_checkpoint(int fd, const struct journal_place *place,
                       struct journal_record *full, int sync,
                       struct journal_place *next)
{
    struct label old, label;
    struct journal_place at = *place, behind;
    at.start = at.end = room_for(place, full->length);
    at.generation++;
    at.header = !place->header;
    int ret = label_read(fd, place->header, &old);
    if (ret == 0)
        ret = label_make(&label, &old.id, at.generation, at.start);
    if (ret < 0)
        return ret;
    at.chain = label_chain(&label);
    at.full_bytes = full->length;
    ret = record_seal(full, &at, &behind);
    if (ret == 0)
        ret = write_log(fd, &at, full, &label, sync);
    if (ret < 0) {
        journal_void(fd, place);
        journal_trim(fd, place);
        return ret;
    }
    *next = behind;
    return 0;
}

int journal_trim(int fd, const struct journal_place *place)
{
    /* Not every file system can: then the next log in front uses the room. */
    if (place->start > LABELS_END)
        disk_punch(fd, LABELS_END, place->start);
    return disk_cut(fd, place->end);
}

int journal_sync(int fd)
{
    return disk_sync(fd);
}
