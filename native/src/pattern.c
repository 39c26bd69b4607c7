/* pattern.c: see pattern.h. */
#include "pattern.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#define PARENS_MAX 100      /* inside each other; the compiler calls itself for each */
#define STEPS_MAX 1000000   /* places to go back to, from one first byte */
#define HEAP_MAX (8 * 1024) /* KiB */

/* A call-out before each step of a match is where it can be stopped. Characters are
 * bytes; (*UTF) and (*UCP) are refused. */
#define OPTIONS (PCRE2_AUTO_CALLOUT | PCRE2_NEVER_UTF | PCRE2_NEVER_UCP)

static int explain(int code, size_t at, char *why, size_t size)
{
    char text[128] = "";
    pcre2_get_error_message(code, (PCRE2_UCHAR *)text, sizeof(text));
    snprintf(why, size, "%s at offset %zu", text, at);
    return -EINVAL;
}

static int compile(struct pattern *p, char *why, size_t size)
{
    int code;
    size_t at;
    pcre2_compile_context *context = pcre2_compile_context_create(NULL);
    if (!context)
        return -ENOMEM;
    pcre2_set_parens_nest_limit(context, PARENS_MAX);
    p->code = pcre2_compile((PCRE2_SPTR)p->text, p->len, OPTIONS, &code, &at, context);
    pcre2_compile_context_free(context);
    return p->code ? 0 : explain(code, at, why, size);
}

int pattern_make(const char *text, size_t len, struct pattern **out, char *why,
                 size_t size)
{
    snprintf(why, size, "out of memory");
    if (len > PATTERN_MAX) {
        snprintf(why, size, "longer than %d bytes", PATTERN_MAX);
        return -E2BIG;
    }
    struct pattern *p = malloc(sizeof(*p) + len);
    if (!p)
        return -ENOMEM;
    *p = (struct pattern){.len = (uint32_t)len};
    memcpy(p->text, text, len);
    int ret = compile(p, why, size);
    if (ret < 0) {
        pattern_free(p);
        return ret;
    }
    *out = p;
    return 0;
}

void pattern_free(struct pattern *p)
{
    if (!p)
        return;
    pcre2_code_free(p->code);
    free(p);
}

/* --- Matching --- */

/* What one match or replacement takes, beside the pattern. */
struct matcher {
    const struct pattern *pattern;
    const char *text;
    size_t len;
    pcre2_match_context *context;
    pcre2_match_data *data;
};

static int before_step(pcre2_callout_block *unused, void *stop)
{
    (void)unused;
    const uint8_t *flag = stop;
    return __atomic_load_n(flag, __ATOMIC_RELAXED) ? PCRE2_ERROR_CALLOUT : 0;
}

static int begin(struct matcher *m, const uint8_t *stop)
{
    m->context = pcre2_match_context_create(NULL);
    m->data = pcre2_match_data_create_from_pattern(m->pattern->code, NULL);
    if (!m->context || !m->data)
        return -ENOMEM;
    pcre2_set_callout(m->context, before_step, (void *)(uintptr_t)stop);
    pcre2_set_match_limit(m->context, STEPS_MAX);
    pcre2_set_depth_limit(m->context, STEPS_MAX);
    pcre2_set_heap_limit(m->context, HEAP_MAX);
    return 0;
}

static void end(struct matcher *m)
{
    pcre2_match_data_free(m->data);
    pcre2_match_context_free(m->context);
}

static long find(struct matcher *m, size_t from)
{
    int ret = pcre2_match(m->pattern->code, (PCRE2_SPTR)m->text, m->len, from, 0,
                          m->data, m->context);
    switch (ret) {
    case PCRE2_ERROR_NOMATCH:
        return -1;
    case PCRE2_ERROR_NOMEMORY:
        return -ENOMEM;
    case PCRE2_ERROR_CALLOUT:
        return PATTERN_STOPPED;
    }
    return ret < 0 ? -E2BIG : ret;
}

long pattern_match(const struct pattern *p, const char *text, size_t len,
                   const uint8_t *stop)
{
    struct matcher m = {.pattern = p, .text = text, .len = len};
    long ret = begin(&m, stop);
    if (ret == 0)
        ret = find(&m, 0);
    end(&m);
    return ret;
}

/* --- Replacing --- */

/* Text that grows; over when it does not fit, and (used) is more than (room). */
struct result {
    char *at;
    size_t used, room;
};

static void add(struct result *out, const char *text, size_t len)
{
    if (out->used <= out->room && len <= out->room - out->used) {
        memcpy(out->at + out->used, text, len);
        out->used += len;
    } else {
        out->used = out->room + 1;
    }
}

static void add_group(struct result *out, const struct matcher *m, uint32_t group)
{
    const size_t *span = pcre2_get_ovector_pointer(m->data);
    size_t from, to;
    if (group >= pcre2_get_ovector_count(m->data))
        return;
    from = span[2 * (size_t)group];
    to = span[2 * (size_t)group + 1];
    if (from != PCRE2_UNSET && from < to)
        add(out, m->text + from, to - from);
}

static void add_replacement(struct result *out, const struct matcher *m,
                            const struct replacement *r)
{
    for (size_t i = 0; i < r->len; i++) {
        char c = r->with[i];
        if (c != '\\' || i + 1 == r->len) {
            add(out, &r->with[i], 1);
            continue;
        }
        c = r->with[++i];
        if (c == '&' || (c >= '0' && c <= '9'))
            add_group(out, m, c == '&' ? 0 : (uint32_t)(c - '0'));
        else
            add(out, &r->with[i], 1);
    }
}

/* Replaces what is found from (*from) on, and moves it behind that; at a match of no
 * bytes, behind the next byte too. Returns what find does. */
static long replace_next(struct result *out, struct matcher *m,
                         const struct replacement *r, size_t *from)
{
    const size_t *span = pcre2_get_ovector_pointer(m->data);
    long ret = find(m, *from);
    if (ret < 0)
        return ret;
    if (span[0] < *from || span[1] < span[0])
        return -E2BIG; /* only \K makes such a one */
    add(out, m->text + *from, span[0] - *from);
    add_replacement(out, m, r);
    *from = span[1];
    if (span[1] == span[0] && *from < m->len)
        add(out, m->text + (*from)++, 1);
    else if (span[1] == span[0])
        return -1;
    return ret;
}

static long replace(struct result *out, struct matcher *m, const struct replacement *r)
{
    size_t from = 0;
    long ret;
    do
        ret = replace_next(out, m, r, &from);
    while (ret >= 0 && r->all && out->used <= out->room);
    if (ret < -1)
        return ret;
    add(out, m->text + from, m->len - from);
    add(out, "", 1);
    return out->used <= out->room ? (long)out->used : -E2BIG;
}

long pattern_replace(const struct pattern *p, const char *text, size_t len,
                     const struct replacement *r, const uint8_t *stop, char *out,
                     size_t room)
{
    struct matcher m = {.pattern = p, .text = text, .len = len};
    struct result result = {.at = out, .room = room};
    long ret = begin(&m, stop);
    if (ret == 0)
        ret = replace(&result, &m, r);
    end(&m);
    return ret;
}
