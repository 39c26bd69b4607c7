/* mapping.h: mappings of a program, wherever they are: near (near.h) where they can be,
 * or far (sys_far.h). Ranges come rounded to pages and not empty, and end below 2^47;
 * results are those of Linux: an address, 0, or -errno. */
#ifndef SKERRY_MAPPING_H
#define SKERRY_MAPPING_H

#include "machine.h"

/* Tells if [addr, addr + len) would replace something. */
int mapping_in_use(const struct machine *m, uint64_t addr, uint64_t len);

/* Maps zeros at (addr), in the place of what is there. */
long mapping_at(struct machine *m, uint64_t addr, uint64_t len, int access);

/* Maps zeros where there is room; with (reserves) there is memory for all of them when
 * it returns, if the program may use them. */
long mapping_anywhere(struct machine *m, uint64_t len, int access, int reserves);

long mapping_protect(struct machine *m, uint64_t addr, uint64_t len, int access);
long mapping_remove(struct machine *m, uint64_t addr, uint64_t len);

/* (len) rounded up to pages, or 0 if that is too much. */
uint64_t mapping_round(uint64_t len);

#endif
