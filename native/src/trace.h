/* trace.h: each call that a program makes, told to whoever asked (struct skerry_call in
 * skerry.h). A machine that nobody watches pays for one comparison a call.
 *
 * Of each thread one call can be open: it has been made, and has no answer yet. */
#ifndef SKERRY_TRACE_H
#define SKERRY_TRACE_H

#include "error.h"
#include "guestmem.h"

struct trace;

/* Has the calls of a machine told on (socket), which stays the caller's; 0: nobody
 * listens, (*out) is NULL. (storage): the machine is storage. 0 or -ENOMEM. */
int trace_open(int socket, int storage, struct trace **out, struct skerry_error *err);
void trace_close(struct trace *t);

/* A call of thread (tid) begins: what its arguments point at is noted as it is now. One
 * that there is no memory for is not told. */
void trace_enter(struct trace *t, const struct guestmem *mem, uint32_t tid, int kind,
                 uint64_t number, const uint64_t arg[6]);

/* The open call of (tid), if there is one, has been answered; or, with (ends), the
 * thread does not go on behind it. Waits until the listener has room. */
void trace_leave(struct trace *t, const struct guestmem *mem, uint32_t tid,
                 int64_t result, int ends);

/* No open call will be answered. */
void trace_leave_all(struct trace *t, const struct guestmem *mem);

#endif
