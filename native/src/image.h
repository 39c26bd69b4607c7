/* image.h: x86-64 ELF files, programs and dynamic linkers, into guest memory. */
#ifndef SKERRY_IMAGE_H
#define SKERRY_IMAGE_H

#include "error.h"
#include "layout.h"

#define IMAGE_SEGMENTS 32

struct segment {
    uint64_t addr, mem_size, file_offset, file_size;
    int access; /* ACCESS_* */
};

/* A file that was checked: nothing in it points outside the file, or the addresses that
 * it may have. */
struct image {
    struct segment segment[IMAGE_SEGMENTS];
    uint32_t count;
    uint64_t entry, end;   /* addresses; end is that of what is not far */
    uint64_t start;        /* where to begin: (entry), or the dynamic linker's */
    uint64_t linker;       /* where its dynamic linker is loaded, or 0 */
    uint64_t bias;         /* what was added to the addresses in the file */
    uint64_t headers_addr; /* of the program headers in memory, or 0 */
    uint32_t header_count, header_size;
    const char *interpreter; /* in the file: path of its dynamic linker, or NULL */
    int executable_stack;    /* it wants to execute what is on its stack */
};

/* Reads and checks (len) bytes at (file), which has to outlive (image); segments must
 * lie in the program's memory of (l), or be far. What is position-independent begins at
 * (base), or behind it if it is aligned to more. Returns 0 or -ENOEXEC with the reason.
 */
int image_parse(struct image *image, const uint8_t *file, uint64_t len,
                const struct layout *l, uint64_t base, struct skerry_error *err);

/* Of (l), what is left behind (image) for another one: no far addresses. */
struct layout image_rest(const struct image *image, const struct layout *l);

/* Copies what is not far of a checked image into slot 0 at (base), and sets the access
 * of its pages. For the rest there is image_load_far. */
void image_load(const struct image *image, const uint8_t *file, uint8_t *base,
                const struct layout *l);

#endif
