/* descriptors.h: the files that a program has open, as it sees them: numbers, each of
 * which leads to an open file with an offset. Plain data, part of struct process, so
 * that reset and roll-back put it back. The host's descriptors are in files.h. */
#ifndef SKERRY_DESCRIPTORS_H
#define SKERRY_DESCRIPTORS_H

#include <stdint.h>

#define DESCRIPTORS 64    /* numbers that a program has, and files open at a time */
#define DIRECTORY_MAX 512 /* bytes of its working directory, with the NUL */

enum open_kind {
    OPEN_NONE,
    OPEN_INPUT, /* the standard three */
    OPEN_OUTPUT,
    OPEN_ERROR,
    OPEN_PIPE,   /* one end of it; O_ACCMODE tells which. From here on: see objects.h */
    OPEN_SOCKET, /* one of a pair */
    OPEN_EVENT,
    OPEN_TIMER,
    OPEN_EPOLL,
    OPEN_INET,      /* a socket outward, see inet.h */
    OPEN_MEMORY,    /* memfd_create: a file without a name */
    OPEN_FILE,      /* a regular file. From here on: see files.h */
    OPEN_DIRECTORY, /* a listing, see opener.h */
    OPEN_STATE /* the state file, being written: a private copy until it is closed */
};

/* What duplicates of a descriptor share. */
struct open_file {
    union {
        uint64_t offset;
        uint64_t serial; /* without offset: no other open file has or had the same */
    };
    uint32_t flags;   /* as F_GETFL tells them */
    uint8_t kind;     /* enum open_kind */
    uint8_t at_start; /* opened before the freeze: the snapshot has its descriptor */
    uint8_t object;   /* of struct objects, 0: none; of a socket: what it reads ... */
    uint8_t other;    /* ... and what it writes */
};

struct descriptors {
    uint8_t file[DESCRIPTORS]; /* 1 + index of its open file; 0: not open */
    uint64_t close_on_exec;    /* bit n: F_GETFD of descriptor n */
    uint32_t limit;            /* numbers from here on are not given */
    struct open_file open[DESCRIPTORS];
    uint64_t serials;              /* given so far */
    char directory[DIRECTORY_MAX]; /* working directory: absolute, canonical */
};

/* The standard three, in directory "/". */
void descriptors_init(struct descriptors *d);

/* Index of the open file of (fd), or -EBADF. */
int descriptors_find(const struct descriptors *d, uint32_t fd);

/* A free place for an open file, or -EMFILE, which also says that no number is free. */
int descriptors_place(const struct descriptors *d);

/* Gives open file (index) the lowest free number from (low) on; (cloexec) is its
 * F_GETFD. Returns the number, or -EMFILE. */
int descriptors_add(struct descriptors *d, int index, uint32_t low, int cloexec);

/* Gives open file (index) number (fd) < DESCRIPTORS, which is free. */
void descriptors_set(struct descriptors *d, int index, uint32_t fd, int cloexec);

/* Takes number (fd), which is open, away. Returns the index of its open file if that
 * was its last number, else -1; the file stays until descriptors_forget. */
int descriptors_close(struct descriptors *d, uint32_t fd);

/* Ends open file (index), with all its numbers. */
void descriptors_forget(struct descriptors *d, int index);

#endif
