/* record.h: one record of a storage file: a commit as bytes.
 *
 *      head | item | item | ...
 *
 * An item is a page's number, a mask of its 64-byte lines, and those lines; or the
 * extra bytes. The checksum begins with that of the record before, so a record is only
 * good behind the one that it was written behind: what an older log or a longer record
 * left in its place never is. */
#ifndef SKERRY_RECORD_H
#define SKERRY_RECORD_H

#include <stdint.h>

#define RECORD_FULL 0x4c4c5546u  /* "FULL": the whole state */
#define RECORD_DELTA 0x544c4544u /* "DELT": what differs from the state before */
#define RECORD_EXTRA UINT64_MAX  /* in place of a page's number */
#define RECORD_EXTRA_MAX (1U << 20)
#define LINE_SIZE 64UL

struct record_head {
    uint32_t checksum; /* of all that follows, and of the record before */
    uint32_t kind;
    uint64_t generation; /* of the log */
    uint64_t sequence;   /* a DELTA is one more than the record before */
    uint64_t length;     /* of the items, in bytes */
};

struct record_item {
    uint64_t page;  /* number, or RECORD_EXTRA */
    uint64_t lines; /* bit n: line n follows; of the extra: how many bytes follow */
};

/* Where a log is, and what its next record must follow. Plain data: a caller keeps it
 * in shared memory. */
struct journal_place {
    uint64_t generation;
    uint64_t start, end; /* in the file; the next record goes to (end) */
    uint64_t sequence;   /* of the last commit */
    uint32_t chain;      /* the last record's checksum */
    uint32_t header;     /* which label tells of this log: 0 or 1 */
    uint64_t full_bytes; /* length of its FULL record; 0 when there is no log yet */
};

/* A record that is being made. Begins all zero; the buffer is kept for the next. */
struct journal_record {
    uint8_t *bytes;
    uint64_t length, capacity;
    uint32_t kind;
};

/* Begins a FULL record or a DELTA. */
void journal_begin(struct journal_record *r, int full);

/* Adds the lines in which (now) differs from (then): pages of 4096 bytes; NULL stands
 * for zeros. Nothing when there are none. 0 or -ENOMEM. */
int journal_page(struct journal_record *r, uint32_t page, const uint8_t *now,
                 const uint8_t *then);

/* Adds the extra bytes, whatever they are. 0, -ENOMEM, or -E2BIG over
 * RECORD_EXTRA_MAX. */
int journal_extra(struct journal_record *r, const void *bytes, uint32_t len);
void journal_free(struct journal_record *r);

/* Makes the record the one that follows (before), and tells the place behind it. 0 or
 * -ENOMEM. */
int record_seal(struct journal_record *r, const struct journal_place *before,
                struct journal_place *behind);

/* The checksum of a head, to be continued over its items. */
uint32_t record_checksum(uint32_t chain, const struct record_head *head);

#endif
