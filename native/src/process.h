/* process.h: what a kernel would know about a program: the host-side state that is
 * frozen and put back with its memory. Plain data, so that a copy is all it takes. */
#ifndef SKERRY_PROCESS_H
#define SKERRY_PROCESS_H

#include "arena.h"
#include "descriptors.h"
#include "signals.h"

#define THREAD_NAME 16 /* bytes, with the NUL */
#define LIMIT_COUNT 16 /* of getrlimit */

/* What it has told of itself, with zeros for what Linux begins with. */
struct settings {
    uint64_t slack; /* ns, 0: as it was */
    uint32_t not_dumpable, no_new_privileges, death_signal, subreaper;
    uint32_t nice;     /* 0 to 19 */
    uint32_t barriers; /* of membarrier, registered */
};

/* Limits that a program has set for itself; the others are as they were. */
struct limits {
    uint64_t set; /* bit n: limit n is */
    uint64_t now[LIMIT_COUNT], most[LIMIT_COUNT];
};

struct process {
    struct arena arena;
    struct region heap;
    uint64_t brk, brk_high; /* high: nothing above it was ever heap */
    struct descriptors files;
    uint64_t umask;                  /* less than the modes that it asks for */
    uint64_t clear_tid, robust_list; /* of the thread that runs */
    struct signal_action actions[SIGNAL_COUNT];
    struct thread_signals signals; /* of the thread that runs */
    struct pending_signals shared; /* any thread may take them, and none did */
    struct alarm alarm;
    char name[THREAD_NAME]; /* of the thread that runs */
    struct settings settings;
    struct limits limits;
};

/* Signals that would be delivered to the thread that runs. */
static inline uint64_t process_signals_ready(const struct process *p)
{
    return (p->signals.pending.set | p->shared.set) & ~p->signals.mask;
}

/* Tells if one will be that somebody notices; forgets those that nobody would. */
int process_signals_due(struct process *p);

/* Takes one of those in (from) for the thread that runs. Returns it, or 0. */
int process_take_signal(struct process *p, uint64_t from, struct signal_info *info);

/* The heap begins behind the image; half of what is left is heap, the rest arena. */
void process_init(struct process *p, uint64_t image_end, uint64_t memory_end);

#endif
