/* caching.c: see caching.h. RFC 9111, 5.2.2, and RFC 5861. */
#include "caching.h"

#include <stdio.h>
#include <string.h>

#define LONGEST 2147483647U /* seconds: RFC 9111, 1.2.2 */

static uint32_t seconds(uint64_t ms)
{
    return ms / 1000 < LONGEST ? (uint32_t)(ms / 1000) : LONGEST;
}

/* A comparison with what is not a number is false. */
static uint32_t whole(float seconds)
{
    if (!(seconds > 0))
        return 0;
    return seconds < (float)LONGEST ? (uint32_t)seconds : LONGEST;
}

void caching_say(struct caching *c, const void *said)
{
    struct caching_said s;
    memcpy(&s, said, sizeof(s));
    *c = (struct caching){1, s.cacheable & 1, seconds(s.ttl), seconds(s.grace),
                          seconds(s.keep)};
}

void caching_from_extra(struct caching *c, const struct BackendResponseExtra *extra)
{
    uint8_t cached;
    memcpy(&cached, &extra->cached, 1); /* a guest's bool can be any byte */
    if (cached)
        *c = (struct caching){1, 1, whole(extra->ttl), whole(extra->grace),
                              whole(extra->keep)};
}

static size_t add(char *dst, size_t used, const char *name, uint32_t seconds)
{
    if (!seconds)
        return used;
    return used +
           (size_t)snprintf(dst + used, CACHING_LINE - used, ", %s=%u", name, seconds);
}

size_t caching_line(const struct caching *c, char *dst)
{
    if (!c->cacheable)
        return (size_t)snprintf(dst, CACHING_LINE, "Cache-Control: no-store");
    size_t used = (size_t)snprintf(dst, CACHING_LINE,
                                   "Cache-Control: public, max-age=%u", c->ttl);
    used = add(dst, used, "stale-while-revalidate", c->grace);
    return add(dst, used, "stale-if-error", c->keep);
}
