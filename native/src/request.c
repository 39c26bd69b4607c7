/* request.c: see request.h. The stack of the call is at the end of its region:
 *
 *      end   strings: url, arg, content type, method, headers; NUL-terminated
 *            array of struct kvm_request_header
 *            struct kvm_request
 *      rsp   16-byte aligned; zeros below
 */
#include "request.h"

#include <errno.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include "paused.h"
#include "stubs.h"

#define HEAD_MAX (1UL << 20) /* bytes of strings and headers */

/* Writes downwards from the end of the call stack: it is the host's until the call. */
struct writer {
    uint8_t *base;
    uint64_t at;
};

static uint64_t put(struct writer *w, const void *src, size_t len)
{
    w->at -= len + 1;
    memcpy(w->base + w->at, src, len);
    w->base[w->at + len] = 0;
    return w->at;
}

static void align(struct writer *w)
{
    w->at &= ~15UL;
}

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

/* Copies the header lines, a NUL for each line end, and returns their address. */
static uint64_t put_lines(struct writer *w, const struct request *r, uint16_t *count)
{
    uint64_t at = put(w, r->headers, r->headers_len);
    char *text = (char *)w->base + at, *end = text + r->headers_len;
    for (char *cr = text; cr < end && (cr = memchr(cr, '\r', (size_t)(end - cr)));
         cr += 2) {
        *cr = 0;
        ++*count;
    }
    return at;
}

/* Fills the array for (count) NUL-terminated lines at (lines). */
static uint64_t put_array(struct writer *w, uint64_t lines, uint16_t count)
{
    align(w);
    w->at -= count * sizeof(struct kvm_request_header);
    struct kvm_request_header *h = (void *)(w->base + w->at);
    for (uint16_t i = 0; i < count; i++) {
        const char *text = (const char *)w->base + lines;
        size_t len = strlen(text);
        h[i].field = (char *)(uintptr_t)lines;
        h[i].field_len = (uint32_t)len;
        h[i].field_colon = (uint32_t)strcspn(text, ":");
        lines += len + 2;
    }
    return w->at;
}

/* Random bits are fetched in bulk, and forgotten once they are given. */
static void random_bits(uint64_t out[2])
{
    static __thread uint64_t
        pool[32]; /* getrandom gives 256 bytes whole or not at all */
    static __thread unsigned left;
    if (left == 0 && getrandom(pool, sizeof(pool), 0) == (ssize_t)sizeof(pool))
        left = 32;
    for (int i = 0; i < 2 && left; i++) {
        out[i] = pool[--left];
        pool[left] = 0;
    }
}

/* The value of the header that has the arg, in (lines) as they came; "" without one. */
static const char *find_arg(const char *lines, const char *name, size_t *len)
{
    size_t name_len = strlen(name);
    for (const char *at = lines, *end; (end = strstr(at, "\r\n")); at = end + 2) {
        if (strncasecmp(at, name, name_len) != 0 || at[name_len] != ':')
            continue;
        at += name_len + 1;
        at += strspn(at, " \t");
        *len = (size_t)(end - at);
        return at;
    }
    *len = 0;
    return "";
}

static uint64_t put_arg(const struct machine *m, struct writer *w,
                        const struct request *r, uint16_t *arg_len)
{
    const char *arg = m->facts->arg;
    size_t len = strlen(arg);
    if (m->facts->arg_header[0])
        arg = find_arg(r->headers, m->facts->arg_header, &len);
    if (len > UINT16_MAX)
        len = UINT16_MAX; /* heads are smaller than that: see fits() */
    *arg_len = (uint16_t)len;
    return put(w, arg, len);
}

/* Guest addresses of what has been written. */
struct placed {
    uint64_t url, arg, type, method, headers, body;
    uint16_t count, arg_len;
};

static struct kvm_request make_request(const struct machine *m, const struct placed *p,
                                       const struct request *r)
{
    struct kvm_request request = {.method = (char *)p->method,
                                  .url = (char *)p->url,
                                  .arg = (char *)p->arg,
                                  .content_type = (char *)p->type,
                                  .method_len = (uint16_t)r->method_len,
                                  .url_len = (uint16_t)r->url_len,
                                  .arg_len = p->arg_len,
                                  .content_type_len = (uint16_t)r->content_type_len,
                                  .content = (const uint8_t *)p->body,
                                  .content_len = r->body_len,
                                  .headers = (struct kvm_request_header *)p->headers,
                                  .num_headers = p->count,
                                  .info_flags = m->warming ? KVM_REQUEST_WARMUP : 0};
    random_bits(request.prng);
    return request;
}

static uint64_t put_request(struct writer *w, const struct kvm_request *request)
{
    align(w);
    w->at -= (sizeof(*request) + 15) & ~15UL;
    memcpy(w->base + w->at, request, sizeof(*request));
    return w->at;
}

static int place_body(struct machine *m, struct placed *p, const struct request *r)
{
    struct region inbox = m->mem.layout.inbox;
    if (r->body_len == 0)
        return 0;
    if (r->body_len >= inbox.end - inbox.begin)
        return machine_fail(m, "body of %lu bytes does not fit",
                            (unsigned long)r->body_len);
    p->body = inbox.begin;
    memcpy(m->mem.base + inbox.begin, r->body, r->body_len);
    m->mem.base[inbox.begin + r->body_len] = 0;
    guest_note(&m->mem, inbox.begin, r->body_len + 1);
    return 0;
}

static void place_head(struct machine *m, struct writer *w, struct placed *p,
                       const struct request *r)
{
    p->url = put(w, r->url, r->url_len);
    p->arg = put_arg(m, w, r, &p->arg_len);
    p->type = put(w, r->content_type, r->content_type_len);
    p->method = put(w, r->method, r->method_len);
    uint64_t lines = put_lines(w, r, &p->count);
    p->headers = put_array(w, lines, p->count);
    struct kvm_api_exchange *page = machine_exchange(m);
    page->method = (char *)p->method;
    page->method_len = r->method_len;
    page->headers = (struct kvm_request_header *)p->headers;
    page->num_headers = p->count;
}

/* What the host has written above (w->at), and the exchange page. */
static void note(struct machine *m, const struct writer *w)
{
    uint64_t end = m->mem.layout.call_stack.end;
    guest_note(&m->mem, w->at, end - w->at);
    guest_note(&m->mem, KVM_API_EXCHANGE_ADDRESS, 1);
}

static void call(struct machine *m, struct writer *w, struct guest_call *c,
                 int privileged)
{
    align(w);
    c->rsp = w->at;
    c->fs_base = m->facts->fs_base;
    c->gs_base = m->facts->gs_base;
    note(m, w);
    vcpu_call(&m->vm, c, privileged);
}

/* No callback takes the request: the program goes on behind its wait. */
static int go_on(struct machine *m, struct writer *w, const struct kvm_request *request)
{
    struct guest_call c = {.function = RESUME_ADDR};
    if (paused_goes_on(m)) {
        note(m, w);
        paused_go_on(m, request);
        return 0;
    }
    if (m->is_kept)
        return machine_fail(m, "a callback has answered on a machine that is not put "
                               "back: the program cannot go on behind its wait");
    align(w);
    w->at -= sizeof(struct resume_frame);
    if (paused_resume(m, request, (struct resume_frame *)(w->base + w->at)) < 0)
        return -EPROTO;
    call(m, w, &c, 0);
    return 0;
}

static int fits(struct machine *m, const struct request *r)
{
    size_t head = r->url_len + r->headers_len + r->content_type_len + r->method_len;
    if (head > HEAD_MAX || r->url_len > UINT16_MAX || r->content_type_len > UINT16_MAX)
        return machine_fail(m, "request head of %lu bytes", (unsigned long)head);
    return 0;
}

int request_enter(struct machine *m, const struct request *r)
{
    const uint64_t *on = m->facts->callback;
    struct writer w = {m->mem.base, m->mem.layout.call_stack.end};
    struct placed p = {0};
    struct guest_call c = {0};
    if (fits(m, r) < 0 || place_body(m, &p, r) < 0)
        return -EPROTO;
    place_head(m, &w, &p, r);
    int others = on[ON_GET] || paused_waits(m);
    struct kvm_request request = make_request(m, &p, r);
    if (on[ON_REQUEST])
        c = (struct guest_call){.function = on[ON_REQUEST],
                                .arg = {put_request(&w, &request)}};
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
    call(m, &w, &c, 0);
    return 0;
}

/* The head stays where it is from the first piece to the answer. */
static int place_head_once(struct machine *m, const struct request *r, struct upload *u)
{
    struct writer w = {m->mem.base, m->mem.layout.call_stack.end};
    struct placed p = {0};
    if (u->rsp)
        return 0;
    if (fits(m, r) < 0)
        return -EPROTO;
    place_head(m, &w, &p, r);
    align(&w);
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
    call(m, &w, &c, 0);
    return 0;
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
    call(m, &w, &c, 0);
    return 0;
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
    uint64_t url = put(&w, r->url, url_len), arg = put_arg(m, &w, r, &arg_len);
    uint64_t reason = put(&w, m->reason, strlen(m->reason));
    struct guest_call c = {.function = m->facts->callback[ON_ERROR],
                           .arg = {url, arg, reason}};
    m->reason[0] = 0;
    forget_head(machine_exchange(m));
    call(m, &w, &c, 1);
    return 1;
}
