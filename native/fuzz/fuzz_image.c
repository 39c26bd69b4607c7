/* fuzz_image.c: program files that nobody checked. What is taken must load into the
 * program's memory and nowhere else, and leave the access of all other pages as it was.
 * Each is its own dynamic linker too, if it can be loaded beside itself. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "bare.h"
#include "demand.h"
#include "image_far.h"
#include "paging.h"
#include "stack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct bare b;

/* Only the program's pages may differ from the frozen image, and only their entries in
 * the page tables, with those of stacks that are made executable. */
static void check_outside(int executable_stack)
{
    const struct layout *l = &b.machine.mem.layout;
    const uint8_t *base = b.machine.mem.base, *was = b.frozen.frozen;
    const uint64_t entries = l->leaf_tables + (l->program.begin >> PAGE_SHIFT) * 8;
    const uint64_t entries_end = l->leaf_tables + (l->program.end >> PAGE_SHIFT) * 8;
    const uint64_t stacks = l->leaf_tables + (l->call_stack.end >> PAGE_SHIFT) * 8;
    const struct region outside[] = {
        {0, EXCEPTION_STACK_TOP},
        {l->tables, entries},
        {executable_stack ? stacks : entries_end,
         l->leaf_tables + (l->mapped_end >> PAGE_SHIFT) * 8}};
    for (size_t i = 0; i < sizeof(outside) / sizeof(*outside); i++)
        demand(memcmp(base + outside[i].begin, was + outside[i].begin,
                      outside[i].end - outside[i].begin) == 0);
}

static void check_image(const struct image *image)
{
    const struct layout *l = &b.machine.mem.layout;
    demand(image->count > 0 && image->count <= IMAGE_SEGMENTS);
    demand(image->end >= l->program.begin && image->end <= l->program.end);
    for (uint32_t i = 0; i < image->count; i++) {
        uint64_t addr = image->segment[i].addr, size = image->segment[i].mem_size;
        demand(region_holds(l->program, addr, size) ||
               region_holds(l->far, addr, size));
    }
    demand(paging_access(b.machine.mem.base, l, image->entry) & ACCESS_EXECUTE);
}

/* Its path ends in the file. */
static void check_interpreter(const struct image *image, const uint8_t *file,
                              size_t size)
{
    const uint8_t *path = (const uint8_t *)image->interpreter;
    demand(path > file && path < file + size && *path == '/');
    demand(memchr(path, 0, (size_t)(file + size - path)) != NULL);
}

/* Nothing of (linker) lies in a page of (image), which names it. */
static void load_linker(const struct image *image, const uint8_t *file, size_t size)
{
    const struct layout *l = &b.machine.mem.layout;
    const struct layout rest = image_rest(image, l);
    struct image linker;
    struct skerry_error err;
    if (image_parse(&linker, file, size, &rest, rest.program.begin, &err) < 0)
        return;
    demand(linker.bias == 0 || linker.bias >= rest.program.begin);
    for (uint32_t i = 0; i < linker.count; i++)
        demand(region_holds(rest.program, linker.segment[i].addr,
                            linker.segment[i].mem_size));
    image_load(&linker, file, b.machine.mem.base, l);
    check_image(&linker);
}

static void load(const struct image *image, const uint8_t *file, size_t size)
{
    struct guestmem *mem = &b.machine.mem;
    const struct skerry_boot_options options = {0};
    image_load(image, file, mem->base, &mem->layout);
    if (image->interpreter) {
        check_interpreter(image, file, size);
        load_linker(image, file, size);
    }
    check_outside(image->executable_stack);
    process_init(&b.process, image->end, mem->layout.program.end);
    if (image_load_far(image, file, mem) == 0)
        check_image(image);
    demand(stack_build(mem, image, &options) > 0);
    demand(madvise(mem->base, mem->layout.slot_size, MADV_DONTNEED) == 0);
    dirty_forget(&b.machine.dirty);
    demand(space_copy(&b.machine.space, &b.frozen.space) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct image image;
    struct skerry_error err;
    if (!b.machine.mem.base)
        bare_open(&b, MAX_MEMORY_MIN, 0);
    int ret = image_parse(&image, data, size, &b.machine.mem.layout, PIE_BASE, &err);
    if (ret == 0)
        load(&image, data, size);
    else
        demand(err.code == -ret && err.text[0]);
    return 0;
}
