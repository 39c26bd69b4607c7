/* threads.h: the threads of a program, where it has more than one: who there is, and
 * what each of them is when it does not run.
 *
 * A machine has no table before its program makes a second thread, so a program with
 * one thread pays for none of this. What a kernel knows of the thread that runs lies in
 * struct process, its registers on the vCPU. A table is frozen with its machine, and
 * belongs to each clone: what a request does to it is put back. */
#ifndef SKERRY_THREADS_H
#define SKERRY_THREADS_H

#include "machine.h"

#define THREADS_MADE 64 /* the most that a program can make */
#define THREADS (THREADS_MADE + 1)
#define FIRST_TID 1

struct thread {
    uint32_t tid; /* 0: the place is free */
    int waits;    /* for (until), or on (futex); else it can run */
    int changed;  /* since it was frozen */
    uint32_t bits;
    uint64_t futex; /* the address that it waits on, for a wake with one of (bits); 0 */
    int again; /* its system call is made again then, or when others have made one: */
               /* until it is, no signal comes between */
    uint64_t until; /* when it goes on without a wake (clock_now), 0 = never */
    uint64_t turn;  /* who has waited longest, to run or to be woken, has the least */
    struct kvm_regs regs;
    struct kvm_segment ds, es, fs, gs;
    uint64_t clear_tid, robust_list;
    struct thread_signals signals;
    struct sleep sleep;
    uint64_t wait_until; /* of the machine */
    char name[THREAD_NAME];
};

struct threads {
    uint32_t current; /* the place of the one whose registers the vCPU has */
    uint32_t home;    /* of the one that waits for requests, as which callbacks run */
    uint32_t count;
    uint32_t last_tid;
    uint64_t last_turn;
    int leaves;   /* the current one does not go on behind its system call */
    int sleepers; /* frozen ones whose (until) counts from when they run again */
    int changed;  /* since it was frozen */
    struct thread at[THREADS];
    uint8_t fpu[THREADS][PAGE_SIZE]; /* struct kvm_xsave */
};

/* Makes the table of (m), with the thread that runs, if it has none. 0 or -ENOMEM. */
int threads_make(struct machine *m);
void threads_close(struct threads *t);

static inline struct thread *threads_current(struct threads *t)
{
    return &t->at[t->current];
}

/* What gettid() returns. */
uint32_t threads_tid(const struct machine *m);

/* For who traces (m), if anybody does: the thread that runs makes a call; its call,
 * which may have been open for a while, has its answer, or has (ends) and none. */
void threads_trace(struct machine *m, int kind, uint64_t number, const uint64_t arg[6]);
void threads_traced(struct machine *m, int64_t result, int ends);

/* The thread with (tid), which is not 0, or NULL. The table must be there. */
struct thread *threads_find(struct threads *t, uint32_t tid);

/* Tells if there is a thread with (tid), which is not 0. */
int threads_has(const struct machine *m, uint32_t tid);

/* A free place and a new tid for it, or -EAGAIN. The place stays free. */
int threads_place(struct threads *t, uint32_t *tid);

/* Notes that a thread is no longer as it was frozen. */
void threads_touch(struct threads *t, struct thread *thread);

/* Makes (*to) what (from) is; either may be NULL. (*to) is a copy of (from) on which
 * what differs has been noted, or NULL. 0 or -ENOMEM. */
int threads_restore(struct threads **to, const struct threads *from);

/* For another process of the same build: bytes, and back. (t) may be NULL, which has
 * none. threads_unpack returns 0, or -errno with (err). */
size_t threads_packed(const struct threads *t);
void threads_pack(const struct threads *t, uint8_t *dst);
int threads_unpack(struct threads **to, const void *src, size_t size,
                   struct skerry_error *err);

#endif
