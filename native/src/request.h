/* request.h: a request, as the program finds it in its memory. */
#ifndef SKERRY_REQUEST_H
#define SKERRY_REQUEST_H

#include "machine.h"

/* Tells the exchange page what kind of machine this is; once, before it boots. */
void request_describe(struct machine *m);

/* Writes (r) into the machine and prepares the call of the callback that takes it. 0,
 * or -EPROTO with the reason. */
int request_enter(struct machine *m, const struct request *r);

/* A request whose body comes in pieces: where its head is in the guest, and how far it
 * has got. Begins as zeros. */
struct upload {
    uint64_t url, arg, type, rsp; /* rsp 0: the head is not there yet */
    uint64_t offset;              /* bytes of body that the program has taken */
    uint64_t len;                 /* of the piece that it is at */
    uint64_t left;                /* ns of the request's time */
    int in_piece;                 /* it has not returned from it */
    int whole;                    /* that piece is all there is */
};

/* Writes the next (len) bytes of body into the inbox, and prepares the call of
 * stream_post. 0, or -EPROTO with the reason. */
int request_enter_piece(struct machine *m, const struct request *r, struct upload *u,
                        const char *data, size_t len);

/* The body is over: prepares the call of what answers, post or get. 0, or -EPROTO with
 * the reason. */
int request_enter_end(struct machine *m, const struct request *r, struct upload *u);

/* Prepares the call of on_error for a request that failed because of m->reason; the
 * reason is forgotten. Returns 0 when the program has no on_error, else 1. */
int request_enter_error(struct machine *m, const struct request *r);

#endif
