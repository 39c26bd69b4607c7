/* process.c: see process.h. */
#include "process.h"

#include <string.h>

void process_init(struct process *p, uint64_t image_end, uint64_t memory_end)
{
    memset(p, 0, sizeof(*p));
    uint64_t begin = page_up(image_end);
    uint64_t middle = page_up(begin + (memory_end - begin) / 2);
    p->heap = (struct region){begin, middle};
    p->brk = p->brk_high = begin;
    arena_init(&p->arena, (struct region){middle, memory_end});
    descriptors_init(&p->files);
    p->umask = 022;
}

int process_signals_due(struct process *p)
{
    const uint64_t ready = process_signals_ready(p);
    for (int signal = 1; ready && signal < SIGNAL_COUNT; signal++)
        if (ready & signal_bit(signal) && signal_ignored(&p->actions[signal], signal)) {
            signals_forget(&p->signals.pending, signal);
            signals_forget(&p->shared, signal);
        }
    return process_signals_ready(p) != 0;
}

int process_take_signal(struct process *p, uint64_t from, struct signal_info *info)
{
    int signal = signals_take(&p->signals.pending, from, info);
    return signal ? signal : signals_take(&p->shared, from, info);
}
