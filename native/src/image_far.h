/* image_far.h: the segments of a program that is linked at far addresses. */
#ifndef SKERRY_IMAGE_FAR_H
#define SKERRY_IMAGE_FAR_H

#include "guestmem.h"
#include "image.h"

/* Maps the far segments of a checked image, copies them, and sets the access of their
 * pages. 0, or -ENOMEM: max_memory or address_space has no room for them. */
int image_load_far(const struct image *image, const uint8_t *file, struct guestmem *gm);

#endif
