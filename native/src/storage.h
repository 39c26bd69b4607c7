/* storage.h: the storage VM of a program: the same program, in memory that all workers
 * share, entered in place under one lock. A call happens entirely or not at all. */
#ifndef SKERRY_STORAGE_H
#define SKERRY_STORAGE_H

#include "hostcall.h"
#include "run.h"
#include "snapshot.h"
#include "store.h"

struct skerry_storage {
    int references;
    struct skerry_snapshot *snapshot;
    struct skerry_console *console;
    struct machine machine; /* under the lock */
    int broken;             /* the vCPU was stopped in the middle: make a new one */
    uint64_t in_vain;       /* pages compared that had not changed */
    struct store store;
    uint64_t call_ns;
    int leaving; /* runs no tasks any more */
    int trace;   /* socket that its calls are told on, 0: nobody */
};

/* One call, from the registers of the caller. */
struct storage_args {
    uint64_t function, count, buffers, dst, dst_len;
    struct guest_buffer in[KVM_API_MAX_BUFFERS];
};

enum storage_step { STEP_NONE, STEP_WAITING, STEP_RUNNING };

/* How far a caller's call has come. Begins all zero. */
struct storage_call {
    enum storage_step step;
    struct lock_ticket ticket;
    struct storage_args args;
    struct task_order order; /* number 0: it is a call */
    uint64_t seen;           /* number of the last commit that the caller may know of */
    uint64_t due;            /* what tasks said before the call */
    int entered;             /* there is a task that is due earlier */
};

/* Answers the storage call that (caller) has made. GO_ON: its registers have the
 * result; STOP_FAILED: it has failed with a reason; STOP_BUSY: it waits or runs, and
 * (pause), 0 = never, is over: call again, from any thread. (s) may be NULL: the
 * program has no storage. The caller's deadline holds for the wait and the call. */
int storage_answer(struct skerry_storage *s, struct storage_call *call,
                   struct machine *caller, uint64_t pause);

/* The caller ends while its call waits or runs: what it has done is taken back. */
void storage_abandon(struct skerry_storage *s, struct storage_call *call);

/* Takes what (caller) has passed: 0; -EPROTO: that fails the request; or its result. */
long storage_take_args(struct skerry_storage *s, struct machine *caller,
                       struct storage_args *a);

/* 0, or -EPROTO when requests may not call (function). */
int storage_check_function(struct skerry_storage *s, struct machine *caller,
                           uint64_t function);

/* Copies the buffers into the inbox of the storage machine (m), behind their array. 0,
 * or -E2BIG. */
int storage_copy_in(struct machine *m, const struct machine *caller,
                    struct storage_args *a);

/* Gives (caller) as much of (result) as it has room for. Returns how much that is. */
uint64_t storage_copy_out(struct machine *caller, const struct storage_args *a,
                          const uint8_t *result, uint64_t len);

/* Tells if (caller) asks for something to be run later, or not to be. */
int storage_is_order(const struct machine *caller);

/* With the lock held, outside of calls: does what (caller) asks for. As tasks_add and
 * tasks_stop, or -EFAULT. */
int64_t storage_order(struct skerry_storage *s, const struct machine *caller,
                      const struct task_order *o);

/* For who holds the lock: makes the machine if it has to be, which is 0 or -errno; its
 * registers for a call with the arguments in its inbox; the pages that the call may
 * have written to, NULL when nobody knows; after it has ended: keeps that list short.
 */
int storage_mend(struct skerry_storage *s);
void storage_prepare(struct machine *m, const struct storage_args *a);
const struct dirty *storage_written(struct skerry_storage *s);
void storage_keep_short(struct skerry_storage *s);

/* It has ended well: closes what it has opened, which may replace the state file. 0 or
 * -errno: then it is to be rolled back. */
int storage_close_files(struct skerry_storage *s);

/* It is taken back, and what it has opened is closed. */
void storage_roll_back(struct skerry_storage *s);

/* What the function returned, by either way: bytes and length, or NULL. */
const uint8_t *storage_result(struct machine *m, uint64_t *len);

struct skerry_storage *storage_share(struct skerry_storage *s);

#endif
