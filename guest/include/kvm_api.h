/* kvm_api.h: what a program says to the host that runs it, in one header.
 *
 * Include it, register a callback in main, and wait:
 *
 *     static void on_get(const char *url, const char *arg)
 *     {
 *         backend_response_str(200, "text/plain", "Hello World!");
 *     }
 *     int main(void)
 *     {
 *         set_backend_get(on_get);
 *         wait_for_requests();
 *     }
 *
 * There is nothing to link: cc -static -O2 -I guest/include hello.c -o hello
 *
 * The machine is frozen in wait_for_requests(). Every request runs in a fresh copy of
 * the frozen machine, so a request never sees what another one left in memory. What
 * must outlive a request lives in storage (storage_call) or in shared memory
 * (SHM_ALLOC*).
 *
 *   Part 1  numbers and layouts. The host reads this part too: it defines
 *           KVM_API_LAYOUTS_ONLY before it includes this file.
 *   Part 2  the functions: calls by number, the exchange page, start-up, responses,
 *           headers, storage, shared memory, and the rest.
 *
 * "Fails the request" means: the on_error callback answers if there is one, else the
 * client gets a 500. Inside a storage function it means that the function fails, and
 * its caller gets -1. Names that begin with kvm_api_ are for this file and the host. */

/* ========================================================================
 * Part 1: numbers and layouts
 * ======================================================================== */

#ifndef KVM_API_H_LAYOUTS
#define KVM_API_H_LAYOUTS

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* --- Host calls: eax = number, out %eax, $0 ---
 * Arguments in rdi, rsi, rdx, rcx, r8, r9; the result in rax, or rdx:rax when it is two
 * words; all other registers are kept. An unknown number returns -ENOSYS. */

#define KVM_API_REGISTER_FUNC 0x10000
#define KVM_API_WAIT_FOR_REQUESTS 0x10001
#define KVM_API_WAIT_FOR_REQUESTS_PAUSED 0x10002
#define KVM_API_SET_CACHEABLE 0x10005
#define KVM_API_BACKEND_RESPONSE 0x10010
#define KVM_API_STORAGE_RETURN 0x10011
#define KVM_API_STREAMING_RESPONSE 0x10012
#define KVM_API_STORAGE_NORETURN 0x10013
#define KVM_API_HTTP_APPEND 0x10020
#define KVM_API_HTTP_SET 0x10021
#define KVM_API_HTTP_FIND 0x10022
#define KVM_API_HTTP_METHOD 0x10023
#define KVM_API_REGEX_COMPILE 0x10030
#define KVM_API_REGEX_FREE 0x10031
#define KVM_API_REGEX_MATCH 0x10032
#define KVM_API_REGEX_SUBST 0x10033
#define KVM_API_REGEX_COPYTO 0x10035
#define KVM_API_SHARED_MEMORY_AREA 0x10700
#define KVM_API_MAKE_EPHEMERAL 0x10703
#define KVM_API_IS_STORAGE 0x10706
#define KVM_API_STORAGE_ALLOW 0x10707
#define KVM_API_STORAGE_CALLV 0x10708
#define KVM_API_STORAGE_TASK 0x10709
#define KVM_API_STOP_STORAGE_TASK 0x1070A
#define KVM_API_MEMINFO 0x10A00
#define KVM_API_FETCH 0x20000
#define KVM_API_LOG 0x7F000
#define KVM_API_BREAKPOINT 0x7F7F7
#define KVM_API_IS_DEBUG 0x7FDEB

/* A callback returned. Made by the host's own trampoline, never by a program. */
#define KVM_API_RETURNED 0x7E000

/* --- Callbacks: the first argument of KVM_API_REGISTER_FUNC --- */

#define KVM_API_ON_GET 1
#define KVM_API_ON_POST 2
#define KVM_API_ON_REQUEST 3
#define KVM_API_ON_STREAM_POST 4
#define KVM_API_ON_ERROR 5
#define KVM_API_ON_LIVE_UPDATE 6
#define KVM_API_ON_LIVE_RESTORE 7

/* --- Limits --- */

#define KVM_API_MIN_STATUS 200
#define KVM_API_MAX_STATUS 599
#define KVM_API_MAX_CONTENT_TYPE 4095 /* bytes */
#define KVM_API_MAX_EXTRA_HEADERS 64  /* in BackendResponseExtra */
#define KVM_API_MIN_FIELD 4           /* bytes in a "Name: value" */
#define KVM_API_MAX_FIELD 65535
#define KVM_API_MAX_BUFFERS 64 /* of a storage call */
#define KVM_API_MAX_TASK_DATA (2u << 20)
#define KVM_API_MAX_REGEXES 64

/* --- Layouts (x86-64 System V, natural alignment) --- */

/* One header of a request, "Name: value", NUL-terminated. */
struct kvm_request_header {
    char *field;
    uint32_t field_colon; /* index of the colon: the length of the name */
    uint32_t field_len;   /* length of the whole field */
};

#define KVM_REQUEST_WARMUP 1 /* info_flags: not a client's request */

/* A request. The strings are NUL-terminated and may be written to. */
struct kvm_request {
    char *method, *url, *arg, *content_type;
    uint16_t method_len, url_len, arg_len, content_type_len;
    const uint8_t *content; /* the body; may be NULL */
    size_t content_len;
    struct kvm_request_header *headers;
    uint16_t num_headers;
    uint16_t info_flags;
    uint32_t reserved;
    uint64_t prng[2]; /* fresh random bits for every request */
    uint64_t reserved2[5];
};

/* One header of a response, "Name: value"; no NUL is needed. */
struct ResponseHeader {
    const char *field;
    size_t field_len;
};

/* What backend_response_extra adds to a response. Clear it before filling it in. */
struct BackendResponseExtra {
    const struct ResponseHeader *headers;
    uint16_t num_headers;   /* at most KVM_API_MAX_EXTRA_HEADERS */
    bool cached;            /* true: as set_cacheable(true, ttl, grace, keep) */
    float ttl, grace, keep; /* seconds */
    uint64_t reserved[4];
};

/* A piece of a streamed response, returned in rax and rdx. */
struct streaming_content {
    const void *data;
    size_t len;
};

/* A buffer given to a storage function. */
struct virtbuffer {
    const void *data;
    size_t len;
};

/* The shared memory [ptr, end), returned in rax and rdx. */
struct shared_memory_info {
    uint64_t ptr, end;
};

/* Memory, in bytes. */
struct meminfo {
    uint64_t max_memory;     /* what the program may use */
    uint64_t max_reqmem;     /* what one request may write */
    uint64_t reqmem_upper;   /* the most that a request wrote so far */
    uint64_t reqmem_current; /* what this request has written */
};

/* An outgoing request's body, and its result. It is a POST of (post_buflen) bytes at
 * (post_buffer), or without any a GET. (headers) and (content) are memory of the
 * program for (headers_length) and (content_length) bytes: it gets the answer's fields,
 * lines "Name: value\r\n", and body, and these lengths become theirs. Where (content)
 * is NULL, the host takes memory for it, as mmap would, and puts its address there;
 * without memory for the fields, or with a length of 0, only the length is told.
 * (ctype) gets the content type, its first 127 bytes and a NUL, and (ctlen) its
 * length. Nothing here changes when the fetch fails. */
struct curl_op {
    uint32_t status, post_buflen;
    const void *post_buffer;
    char *headers;
    uint32_t headers_length, unused;
    void *content;
    uint32_t content_length, ctlen;
    char ctype[128];
};

/* Header fields of an outgoing request: "Name: value" with its length; NULL: none.
 * They go with it when (unused) of its struct curl_options points here and (unused2)
 * says KVM_API_FETCH_FIELDS: curl_with_fields() sees to both. Host, Content-Length
 * and other fields that frame a message or rule the connection are refused. */
#define KVM_API_FETCH_FIELDS_MAX 12
#define KVM_API_FETCH_FIELDS 0x646c6566u /* "feld" */
struct curl_fields {
    const char *ptr[12];
    uint16_t len[12];
};

/* How an outgoing request is made. (follow_location): up to 5 redirects are followed.
 * (dummy_fetch): everything is checked, nothing is sent, and the status is 0.
 * (tcp_fast_open) changes nothing. (interface) and (dont_verify_host) are not the
 * program's to choose: a fetch that sets one of them is refused. */
struct curl_options {
    const char *interface, *unused;
    int8_t follow_location, dummy_fetch, tcp_fast_open, dont_verify_host;
    uint32_t unused2;
};

/* --- The exchange page ---
 *
 * One page that program and host share, at a fixed address. It is what makes a request
 * cost one exit: the host fills the head before every request; the program gathers
 * header operations (in storage: its result) in data[], and the host takes them with
 * the next call about headers, with the response, or when the storage function returns.
 */

#define KVM_API_EXCHANGE_ADDRESS 0x100000UL
#define KVM_API_EXCHANGE_MAGIC 0x79726b73u /* "skry" */
#define KVM_API_EXCHANGE_DATA 3968

struct kvm_api_exchange {
    /* Written by the host. */
    uint32_t magic;
    uint32_t is_storage;         /* 1 in the storage VM */
    uint64_t shm_begin, shm_end; /* shared memory; 0, 0 when there is none */
    char *method;                /* NUL-terminated; NULL when there is no request */
    uint64_t method_len;
    struct kvm_request_header *headers; /* as received */
    uint64_t num_headers;
    uint32_t request_changed; /* a call changed the request: (headers) is old */
    /* Written by the program. */
    uint32_t result_ready; /* storage: data[0..data_len) is the result */
    uint32_t data_len;     /* bytes used in data; the host sets it to 0 */
    uint32_t reserved[15]; /* fills the head to 128 bytes */
    uint8_t data[KVM_API_EXCHANGE_DATA];
};

/* A header operation in data[], at a multiple of 8; (len) bytes of text follow it. */
struct kvm_api_header_op {
    uint32_t op;    /* KVM_API_HTTP_APPEND, _SET, or KVM_API_SET_CACHEABLE */
    uint16_t where; /* 0 the request, 1 the response */
    uint16_t len;
};

#if defined(__cplusplus)
static_assert(sizeof(struct kvm_api_exchange) == 4096, "the exchange is one page");
static_assert(offsetof(struct kvm_api_exchange, data) == 128, "its head is 128 bytes");
#elif defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L
_Static_assert(sizeof(struct kvm_api_exchange) == 4096, "the exchange is one page");
_Static_assert(offsetof(struct kvm_api_exchange, data) == 128, "its head is 128 bytes");
#endif

#endif /* KVM_API_H_LAYOUTS */

/* ========================================================================
 * Part 2: the functions
 * ======================================================================== */

#if !defined(KVM_API_H_FUNCTIONS) && !defined(KVM_API_LAYOUTS_ONLY)
#define KVM_API_H_FUNCTIONS

#if !defined(__x86_64__) || !defined(__GNUC__)
#error "kvm_api.h needs gcc or clang, and an x86-64 target"
#endif

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Which headers an http_ function means. */
enum { REQ = 0, BEREQ = 0, REQUEST = 0, RESP = 1, BERESP = 1, RESPONSE = 1 };

/* A GET, or any request that no other callback takes. */
typedef void (*kvm_get_func)(const char *url, const char *arg);
/* A request with a body of (len) bytes. */
typedef void (*kvm_post_func)(const char *url, const char *arg, const char *ctype,
                              const uint8_t *data, size_t len);
/* Any request. */
typedef void (*kvm_request_func)(const struct kvm_request *request);
/* (len) bytes of a body, from (off) on. Must return (len) to go on. */
typedef long (*kvm_stream_post_func)(const char *url, const char *arg,
                                     const char *ctype, const uint8_t *data, size_t len,
                                     size_t off);
/* A request that failed; (exception) says why. */
typedef void (*kvm_error_func)(const char *url, const char *arg, const char *exception);
/* This program is about to be replaced by a new one. */
typedef void (*kvm_live_update_func)(void);
/* This program replaces one that left (len) bytes for it. */
typedef void (*kvm_live_restore_func)(size_t len);
/* The next piece, at most (max) bytes, of a response of (total) bytes of which
 * (written) are sent. */
typedef struct streaming_content (*kvm_stream_func)(void *arg, size_t max,
                                                    size_t written, size_t total);
/* A function in storage: (n) buffers came in, the caller takes (res) bytes. */
typedef void (*storage_func)(size_t n, struct virtbuffer buf[], size_t res);

/* --- Calls by number --- */

/* Any argument as the word that goes into a register. */
#define KVM_API_WORD(x) ((uint64_t)(uintptr_t)(x))
#define KVM_API_OUT "{outl %%eax, $0|out 0, eax}"

/* The two functions that leave the machine. The compiler must not look into them: it
 * would conclude that a call changes no static variable and reads none, although the
 * host may run callbacks that do. So they are never inlined and, being weak, could be
 * other functions; that also makes them one function in a program of many files. */
#if defined(__has_attribute)
#if __has_attribute(noipa)
#define KVM_API_OPAQUE __attribute__((weak, noinline, noipa))
#endif
#endif
#ifndef KVM_API_OPAQUE
#define KVM_API_OPAQUE __attribute__((weak, noinline))
#endif

long kvm_api_call6(uint32_t nr, uint64_t a, uint64_t b, uint64_t c, uint64_t d,
                   uint64_t e, uint64_t f);
uint64_t kvm_api_call_pair(uint32_t nr, uint64_t *second);

/* Makes host call (nr) with six arguments. Returns rax. */
KVM_API_OPAQUE long kvm_api_call6(uint32_t nr, uint64_t a, uint64_t b, uint64_t c,
                                  uint64_t d, uint64_t e, uint64_t f)
{
    long ret;
    register uint64_t r8 __asm__("r8") = e;
    register uint64_t r9 __asm__("r9") = f;
    __asm__ volatile(KVM_API_OUT
                     : "=a"(ret)
                     : "0"((uint64_t)nr), "D"(a), "S"(b), "d"(c), "c"(d), "r"(r8),
                       "r"(r9)
                     : "memory");
    return ret;
}

/* Makes host call (nr) without arguments. Returns rax, and rdx in (*second). */
KVM_API_OPAQUE uint64_t kvm_api_call_pair(uint32_t nr, uint64_t *second)
{
    uint64_t first;
    __asm__ volatile(KVM_API_OUT
                     : "=a"(first), "=d"(*second)
                     : "0"((uint64_t)nr)
                     : "memory");
    return first;
}

/* Makes host call (nr) with up to four arguments. Returns rax. */
static inline long kvm_api_call(uint32_t nr, uint64_t a, uint64_t b, uint64_t c,
                                uint64_t d)
{
    return kvm_api_call6(nr, a, b, c, d, 0, 0);
}

/* --- The exchange page --- */

/* The exchange page, or NULL when the host did not set one up (or the program wrote
 * over it): then every function makes its call by number. The asm hides the number from
 * the compiler, which takes a constant address for a mistake. */
static inline struct kvm_api_exchange *kvm_api_page(void)
{
    struct kvm_api_exchange *page;
    __asm__("" : "=r"(page) : "0"(KVM_API_EXCHANGE_ADDRESS));
    return page->magic == KVM_API_EXCHANGE_MAGIC ? page : NULL;
}

/* The page while a request is answered; NULL at start-up and in storage, where HTTP
 * calls are made by number, and refused by the host. */
static inline struct kvm_api_exchange *kvm_api_request_page(void)
{
    struct kvm_api_exchange *page = kvm_api_page();
    return page != NULL && page->method != NULL && !page->is_storage ? page : NULL;
}

/* The page in storage, NULL in a request. */
static inline struct kvm_api_exchange *kvm_api_storage_page(void)
{
    struct kvm_api_exchange *page = kvm_api_page();
    return page != NULL && page->is_storage ? page : NULL;
}

/* Adds operation (op) on the response, with (len) bytes of (text), to what the page
 * gathers. Returns whether it fitted. (data_len) is read once: it stays rounded up to
 * 8, so that the next operation is aligned. */
static inline bool kvm_api_gather(uint32_t op, const char *text, size_t len)
{
    struct kvm_api_exchange *page = kvm_api_request_page();
    if (page == NULL || len == 0 || len > KVM_API_EXCHANGE_DATA)
        return false;
    const struct kvm_api_header_op head = {op, 1, (uint16_t)len};
    const size_t used = *(volatile uint32_t *)&page->data_len;
    const size_t need = (sizeof(head) + len + 7) & ~(size_t)7;
    if (used % 8 != 0 || used > sizeof(page->data) || need > sizeof(page->data) - used)
        return false;
    memcpy(page->data + used, &head, sizeof(head));
    memcpy(page->data + used + sizeof(head), text, len);
    page->data_len = (uint32_t)(used + need);
    return true;
}

/* Whether (n) bytes of (a) and (b) are the same header name. */
static inline bool kvm_api_same_name(const char *a, const char *b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const char x = a[i] >= 'A' && a[i] <= 'Z' ? (char)(a[i] + 32) : a[i];
        const char y = b[i] >= 'A' && b[i] <= 'Z' ? (char)(b[i] + 32) : b[i];
        if (x != y)
            return false;
    }
    return true;
}

/* The first of the request's headers as received whose name is (key), or NULL. */
static inline const struct kvm_request_header *
kvm_api_received(const struct kvm_api_exchange *page, const char *key, size_t klen)
{
    for (uint64_t i = 0; i < page->num_headers; i++) {
        const struct kvm_request_header *header = &page->headers[i];
        if (header->field_colon == klen && kvm_api_same_name(header->field, key, klen))
            return header;
    }
    return NULL;
}

/* Copies (len) bytes, without a NUL, to (out) of (outl) bytes. Returns (len), or 0 when
 * (out) is too small. With (out) NULL it only returns the length. */
static inline long kvm_api_give(const char *text, size_t len, void *out, size_t outl)
{
    if (out != NULL && len > outl)
        return 0;
    if (out != NULL && len > 0)
        memcpy(out, text, len);
    return (long)len;
}

/* --- Formatted text: 1 KB on the stack, more when it takes more; never the heap --- */

/* What takes a formatted text: http_append, http_set, or the log. */
typedef long (*kvm_api_sink)(int where, const char *text, size_t len);

/* A text of (len) bytes that is too long for the small buffer. It is cut to one byte
 * more than a header field may have, so that the host refuses what is too long. */
__attribute__((format(printf, 4, 0))) static inline long
kvm_api_format_large(kvm_api_sink sink, int where, size_t len, const char *format,
                     va_list args)
{
    const size_t limit = len <= KVM_API_MAX_FIELD ? len : KVM_API_MAX_FIELD + 1;
    char *text = (char *)__builtin_alloca(limit + 1);
    vsnprintf(text, limit + 1, format, args);
    return sink(where, text, limit);
}

/* Formats and hands the text to (sink). Returns what it returns; -1 if the format or an
 * argument cannot be printed. */
__attribute__((format(printf, 3, 0))) static inline long
kvm_api_format(kvm_api_sink sink, int where, const char *format, va_list args)
{
    char text[1024];
    va_list again;
    va_copy(again, args);
    const int len = vsnprintf(text, sizeof(text), format, args);
    long ret = -1;
    if (len >= 0 && (size_t)len < sizeof(text))
        ret = sink(where, text, (size_t)len);
    else if (len >= 0)
        ret = kvm_api_format_large(sink, where, (size_t)len, format, again);
    va_end(again);
    return ret;
}

/* --- Start-up: register callbacks, then wait ---
 *
 * A request goes to the request callback if there is one; else one with a body goes to
 * stream_post or post, whatever its method; else to get; else the program continues
 * after wait_for_requests_paused. Callbacks can be registered before the wait only:
 * registering later, or a pointer outside the program, fails. */

/* Registers callback (fn) as number (idx), KVM_API_ON_*. Prefer the typed set_
 * functions. Returns 0, or negative. */
static inline long register_func(int idx, void (*fn)(void))
{
    return kvm_api_call(KVM_API_REGISTER_FUNC, KVM_API_WORD(idx), KVM_API_WORD(fn), 0,
                        0);
}

/* (fn) answers requests without a body. */
static inline void set_backend_get(kvm_get_func fn)
{
    register_func(KVM_API_ON_GET, (void (*)(void))fn);
}

/* (fn) answers requests that have a body. */
static inline void set_backend_post(kvm_post_func fn)
{
    register_func(KVM_API_ON_POST, (void (*)(void))fn);
}

/* (fn) answers all requests, and wins over get and post. */
static inline void set_backend_request(kvm_request_func fn)
{
    register_func(KVM_API_ON_REQUEST, (void (*)(void))fn);
}

/* (fn) gets a body piece by piece, while it arrives. It wins over post; returning
 * anything but the piece's length fails the request. */
static inline void set_backend_stream_post(kvm_stream_post_func fn)
{
    register_func(KVM_API_ON_STREAM_POST, (void (*)(void))fn);
}

/* (fn) answers, within a second, a request that failed. */
static inline void set_on_error(kvm_error_func fn)
{
    register_func(KVM_API_ON_ERROR, (void (*)(void))fn);
}

/* (fn) runs in the old program at a live update, and hands over what the new one is to
 * know with storage_return(data, len). */
static inline void set_on_live_update(kvm_live_update_func fn)
{
    register_func(KVM_API_ON_LIVE_UPDATE, (void (*)(void))fn);
}

/* (fn) runs in the new program at a live update; it is told how many bytes the old one
 * handed over, and names a buffer for them with storage_return(buffer, len). */
static inline void set_on_live_restore(kvm_live_restore_func fn)
{
    register_func(KVM_API_ON_LIVE_RESTORE, (void (*)(void))fn);
}

/* Ends start-up: the machine is frozen here and answers requests from now on. Must come
 * within the boot time (16 s). Never returns, so main may end with it. */
__attribute__((noreturn)) static inline void wait_for_requests(void)
{
    for (;;)
        kvm_api_call(KVM_API_WAIT_FOR_REQUESTS, 0, 0, 0, 0);
}

/* Ends start-up like wait_for_requests, but the program continues here for every
 * request, with (*request) filled in. It is used when no callback takes the request. */
static inline void wait_for_requests_paused(struct kvm_request *request)
{
    kvm_api_call(KVM_API_WAIT_FOR_REQUESTS_PAUSED, KVM_API_WORD(request), 0, 0, 0);
}

/* True in the sandbox, where argv[0] is the program's bare name; (argv) must be in
 * scope. A program can so be a command-line tool as well. */
#define IS_SANDBOXED_MAIN() (strchr(argv[0], '/') == NULL)
/* True when started as an ordinary Linux process. Then no host function may be used. */
#define IS_LINUX_MAIN() (!IS_SANDBOXED_MAIN())

/* --- Responses ---
 *
 * A response ends the request: these do not come back. A callback that returns without
 * responding fails the request. */

/* Responds with status (200..599), content type of (ctlen < 4096) bytes, body of (len)
 * bytes (NULL, 0 is an empty one) and (extra), which may be NULL. Anything out of range
 * or unreadable, and more than 64 extra headers, fails the request. */
static inline void sys_backend_response(int16_t status, const void *ctype, size_t ctlen,
                                        const void *body, size_t len,
                                        const struct BackendResponseExtra *extra)
{
    kvm_api_call6(KVM_API_BACKEND_RESPONSE, KVM_API_WORD(status), KVM_API_WORD(ctype),
                  ctlen, KVM_API_WORD(body), len, KVM_API_WORD(extra));
}

/* Responds. See sys_backend_response for the limits. */
static inline void backend_response(int16_t status, const void *ctype, size_t ctlen,
                                    const void *body, size_t len)
{
    sys_backend_response(status, ctype, ctlen, body, len, NULL);
}

/* Responds with two strings: a content type and a body. */
static inline void backend_response_str(int16_t status, const char *ctype,
                                        const char *body)
{
    sys_backend_response(status, ctype, strlen(ctype), body, strlen(body), NULL);
}

/* Responds with more headers and with caching times. */
static inline void backend_response_extra(int16_t status, const void *ctype,
                                          size_t ctlen, const void *body, size_t len,
                                          const struct BackendResponseExtra *extra)
{
    sys_backend_response(status, ctype, ctlen, body, len, extra);
}

/* Responds with a body of (content_length) bytes that the host fetches from (fn), which
 * has 2 s for each piece; a piece of 0 bytes fails the response. With a
 * (content_length) of -1 such a piece is its end. */
static inline void begin_streaming_response(int16_t status, const void *ctype,
                                            size_t ctlen, size_t content_length,
                                            kvm_stream_func fn, void *arg)
{
    kvm_api_call6(KVM_API_STREAMING_RESPONSE, KVM_API_WORD(status), KVM_API_WORD(ctype),
                  ctlen, content_length, KVM_API_WORD(fn), KVM_API_WORD(arg));
}

/* Seconds as whole milliseconds; negative and not-a-number are 0. */
static inline uint64_t kvm_api_ms(float seconds)
{
    if (!(seconds > 0))
        return 0;
    return seconds < 1e12f ? (uint64_t)((double)seconds * 1000.0) : (uint64_t)1e15;
}

/* Says whether the response may be cached, and for how many milliseconds: it is fresh
 * for (ttl), may be given for (grace) more while a new one is fetched, and for (keep)
 * more than (ttl) when fetching one fails. That is a Cache-Control field of whole
 * seconds, "public, max-age=TTL, stale-while-revalidate=GRACE, stale-if-error=KEEP" or
 * "no-store"; one that the program sets itself wins. What is said last counts. */
static inline void sys_set_cacheable(bool cacheable, uint64_t ttl_ms, uint64_t grace_ms,
                                     uint64_t keep_ms)
{
    kvm_api_call(KVM_API_SET_CACHEABLE, cacheable, ttl_ms, grace_ms, keep_ms);
}

/* The same in seconds, without an exit where there is an exchange page. */
static inline void set_cacheable(bool cacheable, float ttl, float grace, float keep)
{
    const uint64_t said[4] = {cacheable, kvm_api_ms(ttl), kvm_api_ms(grace),
                              kvm_api_ms(keep)};
    if (!kvm_api_gather(KVM_API_SET_CACHEABLE, (const char *)said, sizeof(said)))
        sys_set_cacheable(cacheable, said[1], said[2], said[3]);
}

/* --- Headers ---
 *
 * (where) is REQUEST or RESPONSE. A field is "Name: value", 4 to 65535 bytes, the colon
 * not first and with a space after it, no space at either end; another one fails the
 * request. In storage all of these fail.
 *
 * The sys_ functions call the host. Those without it do the same, but answer from the
 * exchange page when they can, which costs no exit. A field that is wrong is then found
 * when the page is read: at the next exit, not in the call. */

/* Adds a field. Returns (len). */
static inline long sys_http_append(int where, const char *field, size_t len)
{
    return kvm_api_call(KVM_API_HTTP_APPEND, KVM_API_WORD(where), KVM_API_WORD(field),
                        len, 0);
}

/* Replaces a field by its name; text without a colon removes the field of that name.
 * Returns (len); does nothing for 0. */
static inline long sys_http_set(int where, const char *field, size_t len)
{
    return kvm_api_call(KVM_API_HTTP_SET, KVM_API_WORD(where), KVM_API_WORD(field), len,
                        0);
}

/* Finds a field by its name (key, in any case). Returns the length of the whole
 * "Name: value" and copies it, without a NUL, to (out) of (outl) bytes; (out) NULL: the
 * length only. Returns 0 if there is none, or (out) is too small. */
static inline long sys_http_find(int where, const char *key, size_t klen, void *out,
                                 size_t outl)
{
    return kvm_api_call6(KVM_API_HTTP_FIND, KVM_API_WORD(where), KVM_API_WORD(key),
                         klen, KVM_API_WORD(out), outl, 0);
}

/* Copies the request's method, without a NUL. Returns its length; 0 if (out) is too
 * small. (out) NULL: the length only. */
static inline long sys_http_method(void *out, size_t outl)
{
    return kvm_api_call(KVM_API_HTTP_METHOD, KVM_API_WORD(out), outl, 0, 0);
}

/* Adds a field of (len) bytes. Returns (len). */
static inline long http_append(int where, const char *field, size_t len)
{
    if (where == RESPONSE && kvm_api_gather(KVM_API_HTTP_APPEND, field, len))
        return (long)len;
    return sys_http_append(where, field, len);
}

/* Adds a field given as a string. Returns its length. */
static inline long http_append_str(int where, const char *field)
{
    return http_append(where, field, strlen(field));
}

/* Adds a field given as for printf. Returns its length. */
__attribute__((format(printf, 2, 3))) static inline long
http_appendf(int where, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const long ret = kvm_api_format(http_append, where, format, args);
    va_end(args);
    return ret;
}

/* Replaces a field of (len) bytes by its name; without a colon: removes it. Returns
 * (len). */
static inline long http_set(int where, const char *field, size_t len)
{
    if (where == RESPONSE && kvm_api_gather(KVM_API_HTTP_SET, field, len))
        return (long)len;
    return sys_http_set(where, field, len);
}

/* Replaces a field, given as a string, by its name. Returns its length. */
static inline long http_set_str(int where, const char *field)
{
    return http_set(where, field, strlen(field));
}

/* Replaces a field, given as for printf, by its name. Returns its length. */
__attribute__((format(printf, 2, 3))) static inline long
http_setf(int where, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const long ret = kvm_api_format(http_set, where, format, args);
    va_end(args);
    return ret;
}

/* Removes the field whose name is the (len) bytes at (name). Returns (len). */
static inline long http_unset(int where, const char *name, size_t len)
{
    return http_set(where, name, len);
}

/* Removes the field of that name, a string. Returns the name's length. */
static inline long http_unset_str(int where, const char *name)
{
    return http_set(where, name, strlen(name));
}

/* Finds a field by its name (key, in any case). Returns the length of the whole
 * "Name: value" and copies it, without a NUL, to (out) of (outl) bytes; (out) NULL: the
 * length only. Returns 0 if there is none, or (out) is too small. */
static inline long http_find(int where, const char *key, size_t klen, void *out,
                             size_t outl)
{
    const struct kvm_api_exchange *page = kvm_api_request_page();
    if (where != REQUEST || page == NULL || page->request_changed)
        return sys_http_find(where, key, klen, out, outl);
    const struct kvm_request_header *header = kvm_api_received(page, key, klen);
    if (header == NULL)
        return 0;
    return kvm_api_give(header->field, header->field_len, out, outl);
}

/* http_find with the name as a string. */
static inline long http_find_str(int where, const char *key, void *out, size_t outl)
{
    return http_find(where, key, strlen(key), out, outl);
}

/* The length of the whole field of that name, 0 if there is none. */
static inline long http_find_strlen(int where, const char *key)
{
    return http_find(where, key, strlen(key), NULL, 0);
}

/* The whole "Name: value" as a string of its own, which the caller frees; NULL if there
 * is none, or no memory. */
static inline char *http_alloc_find(int where, const char *key)
{
    const long len = http_find_strlen(where, key);
    char *field = len > 0 ? (char *)malloc((size_t)len + 1) : NULL;
    if (field != NULL)
        field[http_find_str(where, key, field, (size_t)len)] = '\0';
    return field;
}

/* Copies the request's method, without a NUL. Returns its length; 0 if (out) is too
 * small. (out) NULL: the length only. */
static inline long http_method(void *out, size_t outl)
{
    const struct kvm_api_exchange *page = kvm_api_request_page();
    if (page == NULL)
        return sys_http_method(out, outl);
    return kvm_api_give(page->method, page->method_len, out, outl);
}

/* The request's method as a string of its own, which the caller frees; NULL if there is
 * none, or no memory. */
static inline char *http_alloc_method(void)
{
    const long len = http_method(NULL, 0);
    char *method = len > 0 ? (char *)malloc((size_t)len + 1) : NULL;
    if (method != NULL)
        method[http_method(method, (size_t)len)] = '\0';
    return method;
}

/* --- Storage: the same program in a machine that remembers ---
 *
 * With "storage": true in the configuration, main runs in two machines, in storage
 * first. A request calls a function in storage by its address; one call at a time runs
 * there. */

/* 1 in the storage VM, 0 in a request VM; asks the host. */
static inline int sys_is_storage(void)
{
    return (int)kvm_api_call(KVM_API_IS_STORAGE, 0, 0, 0, 0);
}

/* The same from the exchange page. */
static inline bool kvm_api_is_storage(void)
{
    const struct kvm_api_exchange *page = kvm_api_page();
    return page != NULL ? page->is_storage != 0 : sys_is_storage() != 0;
}

/* True in the storage VM. */
#define IS_STORAGE() kvm_api_is_storage()

/* Puts (fn) on the list of functions that requests may call. With an empty list all may
 * be called. Start-up only; nothing happens in a request VM. */
static inline void sys_storage_allow(storage_func fn)
{
    kvm_api_call(KVM_API_STORAGE_ALLOW, KVM_API_WORD(fn), 0, 0, 0);
}

/* sys_storage_allow for a function of any type. */
#define STORAGE_ALLOW(fn) sys_storage_allow((storage_func)(void (*)(void))(fn))

/* Calls (fn) in storage with (n <= 64) buffers, which it sees as copies, and waits for
 * it. Returns the bytes of its result, of which at most (dstlen) are copied to (dst);
 * with (dst) NULL, its length. Returns -1 if there are more than 64 buffers, if it is
 * called from storage, or if (fn) crashed, ran out of time (10 s) or did not return a
 * result. Storage that is not configured, an unreadable buffer, and a function that is
 * not allowed fail the request. */
static inline long sys_storage_callv(storage_func fn, size_t n,
                                     const struct virtbuffer buf[], void *dst,
                                     size_t dstlen)
{
    return kvm_api_call6(KVM_API_STORAGE_CALLV, KVM_API_WORD(fn), n, KVM_API_WORD(buf),
                         KVM_API_WORD(dst), dstlen, 0);
}

/* sys_storage_callv under its usual name. */
static inline long storage_callv(storage_func fn, size_t n,
                                 const struct virtbuffer buf[], void *dst,
                                 size_t dstlen)
{
    return sys_storage_callv(fn, n, buf, dst, dstlen);
}

/* storage_callv with one buffer, (srclen) bytes at (src); NULL, 0 is an empty one. */
static inline long storage_call(storage_func fn, const void *src, size_t srclen,
                                void *dst, size_t dstlen)
{
    const struct virtbuffer buf = {src, srclen};
    return sys_storage_callv(fn, 1, &buf, dst, dstlen);
}

/* Runs (fn) in storage in (start_ms), and every (period_ms) after it if that is not 0.
 * It gets a copy of the (len <= 2 MB) bytes at (data) as its one buffer. Returns the
 * timer's id if it is periodic, else 0; negative if it cannot be done. */
static inline long sys_storage_task(storage_func fn, const void *data, size_t len,
                                    uint64_t start_ms, uint64_t period_ms)
{
    return kvm_api_call6(KVM_API_STORAGE_TASK, KVM_API_WORD(fn), KVM_API_WORD(data),
                         len, start_ms, period_ms, 0);
}

/* Runs (fn) in storage as soon as it is free, without waiting for it. */
static inline long storage_task(storage_func fn, const void *data, size_t len)
{
    return sys_storage_task(fn, data, len, 0, 0);
}

/* sys_storage_task with times in seconds. */
static inline long schedule_storage_task(storage_func fn, const void *data, size_t len,
                                         float start, float period)
{
    return sys_storage_task(fn, data, len, kvm_api_ms(start), kvm_api_ms(period));
}

/* Stops the periodic task (id). Returns 0, or negative if there is none. */
static inline long sys_stop_storage_task(long id)
{
    return kvm_api_call(KVM_API_STOP_STORAGE_TASK, KVM_API_WORD(id), 0, 0, 0);
}

/* sys_stop_storage_task under its usual name. */
static inline long stop_storage_task(long id)
{
    return sys_stop_storage_task(id);
}

/* Gives the caller of this storage function (len) bytes at (data), which are copied at
 * once. Call it once. The function may then go on, for 1 s, to clean up. What fits
 * the exchange page is delivered with the exit that ends the function. */
static inline void storage_return(const void *data, size_t len)
{
    struct kvm_api_exchange *page = kvm_api_storage_page();
    if (page == NULL || len > sizeof(page->data)) {
        kvm_api_call(KVM_API_STORAGE_RETURN, KVM_API_WORD(data), len, 0, 0);
        return;
    }
    if (len > 0)
        memcpy(page->data, data, len);
    page->data_len = (uint32_t)len;
    page->result_ready = 1;
}

/* Gives the caller a result of 0 bytes. */
static inline void storage_return_nothing(void)
{
    storage_return(NULL, 0);
}

/* Gives the caller (len) bytes at (data), and ends the storage function here. */
__attribute__((noreturn)) static inline void storage_noreturn(const void *data,
                                                              size_t len)
{
    for (;;)
        kvm_api_call(KVM_API_STORAGE_NORETURN, KVM_API_WORD(data), len, 0, 0);
}

/* --- Shared memory ---
 *
 * With "shared_memory": MB in the configuration, all requests and storage see one
 * region, at the same address. It is not put back after a request. Use atomic
 * operations.
 *
 * SHM_ALLOC* carve it up during start-up. Where the next piece begins is kept in the
 * program's own memory. The two machines of a program run the same main, so they
 * get the same addresses, as long as both make the same allocations. A request that
 * allocates gets the same piece as every other request: allocate in main only. */

/* Where shared memory is; asks the host. {0, 0} when there is none. */
static inline struct shared_memory_info sys_shared_memory_area(void)
{
    struct shared_memory_info area;
    area.ptr = kvm_api_call_pair(KVM_API_SHARED_MEMORY_AREA, &area.end);
    return area;
}

/* Where shared memory is, from the exchange page. {0, 0} when there is none. */
static inline struct shared_memory_info shared_memory_area(void)
{
    const struct kvm_api_exchange *page = kvm_api_page();
    if (page == NULL)
        return sys_shared_memory_area();
    const struct shared_memory_info area = {page->shm_begin, page->shm_end};
    return area;
}

/* Where the next piece begins; 0 before the first. Weak, so that it is one variable
 * however many files of a program include this header. */
extern uint64_t kvm_api_shm_next;
__attribute__((weak)) uint64_t kvm_api_shm_next = 0;

/* Takes (size) bytes of shared memory at a multiple of (align), a power of two. Returns
 * NULL when there is not so much left. They are zero when the host starts. */
static inline void *kvm_api_shm_alloc(size_t size, size_t align)
{
    const struct shared_memory_info area = shared_memory_area();
    uint64_t at = kvm_api_shm_next != 0 ? kvm_api_shm_next : area.ptr;
    at = (at + align - 1) & ~(uint64_t)(align - 1);
    if (at > area.end || size > area.end - at)
        return NULL;
    kvm_api_shm_next = at + size;
    return (void *)(uintptr_t)at;
}

/* Takes (n) bytes, at a multiple of 16. NULL when there is not so much left. */
#define SHM_ALLOC_BYTES(n) kvm_api_shm_alloc((n), 16)
/* The same under a shorter name. */
#define SHM_ALLOC(n) SHM_ALLOC_BYTES(n)

/* Takes room for one object and returns a pointer of its type. The argument is a type
 * or an expression, which is not evaluated: int *n = SHM_ALLOC_TYPE(*n); */
#ifdef __cplusplus
#define SHM_ALLOC_TYPE(...)                                                            \
    static_cast<kvm_api_object<__typeof__(__VA_ARGS__)>::type *>(                      \
        kvm_api_shm_alloc(sizeof(__VA_ARGS__), __alignof__(__typeof__(__VA_ARGS__))))
#else
#define SHM_ALLOC_TYPE(...)                                                            \
    ((__typeof__(__VA_ARGS__) *)kvm_api_shm_alloc(                                     \
        sizeof(__VA_ARGS__), __alignof__(__typeof__(__VA_ARGS__))))
#endif

/* --- Regular expressions (PCRE2, on bytes) ---
 *
 * Handles made at start-up work in every request. What a request makes or frees is as
 * before when it ends, and so with a storage call. At most 64 at a time, of at most
 * 4096 bytes each; at start-up 64 KB of them. A match that would take too many steps is
 * none, and texts of more than 4 MB, or strings of more than 1 MB, are refused. Memory
 * that cannot be read or written fails the request. */

/* Compiles the (len) bytes at (pattern). Returns a handle, 1 or more, or negative; at
 * start-up the log says why. */
static inline long sys_regex_compile(const char *pattern, size_t len)
{
    return kvm_api_call(KVM_API_REGEX_COMPILE, KVM_API_WORD(pattern), len, 0, 0);
}

/* Frees (handle). Returns 0, or negative if there is none. */
static inline long sys_regex_free(long handle)
{
    return kvm_api_call(KVM_API_REGEX_FREE, KVM_API_WORD(handle), 0, 0, 0);
}

/* Returns 0 or more if there is a match in the (len) bytes at (text), else negative. */
static inline long sys_regex_match(long handle, const char *text, size_t len)
{
    return kvm_api_call(KVM_API_REGEX_MATCH, KVM_API_WORD(handle), KVM_API_WORD(text),
                        len, 0);
}

/* Replaces the first match (flags 1: all) in the string (text) by the string (subst),
 * and writes the result, with a NUL, to (dst) of (dstlen) bytes. Returns its length,
 * the NUL included, or -1. In (subst) \0 or \& is the match, \1 to \9 are its groups,
 * and two backslashes are one. */
static inline long sys_regex_subst(long handle, const char *text, const char *subst,
                                   char *dst, size_t dstlen, unsigned flags)
{
    return kvm_api_call6(KVM_API_REGEX_SUBST, KVM_API_WORD(handle), KVM_API_WORD(text),
                         KVM_API_WORD(subst), KVM_API_WORD(dst), dstlen, flags);
}

/* Copies the headers whose "Name: value" matches from (src) to (dst), one of them
 * REQUEST and the other RESPONSE, and leaves out what http_append would refuse. Returns
 * how many, or negative. In storage it fails like the other calls about headers. */
static inline long sys_regex_copyto(long handle, int src, int dst)
{
    return kvm_api_call(KVM_API_REGEX_COPYTO, KVM_API_WORD(handle), KVM_API_WORD(src),
                        KVM_API_WORD(dst), 0);
}

/* --- Outgoing HTTP --- */

/* Has a fetch with (options) send (fields) too. Both must live until it is over. */
static inline void curl_with_fields(struct curl_options *options,
                                    const struct curl_fields *fields)
{
    options->unused = (const char *)fields;
    options->unused2 = KVM_API_FETCH_FIELDS;
}

/* Fetches (url) of (len) bytes; one that is only a path ("/other?x=1") means this host,
 * any other is "http://..." or "https://...". (options) may be NULL. What (*result)
 * asks to be posted is sent, and the answer, whatever its status, is put into it. The
 * program stands still meanwhile, which does not count for its request's time; a fetch
 * may take 8 seconds, and a request may make 32. Returns 0, or negative (errno.h):
 *
 *   -EACCES        the configuration's allowed_hosts does not allow it, or an option
 *   -EINVAL        a malformed URL or field
 *   -EFAULT        memory that the program cannot read or write
 *   -EAGAIN        start-up, a warm-up request, or a function that makes pieces of a
 *                  response; or the host cannot fetch just now
 *   -EDQUOT        more than 32 fetches in one request
 *   -ETIMEDOUT     no connection after 5 seconds, or no whole answer after 8
 *   -ECONNREFUSED  nobody listens there
 *   -EHOSTUNREACH  there is no such host, or no way to it
 *   -ECONNRESET    the connection broke off
 *   -EPROTO        not HTTP, or a certificate that does not hold
 *   -ELOOP         more than 5 redirects, with follow_location
 *   -EMSGSIZE      the answer is larger than the memory for it
 *   -EFBIG         it, or what is to be posted, is larger than 16 MiB
 *   -ENOMEM        the host has no memory for it
 *
 * A program on this host that fetches from this host, and so on, gets a response with
 * status 508 at depth 8. In storage, which all requests wait for, a fetch fails the
 * function. */
static inline long sys_fetch(const char *url, size_t len,
                             const struct curl_options *options, struct curl_op *result)
{
    return kvm_api_call(KVM_API_FETCH, KVM_API_WORD(url), len, KVM_API_WORD(options),
                        KVM_API_WORD(result));
}

/* --- The log, memory, and the rest --- */

/* Writes (len) bytes of text to the host's log, behind the program's name. */
static inline void sys_log(const char *text, size_t len)
{
    kvm_api_call(KVM_API_LOG, KVM_API_WORD(text), len, 0, 0);
}

static inline long kvm_api_log_sink(int where, const char *text, size_t len)
{
    (void)where;
    sys_log(text, len);
    return (long)len;
}

/* Writes a text given as for printf to the host's log; at most 64 KB of it. */
__attribute__((format(printf, 1, 2))) static inline void vlogf(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    kvm_api_format(kvm_api_log_sink, 0, format, args);
    va_end(args);
}

/* Fills in (len) bytes of (*info). Returns how many it filled in, or negative. */
static inline long sys_meminfo(struct meminfo *info, size_t len)
{
    return kvm_api_call(KVM_API_MEMINFO, KVM_API_WORD(info), len, 0, 0);
}

/* How much memory there is and how much is used; all 0 if the host does not say. */
static inline struct meminfo get_meminfo(void)
{
    struct meminfo info;
    memset(&info, 0, sizeof(info));
    sys_meminfo(&info, sizeof(info));
    return info;
}

/* Says whether this machine is put back after a request. Only with "control_ephemeral"
 * in the configuration. Returns what it was, or negative. */
static inline long sys_make_ephemeral(bool ephemeral)
{
    return kvm_api_call(KVM_API_MAKE_EPHEMERAL, ephemeral, 0, 0, 0);
}

/* 1 if this program runs for debugging (KVM_DEBUG=1), else 0. */
static inline int sys_is_debug(void)
{
    return (int)kvm_api_call(KVM_API_IS_DEBUG, 0, 0, 0, 0);
}

/* With "allow_debug" in the configuration, logs where the program is, and its
 * registers. Then it goes on. */
static inline void sys_breakpoint(void)
{
    kvm_api_call(KVM_API_BREAKPOINT, 0, 0, 0, 0);
}

#ifdef __cplusplus
} /* extern "C" */

/* The object type behind a type or an expression: without a reference. */
template <typename T> struct kvm_api_object {
    typedef T type;
};
template <typename T> struct kvm_api_object<T &> {
    typedef T type;
};
template <typename T> struct kvm_api_object<T &&> {
    typedef T type;
};
#define KVM_API_EXTERN extern "C"
#else
#define KVM_API_EXTERN extern
#endif

/* Puts the file (filename), a string, into the program: (name) is its bytes, with a NUL
 * behind them that is not counted, and (name_size) their number. At file level, in one
 * file of the program. The compiler looks for the file where it looks for .incbin: in
 * the current directory and along -I. */
/* clang-format off */
#define EMBED_BINARY(name, filename)                                                 \
    __asm__(".pushsection .rodata\n"                                                 \
            ".balign 16\n"                                                           \
            ".globl " #name "\n"                                                     \
            ".type " #name ", @object\n"                                             \
            #name ":\n"                                                              \
            ".incbin \"" filename "\"\n"                                             \
            #name "_end:\n"                                                          \
            ".size " #name ", . - " #name "\n"                                       \
            ".byte 0\n"                                                              \
            ".balign 8\n"                                                            \
            ".globl " #name "_size\n"                                                \
            ".type " #name "_size, @object\n"                                        \
            ".size " #name "_size, 8\n"                                              \
            #name "_size:\n"                                                         \
            ".quad " #name "_end - " #name "\n"                                      \
            ".popsection\n");                                                        \
    KVM_API_EXTERN const char name[];                                                \
    KVM_API_EXTERN const size_t name##_size;
/* clang-format on */

#endif /* KVM_API_H_FUNCTIONS */
