/* paging.h: the guest's page tables.
 *
 * 4 KiB leaves only, in one array, so that the entry of an address is found by its page
 * number. Accessed and dirty bits are set from the start: the processor's own updates
 * would dirty the tables in every clone. Nothing changes after the freeze. */
#ifndef SKERRY_PAGING_H
#define SKERRY_PAGING_H

#include "layout.h"

enum {
    ACCESS_NONE = 0,
    ACCESS_READ = 1,
    ACCESS_WRITE = 2,
    ACCESS_EXECUTE = 4,
    ACCESS_SUPERVISOR = 8, /* ring 0 only */
};

/* Builds tables in slot 0 at (base): everything that layout.h says, with program,
 * stacks, inbox and shared memory readable and writable, not executable. */
void paging_build(uint8_t *base, const struct layout *l);

/* Sets the access of the pages that [addr, addr + len) touches; OR-ing with what they
 * allow already when (widen). The range lies below mapped_end. */
void paging_protect(uint8_t *base, const struct layout *l, uint64_t addr, uint64_t len,
                    int access, int widen);

/* Ring 3 reads at [addr, addr + len) what is at physical address (from), in a slot of
 * its own: the host does not reach it through these tables. */
void paging_show(uint8_t *base, const struct layout *l, uint64_t addr, uint64_t len,
                 uint64_t from);

/* What ring 3 may do with the page at (addr), of slot 0 or shared memory: ACCESS_*
 * bits; 0 for ring 0's pages and for all others. */
int paging_access(const uint8_t *base, const struct layout *l, uint64_t addr);

/* The two page-table roots are the same; going from one to the other makes a processor
 * forget what it has cached. */
uint64_t paging_root(const struct layout *l);
uint64_t paging_other_root(const struct layout *l, uint64_t root);

#endif
