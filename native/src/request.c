/* request.c: see request.h: which callback is called, with what. */
#include "request.h"

#include <errno.h>
#include <string.h>

#include "home.h"
#include "paused.h"
#include "place.h"
#include "stubs.h"

void request_describe(struct machine *m)
{
    struct kvm_api_exchange *page = machine_exchange(m);
    page->magic = KVM_API_EXCHANGE_MAGIC;
    page->is_storage = (uint32_t)m->facts->is_storage;
    if (m->mem.shm) {
        page->shm_begin = m->mem.layout.shm.begin;
        page->shm_end = m->mem.layout.shm.end;
    }
}

/* 0, or -EPROTO with the reason. */
static int call(struct machine *m, struct writer *w, struct guest_call *c,
                int privileged)
{
    if (home_enter(m) < 0)
        return -EPROTO;
    place_align(w);
    c->rsp = w->at;
    c->fs_base = m->facts->fs_base;
    c->gs_base = m->facts->gs_base;
    place_note(m, w);
    vcpu_call(&m->vm, c, privileged);
    return 0;
}

/* No callback takes the request: the program goes on behind its wait. */
static int go_on(struct machine *m, struct writer *w, const struct kvm_request *request)
{
    struct guest_call c = {.function = RESUME_ADDR};
    if (paused_goes_on(m)) {
        place_note(m, w);
        paused_go_on(m, request);
        return 0;
    }
    if (m->is_kept)
        return machine_fail(m, "a callback has answered on a machine that is not put "
                               "back: the program cannot go on behind its wait");
    place_align(w);
    w->at -= sizeof(struct resume_frame);
    if (paused_resume(m, request, (struct resume_frame *)(w->base + w->at)) < 0)
        return -EPROTO;
    return call(m, w, &c, 0);
}

int request_enter(struct machine *m, const struct request *r)
{
    const uint64_t *on = m->facts->callback;
    struct writer w = {m->mem.base, m->mem.layout.call_stack.end};
    struct placed p = {0};
    struct guest_call c = {0};
    if (place_check(m, r) < 0 || place_body(m, &p, r) < 0)
        return -EPROTO;
    place_head(m, &w, &p, r);
    int others = on[ON_GET] || paused_waits(m);
    struct kvm_request request = place_describe(m, &p, r);
    if (on[ON_REQUEST])
        c = (struct guest_call){.function = on[ON_REQUEST],
                                .arg = {place_request(&w, &request)}};
    else if (on[ON_POST] && (r->body_len || !others))
        c = (struct guest_call){.function = on[ON_POST],
                                .arg = {p.url, p.arg, p.type, p.body, r->body_len}};
    else if (on[ON_GET])
        c = (struct guest_call){.function = on[ON_GET], .arg = {p.url, p.arg}};
    else if (paused_waits(m))
        return go_on(m, &w, &request);
    else
        return machine_fail(m, "the program has no callback for requests");
    m->last_paused = 0;
    return call(m, &w, &c, 0);
}

/* The head stays where it is from the first piece to the answer. */
static int place_head_once(struct machine *m, const struct request *r, struct upload *u)
{
    struct writer w = {m->mem.base, m->mem.layout.call_stack.end};
    struct placed p = {0};
    if (u->rsp)
        return 0;
    if (place_check(m, r) < 0)
        return -EPROTO;
    place_head(m, &w, &p, r);
    place_align(&w);
    u->url = p.url;
    u->arg = p.arg;
    u->type = p.type;
    u->rsp = w.at;
    return 0;
}

int request_enter_piece(struct machine *m, const struct request *r, struct upload *u,
                        const char *data, size_t len)
{
    const struct request piece = {.body = data, .body_len = len};
    struct placed p = {0};
    if (place_head_once(m, r, u) < 0 || place_body(m, &p, &piece) < 0)
        return -EPROTO;
    struct guest_call c = {.function = m->facts->callback[ON_STREAM_POST],
                           .arg = {u->url, u->arg, u->type, p.body, len, u->offset}};
    struct writer w = {m->mem.base, u->rsp};
    u->len = len;
    u->in_piece = 1;
    m->last_paused = 0;
    return call(m, &w, &c, 0);
}

int request_enter_end(struct machine *m, const struct request *r, struct upload *u)
{
    const uint64_t *on = m->facts->callback;
    struct guest_call c = {0};
    if (place_head_once(m, r, u) < 0)
        return -EPROTO;
    if (on[ON_POST] && (u->offset || !on[ON_GET]))
        c = (struct guest_call){.function = on[ON_POST],
                                .arg = {u->url, u->arg, u->type, 0, u->offset}};
    else if (on[ON_GET])
        c = (struct guest_call){.function = on[ON_GET], .arg = {u->url, u->arg}};
    else
        return machine_fail(m, "the program has no callback that answers: post or get");
    struct writer w = {m->mem.base, u->rsp};
    return call(m, &w, &c, 0);
}

/* What on_error finds on its stack lies where the head was: it asks by number. */
static void forget_head(struct kvm_api_exchange *page)
{
    page->data_len = 0;
    page->method = NULL;
    page->request_changed = 1;
}

int request_enter_error(struct machine *m, const struct request *r)
{
    struct writer w = {m->mem.base, m->mem.layout.call_stack.end};
    if (!m->facts->callback[ON_ERROR])
        return 0;
    size_t url_len = r->url_len <= UINT16_MAX ? r->url_len : 0; /* it may be why */
    uint16_t arg_len;
    uint64_t url = place_text(&w, r->url, url_len), arg = place_arg(m, &w, r, &arg_len);
    uint64_t reason = place_text(&w, m->reason, strlen(m->reason));
    struct guest_call c = {.function = m->facts->callback[ON_ERROR],
                           .arg = {url, arg, reason}};
    m->reason[0] = 0;
    home_alone(m);
    forget_head(machine_exchange(m));
    return call(m, &w, &c, 1) < 0 ? 0 : 1;
}
