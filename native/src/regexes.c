/* regexes.c: see regexes.h. */
#include "regexes.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "error.h"

long regexes_make(struct regexes *r, const char *text, size_t len, char *why,
                  size_t size)
{
    uint32_t free = 0;
    while (free < REGEX_MAX && r->at[free])
        free++;
    if (free == REGEX_MAX) {
        snprintf(why, size, "there are %d", REGEX_MAX);
        return -ENOSPC;
    }
    int ret = pattern_make(text, len, &r->at[free], why, size);
    r->changed = 1;
    return ret < 0 ? ret : (long)free + 1;
}

const struct pattern *regexes_find(const struct regexes *r, uint64_t handle)
{
    return handle >= 1 && handle <= REGEX_MAX ? r->at[handle - 1] : NULL;
}

/* What a snapshot owns stays. */
static void forget(struct pattern *p)
{
    if (p && !p->frozen)
        pattern_free(p);
}

int regexes_free(struct regexes *r, uint64_t handle)
{
    if (!regexes_find(r, handle))
        return -EINVAL;
    forget(r->at[handle - 1]);
    r->at[handle - 1] = NULL;
    r->changed = 1;
    return 0;
}

size_t regexes_texts(const struct regexes *r)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < REGEX_MAX; i++)
        bytes += r->at[i] ? r->at[i]->len : 0;
    return bytes;
}

void regexes_freeze(struct regexes *r, struct regexes *frozen)
{
    for (uint32_t i = 0; i < REGEX_MAX; i++)
        if (r->at[i])
            r->at[i]->frozen = 1;
    *frozen = *r;
    *r = (struct regexes){0};
}

void regexes_close(struct regexes *frozen)
{
    for (uint32_t i = 0; i < REGEX_MAX; i++)
        pattern_free(frozen->at[i]);
}

void regexes_restore(struct regexes *r, const struct regexes *frozen)
{
    for (uint32_t i = 0; i < REGEX_MAX; i++) {
        forget(r->at[i]);
        r->at[i] = frozen->at[i];
    }
    r->changed = 0;
}

/* --- On the way to another process: a row and a text for each --- */

struct row {
    uint32_t handle, len;
};

size_t regexes_packed(const struct regexes *r)
{
    size_t bytes = regexes_texts(r);
    for (uint32_t i = 0; i < REGEX_MAX; i++)
        bytes += r->at[i] ? sizeof(struct row) : 0;
    return bytes;
}

void regexes_pack(const struct regexes *r, void *dst)
{
    uint8_t *to = dst;
    for (uint32_t i = 0; i < REGEX_MAX; i++) {
        if (!r->at[i])
            continue;
        const struct row row = {i + 1, r->at[i]->len};
        memcpy(to, &row, sizeof(row));
        memcpy(to + sizeof(row), r->at[i]->text, row.len);
        to += sizeof(row) + row.len;
    }
}

/* Takes one from (size) bytes. Returns how many it was, or -EINVAL. */
static long unpack_one(struct regexes *frozen, const uint8_t *src, size_t size)
{
    struct row row;
    char why[64];
    if (size < sizeof(row))
        return -EINVAL;
    memcpy(&row, src, sizeof(row));
    if (row.handle - 1 >= REGEX_MAX || frozen->at[row.handle - 1] ||
        row.len > size - sizeof(row))
        return -EINVAL;
    struct pattern **at = &frozen->at[row.handle - 1];
    int ret =
        pattern_make((const char *)src + sizeof(row), row.len, at, why, sizeof(why));
    if (ret < 0)
        return ret;
    (*at)->frozen = 1;
    return (long)(sizeof(row) + row.len);
}

int regexes_unpack(struct regexes *frozen, const void *src, size_t size,
                   struct skerry_error *err)
{
    const uint8_t *at = src, *end = at + size;
    while (at < end) {
        long used = unpack_one(frozen, at, (size_t)(end - at));
        if (used < 0)
            return skerry_refuse(err, (int)-used, "frozen machine",
                                 used == -ENOMEM
                                     ? "out of memory"
                                     : "its regular expressions are broken");
        at += used;
    }
    return 0;
}
