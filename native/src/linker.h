/* linker.h: the dynamic linker of a program, which ELF calls its interpreter: a second
 * image, behind the program's. It runs first, inside the guest, and maps the libraries
 * by system calls of its own. */
#ifndef SKERRY_LINKER_H
#define SKERRY_LINKER_H

#include "image.h"
#include "opener.h"

struct linker {
    struct image image;
    uint8_t *file; /* what it was parsed from, or NULL: there is none */
};

/* Gets the dynamic linker that (program) names from (opener), for (who), until (until)
 * at most, and places it behind the program, which then begins with it. A program that
 * names none stays as it is. Returns 0, or -errno with the reason. */
int linker_find(struct linker *linker, struct image *program, const struct layout *l,
                int opener, enum opener_who who, uint64_t until,
                struct skerry_error *err);

/* As image_load. Nothing without a linker. */
void linker_load(const struct linker *linker, uint8_t *base, const struct layout *l);

/* Also of one that was never found. */
void linker_close(struct linker *linker);

#endif
