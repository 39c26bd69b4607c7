/* paging.h: the guest's page tables.
 *
 * 4 KiB leaves only, in one array, so that the entry of an address is found by its page
 * number. Accessed and dirty bits are set from the start: the processor's own updates
 * would dirty the tables in every clone. What changes after the freeze is put back like
 * other memory, see vm_forget_tables(). Tables of far addresses are far.h's. */
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

/* What ring 3 may do with the page at (addr), also a far one, of slot 0 or shared
 * memory: ACCESS_* bits; 0 for ring 0's pages and for all others. */
int paging_access(const uint8_t *base, const struct layout *l, uint64_t addr);

/* The address in slot 0 of the entries of the pages from (addr) on, below mapped_end.
 */
uint64_t paging_entry(const struct layout *l, uint64_t addr);

/* An entry that lets ring 3 do (access) with (page), 0 for nothing; and back. */
uint64_t paging_leaf(uint64_t page, int access);
int paging_leaf_access(uint64_t entry);

/* An entry that leads to the next table, and the address that any entry has. */
uint64_t paging_link(uint64_t table);
uint64_t paging_target(uint64_t entry);

/* The entry of a far address, in slot 0; NULL where its tables are missing. */
uint64_t *paging_far_entry(const uint8_t *base, const struct layout *l, uint64_t addr);

/* The first far page at (addr), a multiple of the page size, or above that is
 * present; or the end of far addresses. */
uint64_t paging_far_next(const uint8_t *base, const struct layout *l, uint64_t addr);

uint64_t paging_root(const struct layout *l);

#endif
