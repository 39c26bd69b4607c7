/* process.h: what a kernel would know about a program: the host-side state that is
 * frozen and put back with its memory. Plain data, so that a copy is all it takes. */
#ifndef SKERRY_PROCESS_H
#define SKERRY_PROCESS_H

#include "arena.h"
#include "descriptors.h"

#define SIGNAL_COUNT 65

/* What rt_sigaction stores: kernel layout. */
struct signal_action {
    uint64_t handler, flags, restorer, mask;
};

struct process {
    struct arena arena;
    struct region heap;
    uint64_t brk, brk_high; /* high: nothing above it was ever heap */
    struct descriptors files;
    uint64_t umask; /* less than the modes that it asks for */
    uint64_t signal_mask; /* this and the next three: of the thread that runs */
    uint64_t alt_stack[3];
    uint64_t clear_tid, robust_list;
    struct signal_action actions[SIGNAL_COUNT];
};

/* The heap begins behind the image; half of what is left is heap, the rest arena. */
void process_init(struct process *p, uint64_t image_end, uint64_t memory_end);

#endif
