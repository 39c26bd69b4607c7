/* call_fetch.c: the host call that fetches (url, length, options, result).
 *
 * Everything is copied here, so that nothing of the guest is read while it waits: what
 * it shares with others may change meanwhile. Who fetches judges the URL and the names
 * of fields: here only memory is looked at, and that lines are lines. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fetch.h"
#include "hostcall.h"

/* What the caller has said, copied. */
struct asked {
    struct curl_op op;
    struct curl_options options;
    struct fields fields;
    uint64_t lines; /* bytes of the fields as lines */
};

static int take_field(struct machine *m, struct asked *a, uint64_t addr, uint32_t len)
{
    char text[SKERRY_FETCH_FIELD];
    if (len > sizeof(text))
        return -EINVAL;
    if (guest_read(&m->mem, addr, text, len) < 0)
        return -EFAULT;
    a->lines += len + 2;
    return fields_append(&a->fields, text, len);
}

static int take_fields(struct machine *m, struct asked *a)
{
    struct curl_fields given;
    int ret = 0;
    if (a->options.unused2 != KVM_API_FETCH_FIELDS)
        return 0;
    if (guest_read(&m->mem, (uint64_t)a->options.unused, &given, sizeof(given)) < 0)
        return -EFAULT;
    for (int i = 0; ret == 0 && i < KVM_API_FETCH_FIELDS_MAX; i++)
        if (given.ptr[i])
            ret = take_field(m, a, (uint64_t)given.ptr[i], given.len[i]);
    return ret;
}

/* The network's interface, and whose certificate counts, are for the operator. */
static int take_options(struct machine *m, struct asked *a, uint64_t addr)
{
    if (addr == 0)
        return 0;
    if (guest_read(&m->mem, addr, &a->options, sizeof(a->options)) < 0)
        return -EFAULT;
    if (a->options.interface || a->options.dont_verify_host)
        return -EACCES;
    return take_fields(m, a);
}

static int take_op(struct machine *m, struct asked *a, uint64_t addr)
{
    const struct guestmem *mem = &m->mem;
    struct curl_op *op = &a->op;
    if (guest_read(mem, addr, op, sizeof(*op)) < 0 ||
        !guest_writable(mem, addr, sizeof(*op)))
        return -EFAULT;
    if ((op->headers &&
         !guest_writable(mem, (uint64_t)op->headers, op->headers_length)) ||
        (op->content &&
         !guest_writable(mem, (uint64_t)op->content, op->content_length)))
        return -EFAULT;
    if (!op->headers)
        op->headers_length = 0;
    if (!op->content)
        op->content_length = 0;
    return op->post_buflen > SKERRY_FETCH_BODY ? -EFBIG : 0;
}

static uint32_t flags_of(const struct asked *a)
{
    return (a->op.post_buffer || a->op.post_buflen ? SKERRY_FETCH_POST : 0) |
           (a->options.follow_location ? SKERRY_FETCH_FOLLOW : 0) |
           (a->options.dummy_fetch ? SKERRY_FETCH_DUMMY : 0);
}

static char *put_lines(const struct fields *fields, char *at)
{
    for (uint32_t i = 0; i < fields->count; i++) {
        memcpy(at, fields->text + fields->field[i].at, fields->field[i].len);
        at += fields->field[i].len;
        memcpy(at, "\r\n", 2);
        at += 2;
    }
    return at;
}

/* Fills in what (f) wants; its bytes are the URL, the lines and the body. */
static int fill(struct machine *m, const struct asked *a, struct fetch *f,
                const struct host_call *c)
{
    char *url = f->bytes, *lines = url + c->arg[1];
    char *body = put_lines(&a->fields, lines);
    f->wanted = (struct skerry_wanted){.url = url,
                                       .url_len = (uint32_t)c->arg[1],
                                       .fields = lines,
                                       .fields_len = (uint32_t)a->lines,
                                       .body = body,
                                       .body_len = a->op.post_buflen,
                                       .headers_room = a->op.headers_length,
                                       .content_room = a->op.content_length,
                                       .flags = flags_of(a)};
    f->result = c->arg[3];
    f->headers = (uint64_t)a->op.headers;
    f->content = (uint64_t)a->op.content;
    f->begun = clock_now();
    if (guest_read(&m->mem, c->arg[0], url, c->arg[1]) < 0 ||
        guest_read(&m->mem, (uint64_t)a->op.post_buffer, body, a->op.post_buflen) < 0)
        return -EFAULT;
    return 0;
}

static int begin(struct machine *m, struct asked *a, const struct host_call *c)
{
    if (c->arg[1] == 0 || c->arg[1] > SKERRY_FETCH_URL)
        return -EINVAL;
    int ret = take_op(m, a, c->arg[3]);
    if (ret == 0)
        ret = take_options(m, a, c->arg[2]);
    if (ret < 0)
        return ret;
    struct fetch *f = malloc(sizeof(*f) + c->arg[1] + a->lines + a->op.post_buflen);
    if (!f)
        return -ENOMEM;
    ret = fill(m, a, f, c);
    if (ret < 0)
        free(f);
    else
        m->fetch = f;
    return ret;
}

long call_fetch(struct host_call *c)
{
    struct machine *m = c->m;
    if (m->booting || m->warming || m->exchange.stream.in_piece)
        return -EAGAIN;
    if (!m->exchange.request)
        return machine_fail(m, "fetch in storage, which all requests wait for");
    if (m->fetches == SKERRY_FETCHES)
        return -EDQUOT;
    m->fetches++;
    struct asked a = {0};
    int ret = begin(m, &a, c);
    fields_release(&a.fields);
    if (ret == 0)
        c->stop = STOP_FETCH;
    return ret;
}
