/* paths.h: what the paths of system calls mean. A path is made absolute here, and taken
 * apart by the opener, which alone decides what there is: nothing else of the host is
 * there. */
#ifndef SKERRY_PATHS_H
#define SKERRY_PATHS_H

#include "syscall.h"

/* Which path a call is about: relative to descriptor (at). */
struct name {
    int at;
    uint64_t addr;
};

/* Where descriptor (at), a directory, is: puts its path into (to). Length or -errno. */
long path_of_directory(struct call *c, int at, char to[OPENER_PATH_MAX]);

/* The absolute path that (name) means. Its length, 0 if it is empty, or -errno. */
long path_take(struct call *c, struct name name, char to[OPENER_PATH_MAX]);

/* Asks the opener about (name). 0 with its (answer), or -errno. */
long path_ask(struct call *c, struct name name, enum opener_what what, uint32_t flags,
              struct opener_answer *answer);

#endif
