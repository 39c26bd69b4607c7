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
    {"x-request-id", 12, DROP}, /* the host's, as in its log */
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

static int reserve(struct text *t, size_t more)
{
    if (t->used + more <= t->capacity)
        return 0;
    size_t capacity = t->capacity < 1024 ? 1024 : t->capacity * 2;
    while (capacity < t->used + more)
        capacity *= 2;
    char *at = realloc(t->own ? t->at : NULL, capacity);
    if (!at)
        return -ENOMEM;
    if (!t->own)
        memcpy(at, t->at, t->used);
    *t = (struct text){at, t->used, capacity, 1};
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

static int add_type(struct text *t, const char *type, size_t len)
{
    static const char name[] = "Content-Type: ";
    if (add(t, name, sizeof(name) - 1) < 0)
        return -ENOMEM;
    return add_line(t, type, len);
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

static int add_fields(struct text *t, const struct exchange *x, uint32_t *flags)
{
    int ret = *flags ? add_type(t, x->content_type, x->content_type_len) : 0;
    for (uint32_t i = 0; ret == 0 && i < x->answered.count; i++)
        ret = add_field(t, x, &x->answered.field[i], flags);
    return ret;
}

/* What the program says of caching; a field that it has set itself wins. */
static int add_caching(struct text *t, const struct exchange *x)
{
    static const char name[] = "Cache-Control";
    char line[CACHING_LINE];
    if (!x->caching.said || fields_find(&x->answered, name, sizeof(name) - 1))
        return 0;
    return add_line(t, line, caching_line(&x->caching, line));
}

/* RFC 9110, 8.6: these have no body, and no length is told. */
static int has_no_body(int status)
{
    return status == 204 || status == 304;
}

/* printf is large and cold behind an exit: this is a tenth of its time there. */
static int add_number(struct text *t, uint64_t n)
{
    char digits[20];
    size_t at = sizeof(digits);
    do {
        digits[--at] = (char)('0' + n % 10);
        n /= 10;
    } while (n);
    return add(t, digits + at, sizeof(digits) - at);
}

/* What Content-Length says, or STREAM_UNKNOWN. */
static uint64_t length_of(const struct exchange *x)
{
    return x->stream.function ? x->stream.total : x->body_len;
}

/* Ends the head: what every response has, and the empty line. */
static int add_end(struct text *t, uint32_t flags, int status, uint64_t body_len)
{
    static const char type[] = "application/octet-stream",
                      length[] = "Content-Length: ";
    if (has_no_body(status))
        return add(t, "\r\n", 2);
    if (!(flags & SKERRY_HAS_TYPE) && add_type(t, type, sizeof(type) - 1) < 0)
        return -ENOMEM;
    if (body_len == STREAM_UNKNOWN)
        return add(t, "\r\n", 2);
    if (add(t, length, sizeof(length) - 1) < 0 || add_number(t, body_len) < 0)
        return -ENOMEM;
    return add(t, "\r\n\r\n", 4);
}

static void fill_in(struct skerry_reply *reply, const struct exchange *x,
                    const struct text *t, uint32_t flags)
{
    reply->status = x->status;
    reply->flags |= flags;
    reply->head = t->at;
    reply->head_len = (uint32_t)t->used;
    reply->body = (const char *)x->body;
    reply->body_len = has_no_body(x->status) ? 0 : x->body_len;
    if (x->stream.function && !has_no_body(x->status)) {
        reply->flags |= SKERRY_STREAM;
        reply->stream_len = x->stream.total;
    }
}

int reply_build(const struct exchange *x, struct text *out, struct text *spill,
                struct skerry_reply *reply)
{
    struct text t = *out;
    uint32_t flags = x->content_type_len ? SKERRY_HAS_TYPE : 0;
    free(spill->at);
    *spill = (struct text){0};
    int ret = add_fields(&t, x, &flags);
    if (ret == 0)
        ret = add_caching(&t, x);
    if (ret == 0)
        ret = add_end(&t, flags, x->status, length_of(x));
    if (t.own)
        *spill = t;
    if (ret < 0)
        return ret;
    fill_in(reply, x, &t, flags);
    if (t.own || reply->body_len > t.capacity - t.used) {
        reply->flags |= SKERRY_LARGE;
        return 0;
    }
    if (reply->body_len)
        memcpy(t.at + t.used, reply->body, reply->body_len);
    out->used = t.used + reply->body_len;
    return 0;
}

void reply_failed(struct text *out, struct skerry_reply *reply)
{
    static const char text[] = "Content-Type: text/plain\r\nContent-Length: 23\r\n\r\n"
                               "500 the program failed\n";
    const size_t body_len = 23, head_len = sizeof(text) - 1 - body_len;
    memcpy(out->at, text, sizeof(text) - 1);
    out->used = sizeof(text) - 1;
    reply->status = 500;
    reply->flags |= SKERRY_HAS_TYPE;
    reply->head = out->at;
    reply->head_len = (uint32_t)head_len;
    reply->body = out->at + head_len;
    reply->body_len = body_len;
}
