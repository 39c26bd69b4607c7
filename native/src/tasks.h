/* tasks.h: what is to run in storage later: a table in memory that all processes of a
 * program share, behind the control of its store.
 *
 * A task runs like a storage call, and what it does and that it is done are one commit.
 * So the table changes in two ways. Outside of a call, whoever holds the lock changes
 * it at once. A call only notes what it wants to be changed, and tasks_commit makes it
 * so, or tasks_undo forgets it; both may be begun again by who finds the dead owner. */
#ifndef SKERRY_TASKS_H
#define SKERRY_TASKS_H

#include <stdint.h>

#define TASK_TIMERS 15 /* periodic ones, at a time */
#define TASK_ONCE 64   /* others */
#define TASK_DATA_MAX (2UL << 20)
#define TASK_TRIES 3         /* processes that one task may end */
#define TASK_NEVER INT64_MAX /* due: CLOCK_MONOTONIC ns are less */

/* A timer that a call stops keeps its slot until the commit. */
#define TASK_SLOTS (2 * TASK_TIMERS + TASK_ONCE)

enum task_state {
    TASK_NONE,
    TASK_PLANNED, /* entered by the call that runs: waits from its commit on */
    TASK_WAITING,
};

struct task {
    uint32_t state;
    uint32_t stopping; /* goes with the commit of the call that runs */
    uint32_t tries;    /* how often it has begun since it last came to an end */
    int64_t id;        /* of a timer; 0: it runs once */
    uint64_t function, len;
    uint64_t due, period; /* CLOCK_MONOTONIC ns; ns */
};

struct tasks {
    uint64_t next_due;    /* nothing is due before; read without the lock */
    int64_t last_id;      /* ids are never used again */
    uint32_t noted;       /* the call that runs has noted something */
    uint32_t claimed;     /* index + 1 of the task that the call is; 0: it is none */
    uint64_t run, failed; /* so far; (failed): of these, or given up */
    struct task slots[TASK_SLOTS];
};

/* What a program asks for. */
struct task_order {
    uint32_t number; /* KVM_API_STORAGE_TASK or KVM_API_STOP_STORAGE_TASK */
    int64_t id;      /* to stop */
    uint64_t function, data, len;
    uint64_t start_ns, period_ns; /* from now; 0: once */
};

/* Bytes of a table with the arguments behind it: address space, most of it unused. */
uint64_t tasks_size(void);

/* Makes zero bytes an empty table. */
void tasks_init(struct tasks *t);

/* A table of this process alone, for a program that starts. NULL without memory. */
struct tasks *tasks_open(void);
void tasks_close(struct tasks *t);

/* Takes what (from), which may be NULL, has over into the empty (t), as waiting. */
void tasks_take_over(struct tasks *t, const struct tasks *from);

/* Enters a task as (state), with a copy of (order)'s bytes, which the host has at
 * (data). Returns the timer's id; 0: it runs once; -E2BIG: its bytes are too many;
 * -ENOSPC: too many wait already. */
int64_t tasks_add(struct tasks *t, const struct task_order *order, const uint8_t *data,
                  enum task_state state);

/* Stops timer (id), at once or with the commit. 0, or -ENOENT if there is none. */
int64_t tasks_stop(struct tasks *t, int64_t id, int at_once);

/* The task that has been due for longest at (now), or NULL. */
struct task *tasks_due(struct tasks *t, uint64_t now);

/* The call that has begun is (task). Others look again after a while, in case that it
 * ends the process. */
void tasks_claim(struct tasks *t, struct task *task, uint64_t now);

/* Its argument: task->len bytes. */
uint8_t *tasks_data(struct tasks *t, const struct task *task);

/* Tells if a commit changes the table. */
int tasks_are_noted(const struct tasks *t);

/* The call has ended: what it has noted becomes so at (now), or is forgotten. */
void tasks_commit(struct tasks *t, uint64_t now);
void tasks_undo(struct tasks *t);

/* After tasks_undo: (task) has failed, or is given up. It does not run again, unless it
 * is a timer that goes on. */
void tasks_fail(struct tasks *t, struct task *task, uint64_t now);
void tasks_give_up(struct tasks *t, struct task *task);

/* How many wait, about. */
uint32_t tasks_pending(const struct tasks *t);

#endif
