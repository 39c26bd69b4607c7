/* reply.h: the response of a program as complete header lines and a body. */
#ifndef SKERRY_REPLY_H
#define SKERRY_REPLY_H

#include "machine.h"

struct text {
    char *at;
    size_t used, capacity;
};

/* Writes the head of what (x) has answered into (out), with Content-Length and the empty
 * line, a small body behind it, and fills in (reply). (out) has SKERRY_OUT_SIZE bytes; a
 * longer head goes to (spill). 0 or -ENOMEM. */
int reply_build(const struct exchange *x, char *out, struct text *spill,
                struct skerry_reply *reply);

/* The answer to a request that failed without one of its own. */
void reply_failed(char *out, struct skerry_reply *reply);

#endif
