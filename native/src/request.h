/* request.h: a request, as the program finds it in its memory. */
#ifndef SKERRY_REQUEST_H
#define SKERRY_REQUEST_H

#include "machine.h"

/* Tells the exchange page what kind of machine this is; once, before it boots. */
void request_describe(struct machine *m);

/* Writes (r) into the machine and prepares the call of the callback that takes it. 0,
 * or -EPROTO with the reason. */
int request_enter(struct machine *m, const struct request *r);

/* Prepares the call of on_error for a request that failed because of m->reason; the
 * reason is forgotten. Returns 0 when the program has no on_error, else 1. */
int request_enter_error(struct machine *m, const struct request *r);

#endif
