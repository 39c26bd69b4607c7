/* run.h: KVM_RUN until the guest's call ends, its time is over, or it did something
 * that ends the request. */
#ifndef SKERRY_RUN_H
#define SKERRY_RUN_H

#include "machine.h"

/* Why the guest stopped. */
enum stop {
    STOP_WAITING,  /* boot: it waits for requests */
    STOP_ANSWERED, /* it has given its response, or storage its result for good */
    STOP_RETURNED, /* the function that was called has returned */
    STOP_FAILED,   /* see reason; the machine must not be used again but for on_error */
    STOP_STORAGE,  /* it calls storage: answer with vcpu_return, then run again */
    STOP_BUSY,     /* (pause) is over; run again to go on */
    STOP_OUTSIDE,  /* it waits for its connections: run again when they have news */
    STOP_FETCH,    /* it waits for m->fetch: call fetch_end, then run again */
};

/* Runs (m), which vcpu_start or vcpu_call has prepared, until it stops, at most until
 * m->deadline. When (pause) is not 0: STOP_BUSY soon after that time. */
enum stop machine_run(struct machine *m, uint64_t pause);

/* 0; or -EPROTO: the request has written to too many of the pages that dirty_collect
 * has found, and fails. */
int machine_check_memory(struct machine *m);

#endif
