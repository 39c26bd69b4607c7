/* replay.h: a log read back: record by record, as far as they are whole. */
#ifndef SKERRY_REPLAY_H
#define SKERRY_REPLAY_H

#include "record.h"

/* Where the state goes. Functions return 0, or -errno to end the reading. */
struct journal_sink {
    void *context;
    /* (len) bytes, 4096 at most, are at (offset) of the image: whole lines of one page.
     * The sink checks that its image has that page: the file could tell of any. Bytes
     * that it is never told of are zero. */
    int (*lines)(void *context, uint64_t offset, const uint8_t *bytes, uint64_t len);
    /* The extra bytes are these; RECORD_EXTRA_MAX at most. */
    int (*extra)(void *context, const uint8_t *bytes, uint64_t len);
};

/* Reads the record at (place->end) of a file of (size) bytes. 1: it is whole and of
 * that kind, the sink has it, (place) is behind it; 0: there is none, and the sink has
 * heard nothing; -EBADMSG: it is whole but makes no sense; or -errno. */
int replay_record(int fd, uint64_t size, uint32_t kind, struct journal_place *place,
                  const struct journal_sink *sink);

#endif
