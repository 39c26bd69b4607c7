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
}
