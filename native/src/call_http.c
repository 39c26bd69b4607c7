/* call_http.c: host calls about the headers of the request and its response. */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "hostcall.h"

int hostcall_no_request(struct machine *m, const char *what)
{
    if (m->exchange.request)
        return 0;
    machine_fail(m, "%s outside of a request", what);
    return 1;
}

/* The program's own view of the request headers is old from now on. */
static void mark_changed(struct machine *m)
{
    machine_exchange(m)->request_changed = 1;
    guest_note(&m->mem, KVM_API_EXCHANGE_ADDRESS, 1);
}

/* Splits "Name: value\r\n" lines into (f), as they came; what is over its limits is
 * left out. */
static void split_lines(struct fields *f, const char *at, size_t len)
{
    const char *end = at + len, *eol;
    for (; at < end && (eol = memchr(at, '\r', (size_t)(end - at))); at = eol + 2) {
        const char *colon = memchr(at, ':', (size_t)(eol - at));
        if (colon)
            fields_receive(f, at, (uint32_t)(eol - at), (uint32_t)(colon - at));
    }
}

static struct fields *side(struct machine *m, uint64_t where)
{
    struct exchange *x = &m->exchange;
    if (where == RESPONSE_SIDE)
        return &x->answered;
    if (where != REQUEST_SIDE) {
        machine_fail(m, "headers of side %d: expected 0 (request) or 1 (response)",
                     (int32_t)where);
        return NULL;
    }
    if (!x->sent_ready)
        split_lines(&x->sent, x->request->headers, x->request->headers_len);
    x->sent_ready = 1;
    return &x->sent;
}

struct fields *hostcall_fields(struct machine *m, uint64_t where, const char *what)
{
    if (hostcall_no_request(m, what) || hostcall_gathered(m) < 0)
        return NULL;
    return side(m, where);
}

int hostcall_copy_field(struct machine *m, uint64_t where, const char *text,
                        uint32_t len)
{
    int ret = fields_append(side(m, where), text, len);
    if (ret < 0 && ret != -EINVAL)
        return machine_fail(m, "too many or large header");
    if (ret == 0 && where == REQUEST_SIDE)
        mark_changed(m);
    return ret == 0;
}

long hostcall_change(struct machine *m, uint32_t op, uint64_t where, const char *text,
                     uint64_t len)
{
    struct fields *f = side(m, where);
    if (!f)
        return -EPROTO;
    if (op == KVM_API_HTTP_SET && len == 0)
        return 0;
    if (len > FIELD_MAX)
        return machine_fail(m, "header of %lu bytes", (unsigned long)len);
    int ret = op == KVM_API_HTTP_SET ? fields_set(f, text, (uint32_t)len)
                                     : fields_append(f, text, (uint32_t)len);
    if (ret < 0)
        return machine_fail(m, "%s header",
                            ret == -EINVAL ? "malformed" : "too many or large");
    if (where == REQUEST_SIDE)
        mark_changed(m);
    return (long)len;
}

static int apply(struct machine *m, const uint8_t *data, uint32_t len)
{
    struct kvm_api_header_op op;
    for (uint32_t at = 0; at < len; at += (uint32_t)(sizeof(op) + op.len + 7) & ~7u) {
        if (len - at < sizeof(op))
            return machine_fail(m, "gathered headers are cut off");
        memcpy(&op, data + at, sizeof(op));
        if (op.len > len - at - sizeof(op))
            return machine_fail(m, "gathered headers are cut off");
        const char *text = (const char *)data + at + sizeof(op);
        if (op.op == KVM_API_SET_CACHEABLE && op.len == sizeof(struct caching_said)) {
            caching_say(&m->exchange.caching, data + at + sizeof(op));
            continue;
        }
        if (op.op != KVM_API_HTTP_APPEND && op.op != KVM_API_HTTP_SET)
            return machine_fail(m, "gathered header operation 0x%x", op.op);
        if (hostcall_change(m, op.op, op.where, text, op.len) < 0)
            return -EPROTO;
    }
    return 0;
}

int hostcall_gathered(struct machine *m)
{
    struct kvm_api_exchange *page = machine_exchange(m);
    uint32_t len = page->data_len;
    if (len == 0)
        return 0;
    if (len > KVM_API_EXCHANGE_DATA)
        return machine_fail(m, "gathered headers are too long");
    page->data_len = 0;
    guest_note(&m->mem, KVM_API_EXCHANGE_ADDRESS, 1);
    return apply(m, page->data, len);
}

static long change_by_number(struct host_call *c, uint32_t op)
{
    struct machine *m = c->m;
    if (hostcall_no_request(m, "http_set or http_append") || hostcall_gathered(m) < 0)
        return -EPROTO;
    const uint8_t *text = guest_view(&m->mem, c->arg[1], c->arg[2]);
    if (!text)
        return machine_fail(m, "header: unreadable text");
    return hostcall_change(m, op, int_argument(c, 0), (const char *)text, c->arg[2]);
}

long call_append(struct host_call *c)
{
    return change_by_number(c, KVM_API_HTTP_APPEND);
}

long call_set(struct host_call *c)
{
    return change_by_number(c, KVM_API_HTTP_SET);
}

/* Gives (len) bytes to a guest that has room for (room) at (addr), NULL to ask for the
 * length. Returns the length, or 0 when it does not fit. */
static long give(struct machine *m, const char *text, uint64_t len, uint64_t addr,
                 uint64_t room)
{
    if (addr == 0)
        return (long)len;
    if (len > room)
        return 0;
    if (guest_write(&m->mem, addr, text, len) < 0)
        return machine_fail(m, "unwritable memory for a header");
    return (long)len;
}

/* (cacheable, time to live, grace, keep): milliseconds */
long call_cacheable(struct host_call *c)
{
    struct machine *m = c->m;
    if (hostcall_no_request(m, "set_cacheable") || hostcall_gathered(m) < 0)
        return -EPROTO;
    const struct caching_said said = {(uint64_t)bool_argument(c, 0), c->arg[1],
                                      c->arg[2], c->arg[3]};
    caching_say(&m->exchange.caching, &said);
    return 0;
}

long call_find(struct host_call *c)
{
    struct machine *m = c->m;
    if (hostcall_no_request(m, "http_find") || hostcall_gathered(m) < 0)
        return -EPROTO;
    const uint8_t *name = guest_view(&m->mem, c->arg[1], c->arg[2]);
    if (!name)
        return machine_fail(m, "http_find: unreadable name");
    struct fields *f = side(m, int_argument(c, 0));
    if (!f || c->arg[2] > FIELD_MAX)
        return 0;
    const struct field *e = fields_find(f, (const char *)name, (uint32_t)c->arg[2]);
    return e ? give(m, f->text + e->at, e->len, c->arg[3], c->arg[4]) : 0;
}

long call_method(struct host_call *c)
{
    const struct request *r = c->m->exchange.request;
    if (hostcall_no_request(c->m, "http_method"))
        return -EPROTO;
    return give(c->m, r->method, r->method_len, c->arg[0], c->arg[1]);
}
