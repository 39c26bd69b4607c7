/* serve.h: a clone that serves, one request at a time. */
#ifndef SKERRY_SERVE_H
#define SKERRY_SERVE_H

#include "reply.h"
#include "snapshot.h"
#include "storage.h"

struct skerry_vm {
    struct machine machine;
    struct process process;
    struct skerry_snapshot *snapshot;
    struct skerry_storage *storage;
    struct skerry_limits limits;
    struct request batch[SKERRY_BATCH];
    struct skerry_reply replies[SKERRY_BATCH];
    uint32_t count;    /* requests in the batch */
    char *out;         /* SKERRY_OUT_SIZE bytes */
    uint32_t out_used; /* of these, by the answers of this batch */
    struct storage_call call;
    struct text spill; /* header lines that do not fit there */
    int failed;        /* on_error runs, or has run */
    uint64_t shown;    /* since when its remains are looked at, before on_error; or 0 */
    uint64_t began;    /* when the request began (clock_now) */
    uint64_t rip, caller; /* where it failed, and what is on top of its stack */
    char reason[REASON_SIZE];
};

/* Serves (request), whose limits begin (now), into (reply), which may become
 * SKERRY_BUSY at (pause), 0 = never. */
void serve_request(struct skerry_vm *vm, const struct request *request, uint64_t now,
                   uint64_t pause, struct skerry_reply *reply);

/* Carries the request that is SKERRY_BUSY on to its end. */
void serve_on(struct skerry_vm *vm, struct skerry_reply *reply);

#endif
