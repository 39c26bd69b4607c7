/* fields.c: see fields.h. RFC 9110, 5.1 and 5.5: names are tokens, values have no
 * control characters: a program must not be able to split a response. */
#include "fields.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

void fields_clear(struct fields *f)
{
    f->count = 0;
    f->used = 0;
}

void fields_release(struct fields *f)
{
    free(f->text);
    f->text = NULL;
    f->used = f->capacity = f->count = 0;
}

static int token_ok(const char *text, uint32_t len)
{
    for (uint32_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c <= ' ' || c >= 127 || strchr("\"(),/:;<=>?@[\\]{}", c))
            return 0;
    }
    return len > 0;
}

int field_value_ok(const char *text, uint32_t len)
{
    for (uint32_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if ((c < ' ' && c != '\t') || c == 127)
            return 0;
    }
    return 1;
}

/* The place of the colon of a well-formed field, or -EINVAL. */
static int well_formed(const char *text, uint32_t len)
{
    if (len < FIELD_MIN || len > FIELD_MAX)
        return -EINVAL;
    const char *colon = memchr(text, ':', len);
    if (!colon)
        return -EINVAL;
    uint32_t at = (uint32_t)(colon - text);
    if (at + 2 >= len || text[at + 1] != ' ' || text[len - 1] == ' ')
        return -EINVAL;
    if (!token_ok(text, at) || !field_value_ok(colon + 1, len - at - 1))
        return -EINVAL;
    return (int)at;
}

/* Closes the gaps that removed fields have left. */
static void compact(struct fields *f)
{
    uint32_t count = 0, used = 0;
    for (uint32_t i = 0; i < f->count; i++) {
        const struct field e = f->field[i];
        if (e.len == 0)
            continue;
        memmove(f->text + used, f->text + e.at, e.len);
        f->field[count++] = (struct field){used, e.len, e.colon};
        used += e.len;
    }
    f->count = count;
    f->used = used;
}

static int full(const struct fields *f, uint32_t len)
{
    return f->count == FIELDS_MAX || len > FIELDS_BYTES - f->used;
}

static int reserve(struct fields *f, uint32_t len)
{
    if (full(f, len))
        compact(f);
    if (full(f, len))
        return -ENOSPC;
    if (f->text && f->used + len <= f->capacity)
        return 0;
    uint32_t capacity = f->capacity ? f->capacity : 1024;
    while (capacity < f->used + len)
        capacity *= 2;
    char *text = realloc(f->text, capacity);
    if (!text)
        return -ENOMEM;
    f->text = text;
    f->capacity = capacity;
    return 0;
}

/* Copies text behind the last field. */
static int copy(struct fields *f, const char *text, uint32_t len)
{
    int ret = reserve(f, len);
    if (ret == 0)
        memcpy(f->text + f->used, text, len);
    return ret;
}

/* The text may lie in shared memory, and change: only the copy is looked at. Returns
 * the place of its colon, or -errno. */
static int copy_checked(struct fields *f, const char *text, uint32_t len)
{
    int ret = copy(f, text, len);
    return ret < 0 ? ret : well_formed(f->text + f->used, len);
}

/* What was copied is a field from now on. */
static int keep(struct fields *f, uint32_t len, uint32_t colon)
{
    f->field[f->count++] = (struct field){f->used, len, colon};
    f->used += len;
    return 0;
}

int fields_receive(struct fields *f, const char *text, uint32_t len, uint32_t colon)
{
    int ret = copy(f, text, len);
    return ret < 0 ? ret : keep(f, len, colon);
}

int fields_append(struct fields *f, const char *text, uint32_t len)
{
    int colon = copy_checked(f, text, len);
    return colon < 0 ? colon : keep(f, len, (uint32_t)colon);
}

int field_named(const char *text, uint32_t colon, const char *name, uint32_t len)
{
    return colon == len && strncasecmp(text, name, len) == 0;
}

static void unset(struct fields *f, const char *name, uint32_t len)
{
    for (uint32_t i = 0; i < f->count; i++) {
        struct field *e = &f->field[i];
        if (e->len && field_named(f->text + e->at, e->colon, name, len))
            e->len = 0;
    }
}

int fields_set(struct fields *f, const char *text, uint32_t len)
{
    if (!memchr(text, ':', len)) {
        unset(f, text, len);
        return 0;
    }
    int colon = copy_checked(f, text, len);
    if (colon < 0)
        return colon;
    unset(f, f->text + f->used, (uint32_t)colon);
    return keep(f, len, (uint32_t)colon);
}

const struct field *fields_find(const struct fields *f, const char *name, uint32_t len)
{
    for (uint32_t i = 0; i < f->count; i++) {
        const struct field *e = &f->field[i];
        if (e->len && field_named(f->text + e->at, e->colon, name, len))
            return e;
    }
    return NULL;
}
