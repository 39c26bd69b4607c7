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
    struct signal_action actions[SIGNAL_COUNT];
    struct thread_signals signals;
    struct alarm alarm;
};

/* The heap begins behind the image; half of what is left is heap, the rest arena. */
void process_init(struct process *p, uint64_t image_end, uint64_t memory_end);

#endif
