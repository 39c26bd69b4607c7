/* place.h: the bytes of a request, written where the program finds them. */
#ifndef SKERRY_PLACE_H
#define SKERRY_PLACE_H

#include "machine.h"

/* Writes downwards from the end of the call stack: it is the host's until the call. */
struct writer {
    uint8_t *base;
    uint64_t at;
};

/* Guest addresses of what has been written. */
struct placed {
    uint64_t url, arg, type, method, headers, body;
    uint16_t count, arg_len;
};

/* 0, or -EPROTO when the head of (r) is larger than any server's. */
int place_check(struct machine *m, const struct request *r);

/* Writes (len) bytes of (src), and a NUL. Returns the guest address. */
uint64_t place_text(struct writer *w, const void *src, size_t len);

/* Writes what the program gets as arg of (r); its length goes to (arg_len). */
uint64_t place_arg(const struct machine *m, struct writer *w, const struct request *r,
                   uint16_t *arg_len);

/* Writes all strings and headers of (r). */
void place_head(struct machine *m, struct writer *w, struct placed *p,
                const struct request *r);

/* Writes the body of (r) into the inbox. 0, or -EPROTO when it does not fit. */
int place_body(struct machine *m, struct placed *p, const struct request *r);

/* (r), which is where (p) says, as on_request gets it; and writes that. */
struct kvm_request place_describe(const struct machine *m, const struct placed *p,
                                  const struct request *r);
uint64_t place_request(struct writer *w, const struct kvm_request *request);

/* What is written next is aligned as a stack is. */
void place_align(struct writer *w);

/* Puts what has been written above (w->at), and the exchange page, on the machine's
 * list. */
void place_note(struct machine *m, const struct writer *w);

#endif
