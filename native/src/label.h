/* label.h: the two blocks a storage file begins with: what it is, and where its log is.
 *
 * They are written in turn, so that one is whole whatever happens to the other. All but
 * their first 512 bytes is zero. */
#ifndef SKERRY_LABEL_H
#define SKERRY_LABEL_H

#include <stdint.h>

#define LABEL_SIZE 4096UL
#define LABELS_END (2 * LABEL_SIZE) /* logs are behind */
#define LABEL_VERSION 2

/* What program and memory layout a state is of. */
struct journal_id {
    uint8_t digest[32];
    char text[96]; /* for messages */
};

/* As it is in the file, but for the zeros behind. All format versions begin with magic,
 * version and checksum. */
struct label {
    char magic[16];
    uint32_t version;
    uint32_t checksum;   /* of the block, with 0 here */
    uint64_t generation; /* the higher is the newer; 0: there was no log yet */
    uint64_t start;      /* of the log */
    uint64_t salt;       /* random: no log is mistaken for another, or made up */
    struct journal_id id;
};

enum label_state {
    LABEL_EMPTY, /* zeros */
    LABEL_GOOD,
    LABEL_OTHER,   /* whole, of another format version */
    LABEL_DAMAGED, /* has been a label */
    LABEL_FOREIGN
};

/* Judges label (number) of the file's first LABELS_END bytes, and copies it. */
enum label_state label_parse(const uint8_t *blocks, uint32_t number,
                             struct label *label);

/* Makes a label anew for a log at (start). 0 or -errno. */
int label_make(struct label *label, const struct journal_id *id, uint64_t generation,
               uint64_t start);

/* What the checksum of the log's first record begins with. */
uint32_t label_chain(const struct label *label);

/* Of the file: 0 or -errno; label_read: -EIO when it is not good. */
int label_read(int fd, uint32_t number, struct label *label);
int label_write(int fd, uint32_t number, const struct label *label);
int label_erase(int fd, uint32_t number);

#endif
