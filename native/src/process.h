/* process.h: what a kernel would know about a program: the host-side state that is
 * frozen and put back with its memory. Plain data, so that a copy is all it takes. */
#ifndef SKERRY_PROCESS_H
#define SKERRY_PROCESS_H

#include "arena.h"
#include "descriptors.h"
#include "signals.h"

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
