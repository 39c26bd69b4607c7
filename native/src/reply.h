/* reply.h: the response of a program as complete header lines and a body. */
#ifndef SKERRY_REPLY_H
#define SKERRY_REPLY_H

#include "machine.h"

struct text {
    char *at;
    size_t used, capacity;
};

/* Writes the header lines of what (x) has answered into (out), a small body behind
 * them, and fills in (reply). (out) grows beyond its first SKERRY_OUT_SIZE bytes only
 * for large header lines, into (spill). 0 or -ENOMEM. */
int reply_build(const struct exchange *x, char *out, struct text *spill,
                struct skerry_reply *reply);

#endif
