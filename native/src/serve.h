/* serve.h: a clone that serves, one request at a time. */
#ifndef SKERRY_SERVE_H
#define SKERRY_SERVE_H

#include "reply.h"
#include "request.h"
#include "run.h"
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
    struct upload upload;
    int failed;     /* on_error runs, or has run */
    uint64_t shown; /* since when its remains are looked at, before on_error; or 0 */
    uint64_t began; /* when the request began (clock_now) */
    uint64_t rip, caller; /* where it failed, and what is on top of its stack */
    char reason[REASON_SIZE];
};

/* Serves (request), whose limits begin (now), into (reply), which may become
 * SKERRY_BUSY at (pause), 0 = never. */
void serve_request(struct skerry_vm *vm, const struct request *request, uint64_t now,
                   uint64_t pause, struct skerry_reply *reply);

/* Runs the call that has been prepared, storage calls included, until it ends. */
enum stop serve_run(struct skerry_vm *vm, uint64_t pause);

/* What all requests begin with; their limits begin (now). */
void serve_begin(struct skerry_vm *vm, const struct request *request, uint64_t now);

/* Goes on with a call that has been prepared, or with (entered) < 0 has failed. */
void serve_enter(struct skerry_vm *vm, int entered, uint64_t pause,
                 struct skerry_reply *reply);

/* When what begins (now) may hold up the caller no longer; 0 = never. */
uint64_t serve_pause(const struct skerry_vm *vm, uint64_t now);

/* Marks in (reply) what the caller has to do: read lines, wait for the disk. */
void serve_mark(struct skerry_vm *vm, struct skerry_reply *reply);

/* Carries the request on that is SKERRY_BUSY, or was SKERRY_WAITS; as serve_request. */
void serve_on(struct skerry_vm *vm, uint64_t pause, struct skerry_reply *reply);

#endif
