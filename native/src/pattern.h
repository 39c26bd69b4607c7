/* pattern.h: one compiled regular expression, PCRE2's, on bytes.
 *
 * Patterns and texts come from strangers. So a pattern is short, a match may go back to
 * a bounded number of places with a bounded heap, and looks before each of its steps
 * whether it is to stop. There is no JIT: a worker may not make memory executable. */
#ifndef SKERRY_PATTERN_H
#define SKERRY_PATTERN_H

#include <stddef.h>
#include <stdint.h>

#define PATTERN_MAX 4096 /* bytes; the costliest of that length compile in 12 ms */
#define PATTERN_STOPPED (-125) /* -ECANCELED */

/* Does not change once it is made: any thread may match. */
struct pattern {
    int frozen; /* a snapshot owns it */
    void *code;
    uint32_t len;
    char text[];
};

/* Compiles (len) bytes. 0; -EINVAL or -E2BIG, and (why) says why; or -ENOMEM. */
int pattern_make(const char *text, size_t len, struct pattern **out, char *why,
                 size_t size);
void pattern_free(struct pattern *p);

/* Looks for the first match in (len) bytes of (text), which must not change meanwhile.
 * Returns one more than the number of the highest group that has matched; -1 when there
 * is no match; -E2BIG when it would take too many steps or too much heap; -ENOMEM;
 * PATTERN_STOPPED once (*stop), which others set, is not 0. */
long pattern_match(const struct pattern *p, const char *text, size_t len,
                   const uint8_t *stop);

/* How matches are replaced: by what, in which \0 or \& is the match, \1 to \9 its
 * groups, and a backslash takes the meaning of what follows it. */
struct replacement {
    const char *with;
    size_t len;
    int all; /* all matches; else the first */
};

/* Writes (text), with its matches replaced, and a NUL to (out) of (room) bytes. Returns
 * the length, the NUL included; -E2BIG also when it does not fit; else as above, but
 * without a match (text) as it is. */
long pattern_replace(const struct pattern *p, const char *text, size_t len,
                     const struct replacement *r, const uint8_t *stop, char *out,
                     size_t room);

#endif
