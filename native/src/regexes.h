/* regexes.h: the regular expressions of a machine, by handle.
 *
 * Those made at start-up become the snapshot's, and all its clones share them. A clone
 * may free them and make others for the time of a request. */
#ifndef SKERRY_REGEXES_H
#define SKERRY_REGEXES_H

#include "pattern.h"
#include "skerry.h"

#define REGEX_MAX 64          /* KVM_API_MAX_REGEXES */
#define REGEX_TEXTS_MAX 65536 /* bytes of patterns that a snapshot keeps */

/* Begins all zero: none. */
struct regexes {
    struct pattern *at[REGEX_MAX]; /* handle 1 is at[0] */
    int changed;                   /* made or freed since regexes_restore */
};

/* Compiles one. Returns its handle; -ENOSPC when there are 64; or as pattern_make. */
long regexes_make(struct regexes *r, const char *text, size_t len, char *why,
                  size_t size);

/* Returns 0, or -EINVAL when there is no such handle. */
int regexes_free(struct regexes *r, uint64_t handle);

/* The pattern behind (handle), or NULL. */
const struct pattern *regexes_find(const struct regexes *r, uint64_t handle);

/* Bytes of pattern in all of them. */
size_t regexes_texts(const struct regexes *r);

/* Hands all of (r) over to a snapshot's (frozen); (r) is empty then. */
void regexes_freeze(struct regexes *r, struct regexes *frozen);

/* Ends a snapshot's. */
void regexes_close(struct regexes *frozen);

/* Makes (r) what (frozen) is. With an empty one it ends a machine's. */
void regexes_restore(struct regexes *r, const struct regexes *frozen);

/* For another process: regexes_packed bytes, written to (dst); and back. 0, or -errno
 * with (err). */
size_t regexes_packed(const struct regexes *r);
void regexes_pack(const struct regexes *r, void *dst);
int regexes_unpack(struct regexes *frozen, const void *src, size_t size,
                   struct skerry_error *err);

#endif
