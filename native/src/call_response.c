/* call_response.c: host calls that answer the request. */
#include <errno.h>

#include "home.h"
#include "hostcall.h"

static int take_type(struct machine *m, uint64_t addr, uint64_t len)
{
    struct exchange *x = &m->exchange;
    if (len >= sizeof(x->content_type))
        return machine_fail(m, "response: content type of %lu bytes",
                            (unsigned long)len);
    if (guest_read(&m->mem, addr, x->content_type, len) < 0)
        return machine_fail(m, "response: unreadable content type");
    if (!field_value_ok(x->content_type, (uint32_t)len))
        return machine_fail(m, "response: control characters in the content type");
    x->content_type_len = (uint32_t)len;
    return 0;
}

static int take_extra_field(struct machine *m, uint64_t addr)
{
    struct guest_buffer header;
    if (guest_read(&m->mem, addr, &header, sizeof(header)) < 0)
        return machine_fail(m, "response: unreadable extra headers");
    const uint8_t *text = guest_view(&m->mem, header.addr, header.len);
    if (!text)
        return machine_fail(m, "response: unreadable extra header");
    return (int)hostcall_change(m, KVM_API_HTTP_APPEND, RESPONSE_SIDE,
                                (const char *)text, header.len);
}

static int take_extra(struct machine *m, uint64_t addr)
{
    struct BackendResponseExtra extra;
    if (addr == 0)
        return 0;
    if (guest_read(&m->mem, addr, &extra, sizeof(extra)) < 0)
        return machine_fail(m, "response: unreadable extra");
    caching_from_extra(&m->exchange.caching, &extra);
    if (extra.num_headers > KVM_API_MAX_EXTRA_HEADERS)
        return machine_fail(m, "response: %u extra headers", extra.num_headers);
    for (uint32_t i = 0; i < extra.num_headers; i++) {
        uint64_t at =
            (uint64_t)(uintptr_t)extra.headers + i * sizeof(struct guest_buffer);
        if (take_extra_field(m, at) < 0)
            return -EPROTO;
    }
    return 0;
}

/* The status of a response that may begin now, or -EPROTO. */
static int check_status(struct machine *m, uint64_t arg, const char *what)
{
    int16_t status = (int16_t)arg;
    if (hostcall_no_request(m, what) || hostcall_gathered(m) < 0)
        return -EPROTO;
    if (status < KVM_API_MIN_STATUS || status > KVM_API_MAX_STATUS)
        return machine_fail(m, "response: status %d", status);
    return status;
}

static int no_body(struct machine *m, uint64_t addr, uint64_t len)
{
    if (!guest_readable(&m->mem, addr, len))
        return machine_fail(m, "response: unreadable body");
    return machine_fail(m,
                        "response: a body of %lu MB at a far address: at most %lu MB "
                        "have room there, stream more",
                        (unsigned long)(len >> 20), (unsigned long)(BOUNCE_MAX >> 20));
}

/* (status, type, type length, body, body length, extra) */
long call_response(struct host_call *c)
{
    struct machine *m = c->m;
    struct exchange *x = &m->exchange;
    int status = check_status(m, c->arg[0], "backend_response");
    if (status < 0)
        return -EPROTO;
    x->stream.function = 0;
    x->body_len = c->arg[4];
    x->body = guest_view(&m->mem, c->arg[3], x->body_len);
    if (!x->body)
        return no_body(m, c->arg[3], x->body_len);
    if (take_type(m, c->arg[1], c->arg[2]) < 0 || take_extra(m, c->arg[5]) < 0)
        return -EPROTO;
    x->status = status;
    c->stop = STOP_ANSWERED;
    return 0;
}

/* (status, type, type length, body length, function, its argument). The caller's frame
 * lives on below the function's: (arg) may point into it. */
long call_stream(struct host_call *c)
{
    struct machine *m = c->m;
    struct exchange *x = &m->exchange;
    int status = check_status(m, c->arg[0], "begin_streaming_response");
    if (status < 0 || take_type(m, c->arg[1], c->arg[2]) < 0)
        return -EPROTO;
    if (!home_runs(m))
        return machine_fail(m, "begin_streaming_response in another thread than the "
                               "callback's");
    if (!guest_executable(&m->mem, c->arg[4]))
        return machine_fail(
            m, "begin_streaming_response: 0x%lx is not a function of the program",
            (unsigned long)c->arg[4]);
    x->body_len = 0;
    x->stream = (struct stream){.function = c->arg[3] ? c->arg[4] : 0,
                                .arg = c->arg[5],
                                .total = c->arg[3],
                                .rsp = vcpu_regs(&m->vm)->rsp};
    x->status = status;
    c->stop = STOP_ANSWERED;
    return 0;
}
