/* image_far.c: see image_far.h. */
#include "image_far.h"

#include <errno.h>

#include "far.h"
#include "space.h"

static int is_far(const struct guestmem *gm, const struct segment *s)
{
    return s->addr >= gm->layout.far.begin;
}

static struct region pages_of(const struct segment *s)
{
    return (struct region){s->addr & ~(PAGE_SIZE - 1), page_up(s->addr + s->mem_size)};
}

static int set_access(struct guestmem *gm, struct region r, int access)
{
    far_protect(gm, r, access);
    return space_map(gm->space, r, access);
}

/* The page at (addr), at one end of a segment, may be the end of another one too. */
static int set_end(const struct image *image, uint64_t addr, struct guestmem *gm)
{
    int access = ACCESS_READ;
    for (uint32_t i = 0; i < image->count; i++)
        if (region_holds(pages_of(&image->segment[i]), addr, PAGE_SIZE))
            access |= image->segment[i].access;
    return set_access(gm, (struct region){addr, addr + PAGE_SIZE}, access);
}

static int protect(const struct image *image, const struct segment *s,
                   struct guestmem *gm)
{
    struct region r = pages_of(s);
    int ret = set_access(gm, r, s->access ? s->access | ACCESS_READ : 0);
    if (ret == 0 && s->access)
        ret = set_end(image, r.begin, gm);
    if (ret == 0 && s->access)
        ret = set_end(image, r.end - PAGE_SIZE, gm);
    return ret;
}

int image_load_far(const struct image *image, const uint8_t *file, struct guestmem *gm)
{
    const int rw = ACCESS_READ | ACCESS_WRITE;
    int ret = 0;
    for (uint32_t i = 0; ret == 0 && i < image->count; i++)
        if (is_far(gm, &image->segment[i]))
            ret = space_map(gm->space, pages_of(&image->segment[i]), rw);
    for (uint32_t i = 0; ret == 0 && i < image->count; i++) {
        const struct segment *s = &image->segment[i];
        if (is_far(gm, s) &&
            guest_write(gm, s->addr, file + s->file_offset, s->file_size) < 0)
            ret = -ENOMEM;
    }
    for (uint32_t i = 0; ret == 0 && i < image->count; i++)
        if (is_far(gm, &image->segment[i]))
            ret = protect(image, &image->segment[i], gm);
    return ret;
}
