/* reply.h: the response of a program as complete header lines and a body. */
#ifndef SKERRY_REPLY_H
#define SKERRY_REPLY_H

#include "machine.h"

struct text {
    char *at;
    size_t used, capacity;
    int own; /* (at) is malloc'ed */
};

/* Writes the head of what (x) has answered into (out), with Content-Length and the
 * empty line, a small body behind it, and fills in (reply). What does not fit into
 * (out) goes to (spill), or stays where it is: SKERRY_LARGE, and (out) is left empty. 0
 * or -ENOMEM. */
int reply_build(const struct exchange *x, struct text *out, struct text *spill,
                struct skerry_reply *reply);

/* The answer to a request that failed without one of its own. (out) must have room. */
void reply_failed(struct text *out, struct skerry_reply *reply);

#endif
