/* caching.h: what a program says of the caching of its response. */
#ifndef SKERRY_CACHING_H
#define SKERRY_CACHING_H

#include <stddef.h>

#include "abi.h"

/* Of a response, in seconds. All zero: nothing has been said. */
struct caching {
    int said, cacheable;
    uint32_t ttl, grace, keep;
};

/* The arguments of set_cacheable, also as they lie in the exchange page; times in ms.
 */
struct caching_said {
    uint64_t cacheable, ttl, grace, keep;
};

#define CACHING_LINE 128

/* What was said last counts. (said) is a struct caching_said at any address. */
void caching_say(struct caching *c, const void *said);

/* A response with (extra) has (cached) set, or says nothing of caching. */
void caching_from_extra(struct caching *c, const struct BackendResponseExtra *extra);

/* Writes the whole "Cache-Control: ..." to (dst) of CACHING_LINE bytes. Its length. */
size_t caching_line(const struct caching *c, char *dst);

#endif
