/* fields.h: a list of HTTP header fields, in order, as the guest API changes it. */
#ifndef SKERRY_FIELDS_H
#define SKERRY_FIELDS_H

#include <stddef.h>
#include <stdint.h>

#define FIELDS_MAX 256            /* fields in a list */
#define FIELDS_BYTES (256 * 1024) /* of text in a list */
#define FIELD_MIN 4               /* of one field, "a: b" */
#define FIELD_MAX 65535

struct field {
    uint32_t at, len, colon; /* len 0: removed */
};

struct fields {
    struct field field[FIELDS_MAX];
    uint32_t count;
    char *text;
    uint32_t used, capacity;
};

/* Fields begin empty (all zero). Release frees; clear keeps the buffer for reuse. */
void fields_clear(struct fields *f);
void fields_release(struct fields *f);

/* Adds "Name: value". Returns 0; -EINVAL when it is not one (a token, a colon, a space,
 * a value without a space at its end, no control characters); -ENOSPC over the limits.
 */
int fields_append(struct fields *f, const char *text, uint32_t len);

/* Adds a line that came from a client: any text with a colon, (colon) bytes of name, is
 * one. 0 or -ENOSPC. */
int fields_receive(struct fields *f, const char *text, uint32_t len, uint32_t colon);

/* Replaces all fields of that name; text without a colon removes them. As append. */
int fields_set(struct fields *f, const char *text, uint32_t len);

/* The first field named (name), or NULL. */
const struct field *fields_find(const struct fields *f, const char *name, uint32_t len);

/* Tells if the field at (text) with its colon at (colon) is named (name). */
int field_named(const char *text, uint32_t colon, const char *name, uint32_t len);

/* Tells if (len) bytes are a header value: no control characters but TAB. */
int field_value_ok(const char *text, uint32_t len);

#endif
