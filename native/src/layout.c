/* layout.c: see layout.h. */
#include "layout.h"

#include <errno.h>

static uint64_t large_up(uint64_t n)
{
    return (n + LARGE_PAGE - 1) & ~(LARGE_PAGE - 1);
}

/* The next region of (size) bytes behind (*cursor), a hole between. */
static struct region take(uint64_t *cursor, uint64_t size)
{
    struct region r = {*cursor + LARGE_PAGE, *cursor + LARGE_PAGE + size};
    *cursor = large_up(r.end);
    return r;
}

/* A PML4, one PDPT, a PD for each GiB. */
static uint64_t upper_tables(uint64_t mapped_end)
{
    return (2 + ((mapped_end + (1UL << 30) - 1) >> 30)) * PAGE_SIZE;
}

/* Bytes for the tables of far addresses: eight times what all memory in one piece
 * takes, and 4 MB for programs that use a page here and a page there. */
static uint64_t far_tables(uint64_t max_memory)
{
    return page_up(max_memory / 512 * 8) + 2 * LARGE_PAGE;
}

int layout_make(struct layout *l, uint64_t max_memory, uint64_t shm)
{
    if (max_memory % PAGE_SIZE || max_memory < MAX_MEMORY_MIN ||
        max_memory > MAX_MEMORY_MAX || shm % LARGE_PAGE || shm > SHM_MAX)
        return -EINVAL;
    uint64_t cursor = large_up(max_memory), inbox = large_up(max_memory / 4);
    l->program = (struct region){PROGRAM_LOW, max_memory};
    l->main_stack = take(&cursor, STACK_SIZE);
    l->call_stack = take(&cursor, STACK_SIZE);
    l->inbox = take(&cursor, inbox < INBOX_MAX ? inbox : INBOX_MAX);
    l->tables = cursor + LARGE_PAGE;
    /* The tables map what follows them too, and their own size hardly depends on it:
     * reserve for the largest that they can be. */
    uint64_t tables_max = (l->tables + 64 * LARGE_PAGE + shm) / 512 + 16 * PAGE_SIZE;
    uint64_t far_begin = large_up(l->tables + tables_max);
    l->far_tables = (struct region){far_begin, far_begin + far_tables(max_memory)};
    l->slot_size = large_up(l->far_tables.end);
    l->shm =
        (struct region){l->slot_size + LARGE_PAGE, l->slot_size + LARGE_PAGE + shm};
    l->mapped_end = l->shm.end;
    l->leaf_tables = l->tables + upper_tables(l->mapped_end);
    l->far =
        (struct region){(l->mapped_end + FAR_ALIGN - 1) & ~(FAR_ALIGN - 1), FAR_END};
    return 0;
}
