/* opener.h: asks for a file. A process that runs guests opens none: it asks the opener
 * of the program (host/skerry/opener.py), which knows what the program may have.
 *
 * An ask is one message on a socket that all processes share, with one end of a fresh
 * socket pair, on which the answer comes. So answers find their way. */
#ifndef SKERRY_OPENER_H
#define SKERRY_OPENER_H

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#define OPENER_PATH_MAX 4096 /* bytes of a path, with the NUL that is not sent */

enum opener_what {
    OPENER_OPEN = 1, /* a descriptor, by (flags) and (mode) of open() */
    OPENER_STAT = 2, /* what there is; O_NOFOLLOW in (flags): of a link itself */
    OPENER_LINK = 3, /* where a symbolic link leads */
    OPENER_KEEP = 4  /* replace the state file by the descriptor that is given */
};

enum opener_who {
    OPENER_REQUEST = 0, /* reads */
    OPENER_START = 1,   /* writes where the configuration allows it */
    OPENER_STORAGE = 2  /* and the state file */
};

/* As the opener gets it, followed by the path: absolute, in the guest, not empty. */
struct opener_ask {
    uint32_t what, who, flags, mode;
};

/* A descriptor for a directory is a memfd: its struct stat, at OPENER_PATH_AT its path
 * in the guest with a NUL, and from OPENER_ENTRIES_AT on records as getdents64 has
 * them. */
enum { OPENER_PATH_AT = 1024, OPENER_ENTRIES_AT = 8192 };

enum { OPENER_READABLE = 1, OPENER_WRITABLE = 2, OPENER_EXECUTABLE = 4 };

/* As the opener sends it, without what is not used of (text). */
struct opener_answer {
    int32_t error;     /* an errno value, 0: it is done */
    uint32_t may;      /* OPENER_READABLE ... */
    uint32_t is_state; /* the descriptor is a copy of the state file, to be kept */
    uint32_t text_len;
    struct stat stat;
    char text[OPENER_PATH_MAX]; /* OPENER_LINK: the target; of a directory: its path */
};

/* Asks (opener), until (until) at most, giving it descriptor (given) or -1, which stays
 * the caller's. Returns a descriptor, the caller's now; 0 for what has none; or -errno:
 * the opener's, -EIO when it does not answer. */
int opener_ask(int opener, const struct opener_ask *ask, const char *path, int given,
               uint64_t until, struct opener_answer *answer);

#endif
