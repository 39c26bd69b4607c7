/* hostcall.h: the guest API, call by call, from one table. */
#ifndef SKERRY_HOSTCALL_H
#define SKERRY_HOSTCALL_H

#include "run.h"

#define GO_ON (-1) /* not a stop: enter the guest again */

#define REQUEST_SIDE 0 /* whose headers a call is about */
#define RESPONSE_SIDE 1

/* A host call: arguments in, results out. */
struct host_call {
    struct machine *m;
    uint64_t arg[6];
    uint64_t rdx; /* second word of the result; starts as what it was */
    int stop;     /* GO_ON, or an enum stop that a handler has chosen */
};

/* Argument (n) of a call that takes an int or a bool there: what is above its size is
 * not the caller's to set (System V ABI, 3.2.3). */
static inline uint32_t int_argument(const struct host_call *c, int n)
{
    return (uint32_t)c->arg[n];
}

static inline int bool_argument(const struct host_call *c, int n)
{
    return (uint8_t)c->arg[n] != 0;
}

/* Answers the host call that (m) has just made. Returns GO_ON or an enum stop. */
int hostcall(struct machine *m);

/* Applies the header operations that the program has gathered in its exchange page.
 * 0, or -EPROTO when one of them fails the request. */
int hostcall_gathered(struct machine *m);

/* The fields of a side (0 the request, 1 the response), with all that the program has
 * done to them, for the call (what); NULL when that fails the request. */
struct fields *hostcall_fields(struct machine *m, uint64_t where, const char *what);

/* Tells if the call (what) is made outside of a request, which fails the program:
 * storage functions and start-up have no request. */
int hostcall_no_request(struct machine *m, const char *what);

/* Does (op), KVM_API_HTTP_SET or _APPEND, to a side. (len), or -EPROTO. */
long hostcall_change(struct machine *m, uint32_t op, uint64_t where, const char *text,
                     uint64_t len);

/* Adds a copy of (text) to a side. Returns 1; 0 when it is no good field; or -EPROTO.
 */
int hostcall_copy_field(struct machine *m, uint64_t where, const char *text,
                        uint32_t len);

/* Handlers: they return rax. */
typedef long hostcall_handler(struct host_call *c);
hostcall_handler call_register, call_wait, call_allow, call_is_storage, call_shm;
hostcall_handler call_log, call_meminfo, call_is_debug, call_breakpoint;
hostcall_handler call_wait_paused, call_make_ephemeral;
hostcall_handler call_response, call_stream, call_append, call_set, call_find,
    call_method, call_cacheable;
hostcall_handler call_regex_compile, call_regex_free, call_regex_match,
    call_regex_subst, call_regex_copyto;
hostcall_handler call_storage, call_storage_return, call_storage_noreturn,
    call_returned, call_task;
hostcall_handler call_fetch;

/* What the machine has just asked for with call_task. 0; -E2BIG: its bytes are too
 * many; or -EPROTO: it has failed. */
long call_take_order(struct machine *m, struct task_order *order);

#endif
