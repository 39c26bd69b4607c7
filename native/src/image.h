/* image.h: x86-64 ELF programs, static and static-PIE, into guest memory. */
#ifndef SKERRY_IMAGE_H
#define SKERRY_IMAGE_H

#include "error.h"
#include "layout.h"

#define IMAGE_SEGMENTS 32

struct segment {
    uint64_t addr, mem_size, file_offset, file_size;
    int access; /* ACCESS_* */
};

/* A program that was checked: nothing in it points outside the file, or the addresses
 * that a program may have. */
struct image {
    struct segment segment[IMAGE_SEGMENTS];
    uint32_t count;
    uint64_t entry, end;   /* addresses; end is that of what is not far */
    uint64_t headers_addr; /* of the program headers in memory, or 0 */
    uint32_t header_count, header_size;
};

/* Reads and checks (len) bytes at (file); segments must lie in the program's memory of
 * (l), or be far. Returns 0 or -ENOEXEC with the reason. */
int image_parse(struct image *image, const uint8_t *file, uint64_t len,
                const struct layout *l, struct skerry_error *err);

/* Copies what is not far of a checked image into slot 0 at (base), and sets the access
 * of its pages. For the rest there is image_load_far. */
void image_load(const struct image *image, const uint8_t *file, uint8_t *base,
                const struct layout *l);

#endif
