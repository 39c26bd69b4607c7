/* call_regex.c: host calls about regular expressions.
 *
 * A match that takes longer than the loop's thread may be kept, or than the request
 * has, is stopped by the watchdog as a run is: it sets immediate_exit. Then the call is
 * made again from its beginning, on another thread, or the request has failed. So a
 * handler changes nothing before it has matched all that it has to. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hostcall.h"

#define TEXT_MAX (4 << 20)   /* bytes of a text: one step may look at all of it */
#define STRING_MAX (1 << 20) /* of a string, its NUL included */
#define STRING_FIRST 1024    /* room for it, to begin with */
#define RESULT_MAX (4 << 20) /* of a text after a replacement */

static const uint8_t *stop_flag(const struct machine *m)
{
    return &m->vm.run->immediate_exit;
}

/* What a handler returns: its result, unless it was stopped. */
static long outcome(struct machine *m, long ret)
{
    m->again = ret == PATTERN_STOPPED ? AGAIN : AGAIN_NOT;
    return ret;
}

/* What is made now is frozen, and goes to other processes. */
static int starts(const struct machine *m)
{
    return m->booting || m->warming;
}

/* At start-up the operator learns why; later a pattern may be anybody's. */
static long refused(struct machine *m, long ret, const char *why)
{
    if (starts(m))
        console_note(m->console, "regex_compile: %s", why);
    return ret;
}

/* (pattern, length) */
long call_regex_compile(struct host_call *c)
{
    struct machine *m = c->m;
    char copy[PATTERN_MAX], why[160];
    uint64_t len = c->arg[1];
    if (!guest_view(&m->mem, c->arg[0], len))
        return machine_fail(m, "regex_compile: unreadable pattern");
    if (len > PATTERN_MAX)
        return refused(m, -E2BIG, "the pattern is longer than 4096 bytes");
    if (starts(m) && len > REGEX_TEXTS_MAX - regexes_texts(&m->regexes))
        return refused(m, -E2BIG, "more than 64 KB of patterns at start-up");
    guest_read(&m->mem, c->arg[0], copy, len);
    long ret = regexes_make(&m->regexes, copy, len, why, sizeof(why));
    return ret < 0 ? refused(m, ret, why) : ret;
}

/* (handle) */
long call_regex_free(struct host_call *c)
{
    return regexes_free(&c->m->regexes, int_argument(c, 0));
}

/* Shared memory can change while it is matched, so it is copied, into (*copy), which is
 * to be freed. NULL when there is no memory. */
static const char *steady(const struct machine *m, uint64_t addr, const uint8_t *view,
                          uint64_t len, char **copy)
{
    *copy = NULL;
    if (!m->mem.shm || addr < m->mem.layout.shm.begin)
        return (const char *)view;
    *copy = malloc(len + 1);
    return *copy ? memcpy(*copy, view, len) : NULL;
}

/* (handle, text, length) */
long call_regex_match(struct host_call *c)
{
    struct machine *m = c->m;
    const struct pattern *p = regexes_find(&m->regexes, int_argument(c, 0));
    uint64_t len = c->arg[2];
    const uint8_t *view = guest_view(&m->mem, c->arg[1], len);
    char *copy;
    if (!view)
        return machine_fail(m, "regex_match: unreadable text");
    if (!p || len > TEXT_MAX)
        return p ? -E2BIG : -EINVAL;
    const char *text = steady(m, c->arg[1], view, len, &copy);
    long ret = text ? pattern_match(p, text, len, stop_flag(m)) : -ENOMEM;
    free(copy);
    return outcome(m, ret);
}

/* Copies the string at (addr). Returns its length, with (*out) to be freed, or as
 * guest_string does, or -ENOMEM. */
static long take_string(const struct machine *m, uint64_t addr, char **out)
{
    long len = -ENAMETOOLONG;
    *out = NULL;
    for (size_t size = STRING_FIRST; len == -ENAMETOOLONG && size <= STRING_MAX;
         size *= 4) {
        free(*out);
        *out = malloc(size);
        len = *out ? guest_string(&m->mem, addr, *out, size) : -ENOMEM;
    }
    return len;
}

/* Replaces in (text), and gives the result to the program. */
static long replace(struct host_call *c, const struct pattern *p, const char *text,
                    size_t len, const struct replacement *r)
{
    struct machine *m = c->m;
    size_t room = c->arg[4] < RESULT_MAX ? c->arg[4] : RESULT_MAX;
    char *result = malloc(room + 1);
    long ret = -ENOMEM;
    if (result)
        ret = pattern_replace(p, text, len, r, stop_flag(m), result, room);
    if (ret > 0 && guest_write(&m->mem, c->arg[3], result, (uint64_t)ret) < 0)
        ret = machine_fail(m, "regex_subst: unwritable result buffer");
    free(result);
    return ret == PATTERN_STOPPED || ret > 0 ? ret : -1;
}

/* (handle, text, replacement, result, its size, flags) */
long call_regex_subst(struct host_call *c)
{
    struct machine *m = c->m;
    const struct pattern *p = regexes_find(&m->regexes, int_argument(c, 0));
    char *text, *with;
    long len = take_string(m, c->arg[1], &text);
    long with_len = take_string(m, c->arg[2], &with);
    long ret = -1;
    const struct replacement r = {with, (size_t)with_len, c->arg[5] & 1};
    if (len == -EFAULT || with_len == -EFAULT)
        machine_fail(m, "regex_subst: unreadable string");
    else if (p && len >= 0 && with_len >= 0)
        ret = replace(c, p, text, (size_t)len, &r);
    free(text);
    free(with);
    return outcome(m, ret);
}

/* Marks the fields of (f) that match. 0 or PATTERN_STOPPED; those that take too long to
 * match do not. */
static long mark(const struct machine *m, const struct pattern *p,
                 const struct fields *f, uint8_t *marks)
{
    for (uint32_t i = 0; i < f->count; i++) {
        const struct field *e = &f->field[i];
        long ret = e->len ? pattern_match(p, f->text + e->at, e->len, stop_flag(m)) : 0;
        if (ret == PATTERN_STOPPED)
            return ret;
        marks[i] = ret > 0;
    }
    return 0;
}

/* Copies what is marked. Returns how many, or -EPROTO. */
static long copy_marked(struct machine *m, const struct fields *f, const uint8_t *marks,
                        uint64_t dst)
{
    long copied = 0;
    for (uint32_t i = 0; i < f->count; i++) {
        const struct field *e = &f->field[i];
        if (!marks[i])
            continue;
        int ret = hostcall_copy_field(m, dst, f->text + e->at, e->len);
        if (ret < 0)
            return ret;
        copied += ret;
    }
    return copied;
}

/* (handle, source, destination): sides */
long call_regex_copyto(struct host_call *c)
{
    struct machine *m = c->m;
    const struct pattern *p = regexes_find(&m->regexes, int_argument(c, 0));
    uint32_t src = int_argument(c, 1), dst = int_argument(c, 2);
    const struct fields *from = hostcall_fields(m, src, "regex_copyto");
    uint8_t marks[FIELDS_MAX];
    if (!from || !hostcall_fields(m, dst, "regex_copyto"))
        return -EPROTO;
    if (!p || src == dst)
        return -EINVAL;
    long ret = mark(m, p, from, marks);
    return ret < 0 ? outcome(m, ret) : copy_marked(m, from, marks, dst);
}
