/* place.c: see place.h. The stack of the call is at the end of its region:
 *
 *      end   strings: url, arg, content type, method, headers; NUL-terminated
 *            array of struct kvm_request_header
 *            struct kvm_request
 *      rsp   16-byte aligned; zeros below
 */
#include "place.h"

#include <string.h>
#include <strings.h>
#include <sys/random.h>

#define HEAD_MAX (1UL << 20) /* bytes of strings and headers */

uint64_t place_text(struct writer *w, const void *src, size_t len)
{
    w->at -= len + 1;
    memcpy(w->base + w->at, src, len);
    w->base[w->at + len] = 0;
    return w->at;
}

void place_align(struct writer *w)
{
    w->at &= ~15UL;
}

/* Copies the header lines, a NUL for each line end, and returns their address. */
static uint64_t put_lines(struct writer *w, const struct request *r, uint16_t *count)
{
    uint64_t at = place_text(w, r->headers, r->headers_len);
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
    place_align(w);
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

uint64_t place_arg(const struct machine *m, struct writer *w, const struct request *r,
                   uint16_t *arg_len)
{
    const char *arg = m->facts->arg;
    size_t len = strlen(arg);
    if (m->facts->arg_header[0])
        arg = find_arg(r->headers, m->facts->arg_header, &len);
    if (len > UINT16_MAX)
        len = UINT16_MAX; /* heads are smaller than that: see place_check() */
    *arg_len = (uint16_t)len;
    return place_text(w, arg, len);
}

struct kvm_request place_describe(const struct machine *m, const struct placed *p,
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

uint64_t place_request(struct writer *w, const struct kvm_request *request)
{
    place_align(w);
    w->at -= (sizeof(*request) + 15) & ~15UL;
    memcpy(w->base + w->at, request, sizeof(*request));
    return w->at;
}

int place_body(struct machine *m, struct placed *p, const struct request *r)
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

void place_head(struct machine *m, struct writer *w, struct placed *p,
                const struct request *r)
{
    p->url = place_text(w, r->url, r->url_len);
    p->arg = place_arg(m, w, r, &p->arg_len);
    p->type = place_text(w, r->content_type, r->content_type_len);
    p->method = place_text(w, r->method, r->method_len);
    uint64_t lines = put_lines(w, r, &p->count);
    p->headers = put_array(w, lines, p->count);
    struct kvm_api_exchange *page = machine_exchange(m);
    page->method = (char *)p->method;
    page->method_len = r->method_len;
    page->headers = (struct kvm_request_header *)p->headers;
    page->num_headers = p->count;
}

void place_note(struct machine *m, const struct writer *w)
{
    uint64_t end = m->mem.layout.call_stack.end;
    guest_note(&m->mem, w->at, end - w->at);
    guest_note(&m->mem, KVM_API_EXCHANGE_ADDRESS, 1);
}

int place_check(struct machine *m, const struct request *r)
{
    size_t head = r->url_len + r->headers_len + r->content_type_len + r->method_len;
    if (head > HEAD_MAX || r->url_len > UINT16_MAX || r->content_type_len > UINT16_MAX)
        return machine_fail(m, "request head of %lu bytes", (unsigned long)head);
    return 0;
}
