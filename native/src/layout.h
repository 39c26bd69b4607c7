/* layout.h: where things are in a guest.
 *
 * Guest virtual and physical addresses are the same, so that a pointer from the guest
 * is an index into its memory. All sizes are multiples of 4 KiB, all regions below
 * "program" have fixed places; the others follow from max_memory (M), rounded up to 2
 * MB.
 *
 *      0x000000  never mapped: null pointers fault
 *      0x001000  GDT, IDT, TSS, exception stubs, exception stack   ring 0 only
 *      0x005000  system-call stub      executable; ring 0's or ring 3's (see stubs.c)
 *      0x006000  trampoline            ring 3 may execute it
 *      0x007000  XSAVE image           ring 3 may read it
 *      0x010000  vDSO                  ring 3 may execute it (vdso.h)
 *      0x080000  the kernel's vDSO     likewise; in front of it the pages that the
 * kernel keeps for it, which ring 3 may read: memory slot 2, far behind all others
 *      0x100000  exchange page         ring 3 reads and writes (kvm_api.h)
 *      0x200000  program, heap ->  ...  <- mmap arena
 *      M         2 MB hole
 *                main stack            8 MB, used by main() until it waits
 *                2 MB hole
 *                call stack            8 MB, zero when a request begins
 *                2 MB hole
 *                inbox                 request bodies, storage arguments
 *                2 MB hole
 *                page tables           not mapped: no guest instruction reaches them
 *                tables of far addresses   likewise; used from its beginning on
 *      ------    end of memory slot 0
 *                2 MB hole
 *                shared memory         memory slot 1, the same pages in every clone
 *      F         far addresses, up to 2^47: ranges of the program's own choice; what is
 *                behind them are pages of the mmap arena (see far.h)
 */
#ifndef SKERRY_LAYOUT_H
#define SKERRY_LAYOUT_H

#include <stdint.h>

#define PAGE_SIZE 4096UL
#define PAGE_SHIFT 12
#define LARGE_PAGE (2UL << 20)

#define GDT_ADDR 0x1000UL
#define IDT_ADDR 0x2000UL
#define TSS_ADDR 0x3000UL
#define EXCEPTION_STUBS_ADDR 0x4000UL
#define SYSCALL_STUB_ADDR 0x5000UL
#define TRAMPOLINE_ADDR 0x6000UL
#define XSAVE_ADDR 0x7000UL
#define EXCEPTION_STACK_ADDR 0x8000UL
#define EXCEPTION_STACK_TOP 0x9000UL
#define VDSO_ADDR 0x10000UL
#define HOST_VDSO_ADDR 0x80000UL
#define HOST_VDSO_MAX 0x80000UL   /* bytes behind that address, ... */
#define CLOCK_PAGES_MAX 0x40000UL /* ... and before it */
#define PROGRAM_LOW 0x200000UL
#define PIE_BASE 0x400000UL
#define STACK_SIZE (8UL << 20)
#define INBOX_MAX (32UL << 20)

/* Physical: behind all that a guest can have, and what any processor can address. */
#define CLOCK_SLOT_ADDR (32UL << 30)

#define MAX_MEMORY_MIN (8UL << 20)
#define MAX_MEMORY_MAX (4UL << 30)
#define SHM_MAX (1UL << 30)
#define FAR_ALIGN (1UL << 30) /* no page directory is shared with what is below */
#define FAR_END ((1UL << 47) - PAGE_SIZE)

struct region {
    uint64_t begin, end; /* end is not part of it */
};

struct layout {
    struct region program; /* image, heap and arena */
    struct region main_stack;
    struct region call_stack;
    struct region inbox;
    struct region shm;        /* empty when there is none */
    uint64_t tables;          /* page tables: PML4, PDPT, PDs, then all leaf tables */
    uint64_t leaf_tables;     /* entry of address a is at leaf_tables + (a >> 12) * 8 */
    uint64_t mapped_end;      /* addresses below this have an entry */
    uint64_t slot_size;       /* of memory slot 0 */
    struct region far_tables; /* page tables of far addresses: room for them */
    struct region far;        /* addresses that are not those of memory */
};

/* Computes the layout for (max_memory) bytes, a multiple of the page size, and (shm)
 * bytes, a multiple of 2 MB. Returns 0, or -EINVAL when either is not in its range. */
int layout_make(struct layout *l, uint64_t max_memory, uint64_t shm);

static inline uint64_t page_up(uint64_t n)
{
    return (n + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1);
}

/* Tells if (len) bytes at (addr) lie in (r); cannot wrap. */
static inline int region_holds(struct region r, uint64_t addr, uint64_t len)
{
    return addr >= r.begin && addr <= r.end && len <= r.end - addr;
}

#endif
