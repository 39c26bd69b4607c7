/* reply.c: see reply.h. The connection is the host's: fields that frame messages or
 * rule the connection do not pass (RFC 9110 7.6.1, RFC 9112 6). */
#include "reply.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { PASS = 0, DROP = 8 }; /* beside SKERRY_HAS_* */

static const struct {
    const char *name;
    uint32_t len;
    uint32_t meaning; /* DROP or a SKERRY_HAS_ flag */
} special[] = {
    {"content-length", 14, DROP},
    {"transfer-encoding", 17, DROP},
    {"connection", 10, DROP},
    {"keep-alive", 10, DROP},
    {"upgrade", 7, DROP},
    {"trailer", 7, DROP},
    {"content-type", 12, SKERRY_HAS_TYPE},
    {"date", 4, SKERRY_HAS_DATE},
    {"server", 6, SKERRY_HAS_SERVER},
};

static uint32_t meaning_of(const char *field, uint32_t colon)
{
    for (size_t i = 0; i < sizeof(special) / sizeof(*special); i++)
        if (field_named(field, colon, special[i].name, special[i].len))
            return special[i].meaning;
    return PASS;
}

/* The first buffer is the vm's own; the second is ours. */
static int reserve(struct text *t, size_t more)
{
    if (t->used + more <= t->capacity)
        return 0;
    size_t capacity = t->capacity * 2;
    while (capacity < t->used + more)
        capacity *= 2;
    char *at = realloc(t->capacity > SKERRY_OUT_SIZE ? t->at : NULL, capacity);
    if (!at)
        return -ENOMEM;
    if (t->capacity <= SKERRY_OUT_SIZE)
        memcpy(at, t->at, t->used);
    t->at = at;
    t->capacity = capacity;
    return 0;
}

static int add(struct text *t, const char *src, size_t len)
{
    if (reserve(t, len) < 0)
        return -ENOMEM;
    memcpy(t->at + t->used, src, len);
    t->used += len;
    return 0;
}

static int add_line(struct text *t, const char *src, size_t len)
{
    return add(t, src, len) < 0 ? -ENOMEM : add(t, "\r\n", 2);
}

static int add_type(struct text *t, const struct exchange *x)
{
    static const char name[] = "Content-Type: ";
    if (add(t, name, sizeof(name) - 1) < 0)
        return -ENOMEM;
    return add_line(t, x->content_type, x->content_type_len);
}

/* A type given with the response wins over a Content-Type header. */
static int add_field(struct text *t, const struct exchange *x, const struct field *e,
                     uint32_t *flags)
{
    const char *field = x->answered.text + e->at;
    uint32_t meaning = meaning_of(field, e->colon);
    if (e->len == 0 || meaning == DROP)
        return 0;
    if (meaning == SKERRY_HAS_TYPE && *flags & SKERRY_HAS_TYPE)
        return 0;
    *flags |= meaning;
    return add_line(t, field, e->len);
}

static int add_head(struct text *t, const struct exchange *x, uint32_t *flags)
{
    int ret = *flags ? add_type(t, x) : 0;
    for (uint32_t i = 0; ret == 0 && i < x->answered.count; i++)
        ret = add_field(t, x, &x->answered.field[i], flags);
    return ret;
}

int reply_build(const struct exchange *x, char *out, struct text *spill,
                struct skerry_reply *reply)
{
    struct text t = {.at = out, .capacity = SKERRY_OUT_SIZE};
    uint32_t flags = x->content_type_len ? SKERRY_HAS_TYPE : 0;
    free(spill->at);
    *spill = (struct text){0};
    int ret = add_head(&t, x, &flags);
    if (t.at != out)
        *spill = t;
    reply->status = ret < 0 ? 500 : x->status;
    reply->head = t.at;
    reply->head_len = ret < 0 ? 0 : t.used;
    reply->body = (const char *)x->body;
    reply->body_len = ret < 0 ? 0 : x->body_len;
    if (reply->head_len + reply->body_len > SKERRY_OUT_SIZE || t.at != out)
        flags |= SKERRY_LARGE;
    else
        memcpy(out + reply->head_len, reply->body, reply->body_len);
    reply->flags |= flags;
    return ret;
}
