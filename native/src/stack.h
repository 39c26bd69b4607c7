/* stack.h: what a program finds on its stack when it starts. */
#ifndef SKERRY_STACK_H
#define SKERRY_STACK_H

#include "guestmem.h"
#include "image.h"

/* Writes arguments, environment and auxiliary vector to the top of the main stack.
 * Returns the stack pointer, or -E2BIG when they take more than half of it. */
int64_t stack_build(struct guestmem *gm, const struct image *image,
                    const struct skerry_boot_options *options);

#endif
