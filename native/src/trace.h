/* trace.h: each call that a program makes, told to whoever asked (struct skerry_call in
 * skerry.h). A machine that nobody watches pays for one comparison a call. */
#ifndef SKERRY_TRACE_H
#define SKERRY_TRACE_H

#include "error.h"
#include "guestmem.h"

struct trace;

/* Has the calls of a machine told on (socket), which stays the caller's; 0: nobody
 * listens, (*out) is NULL. (storage): the machine is storage. 0 or -ENOMEM. */
int trace_open(int socket, int storage, struct trace **out, struct skerry_error *err);
void trace_close(struct trace *t);

/* A call begins: what its arguments point at is noted as it is now. */
void trace_enter(struct trace *t, const struct guestmem *mem, int kind, uint64_t number,
                 const uint64_t arg[6]);

/* It has been answered; or, with (ends), the program does not go on. Waits until the
 * listener has room. */
void trace_leave(struct trace *t, const struct guestmem *mem, int64_t result, int ends);

#endif
