/* image.c: see image.h. System V ABI, gABI chapter 4 and 5, x86-64 psABI chapter 4. The
 * file is a stranger: headers are copied out before use, sums are checked so they
 * cannot wrap. */
#include "image.h"

#include <elf.h>
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "paging.h"

#define STEP "load"

static int refuse_kind(const Elf64_Ehdr *h, struct skerry_error *err)
{
    if (memcmp(h->e_ident, ELFMAG, SELFMAG) != 0)
        return skerry_refuse(err, ENOEXEC, STEP, "not an ELF file");
    if (h->e_ident[EI_CLASS] != ELFCLASS64 || h->e_ident[EI_DATA] != ELFDATA2LSB)
        return skerry_refuse(err, ENOEXEC, STEP, "not a 64-bit little-endian ELF file");
    if (h->e_machine != EM_X86_64)
        return skerry_refuse(err, ENOEXEC, STEP,
                             "made for machine %u; expected x86-64 (62)", h->e_machine);
    if (h->e_type != ET_EXEC && h->e_type != ET_DYN)
        return skerry_refuse(err, ENOEXEC, STEP,
                             "ELF type %u is no program; link an executable",
                             h->e_type);
    if (h->e_phentsize != sizeof(Elf64_Phdr) || h->e_phnum == 0)
        return skerry_refuse(err, ENOEXEC, STEP, "no program headers");
    return 0;
}

static int read_header(Elf64_Ehdr *h, const uint8_t *file, uint64_t len,
                       struct skerry_error *err)
{
    if (len < SELFMAG || memcmp(file, ELFMAG, SELFMAG) != 0)
        return skerry_refuse(err, ENOEXEC, STEP, "not an ELF file");
    if (len < sizeof(*h))
        return skerry_refuse(err, ENOEXEC, STEP, "truncated: no ELF header");
    memcpy(h, file, sizeof(*h));
    int ret = refuse_kind(h, err);
    if (ret < 0)
        return ret;
    uint64_t table = (uint64_t)h->e_phnum * sizeof(Elf64_Phdr);
    if (h->e_phoff > len || table > len - h->e_phoff)
        return skerry_refuse(err, ENOEXEC, STEP, "truncated: program headers");
    return 0;
}

static int check_segment(const struct segment *s, uint64_t len, const struct layout *l,
                         struct skerry_error *err)
{
    if (s->file_offset > len || s->file_size > len - s->file_offset)
        return skerry_refuse(err, ENOEXEC, STEP,
                             "truncated: segment at 0x%lx ends behind the file",
                             (unsigned long)s->addr);
    if (s->file_size > s->mem_size)
        return skerry_refuse(err, ENOEXEC, STEP,
                             "segment at 0x%lx has more file than memory",
                             (unsigned long)s->addr);
    if (!region_holds(l->program, s->addr, s->mem_size) &&
        !region_holds(l->far, s->addr, s->mem_size))
        return skerry_refuse(
            err, ENOEXEC, STEP,
            "segment at 0x%lx, %lu bytes, lies outside the program's "
            "memory 0x%lx..0x%lx: raise max_memory, or link elsewhere, "
            "such as above 0x%lx",
            (unsigned long)s->addr, (unsigned long)s->mem_size,
            (unsigned long)l->program.begin, (unsigned long)l->program.end,
            (unsigned long)l->far.begin);
    return 0;
}

static int check_overlap(const struct image *image, const struct segment *s,
                         struct skerry_error *err)
{
    for (uint32_t i = 0; i < image->count; i++) {
        const struct segment *o = &image->segment[i];
        if (s->addr < o->addr + o->mem_size && o->addr < s->addr + s->mem_size)
            return skerry_refuse(err, ENOEXEC, STEP,
                                 "segments at 0x%lx and 0x%lx overlap",
                                 (unsigned long)o->addr, (unsigned long)s->addr);
    }
    return 0;
}

static int access_of(uint32_t flags)
{
    return (flags & PF_R ? ACCESS_READ : 0) | (flags & PF_W ? ACCESS_WRITE : 0) |
           (flags & PF_X ? ACCESS_EXECUTE : 0);
}

static int add_segment(struct image *image, const Elf64_Phdr *p, uint64_t bias,
                       uint64_t len, const struct layout *l, struct skerry_error *err)
{
    struct segment s = {p->p_vaddr + bias, p->p_memsz, p->p_offset, p->p_filesz,
                        access_of(p->p_flags)};
    if (s.mem_size == 0)
        return 0;
    if (image->count == IMAGE_SEGMENTS)
        return skerry_refuse(err, ENOEXEC, STEP, "more than %d segments",
                             IMAGE_SEGMENTS);
    int ret = check_segment(&s, len, l, err);
    if (ret == 0)
        ret = check_overlap(image, &s, err);
    if (ret < 0)
        return ret;
    if (s.addr < l->far.begin && s.addr + s.mem_size > image->end)
        image->end = s.addr + s.mem_size;
    image->segment[image->count++] = s;
    return 0;
}

static int check_entry(const struct image *image, struct skerry_error *err)
{
    for (uint32_t i = 0; i < image->count; i++) {
        const struct segment *s = &image->segment[i];
        if (s->access & ACCESS_EXECUTE && image->entry >= s->addr &&
            image->entry - s->addr < s->mem_size)
            return 0;
    }
    return skerry_refuse(err, ENOEXEC, STEP, "entry 0x%lx is not in executable memory",
                         (unsigned long)image->entry);
}

/* Where a loaded segment has the program headers, for AT_PHDR. */
static void find_headers(struct image *image, const Elf64_Ehdr *h)
{
    uint64_t table = (uint64_t)h->e_phnum * sizeof(Elf64_Phdr);
    for (uint32_t i = 0; i < image->count; i++) {
        const struct segment *s = &image->segment[i];
        if (h->e_phoff >= s->file_offset && table <= s->file_size &&
            h->e_phoff - s->file_offset <= s->file_size - table)
            image->headers_addr = s->addr + (h->e_phoff - s->file_offset);
    }
    image->header_count = h->e_phnum;
    image->header_size = sizeof(Elf64_Phdr);
}

/* The path of the dynamic linker, as the kernel takes it: one string, which ends where
 * the segment does. The first one counts. */
static int take_interpreter(struct image *image, const Elf64_Phdr *p,
                            const uint8_t *file, uint64_t len, struct skerry_error *err)
{
    if (image->interpreter)
        return 0;
    if (p->p_offset > len || p->p_filesz > len - p->p_offset)
        return skerry_refuse(err, ENOEXEC, STEP, "truncated: path of dynamic linker");
    const char *path = (const char *)file + p->p_offset;
    if (p->p_filesz < 2 || p->p_filesz > PATH_MAX || path[p->p_filesz - 1])
        return skerry_refuse(err, ENOEXEC, STEP,
                             "the path of its dynamic linker is no string of 1 to %d "
                             "bytes",
                             PATH_MAX - 1);
    if (path[0] != '/')
        return skerry_refuse(err, ENOEXEC, STEP,
                             "the path of its dynamic linker, '%.200s', is relative: "
                             "link again with an absolute one (-Wl,--dynamic-linker)",
                             path);
    image->interpreter = path;
    return 0;
}

struct source {
    const uint8_t *file;
    uint64_t len;
    const struct layout *layout;
};

static int add_header(struct image *image, const Elf64_Phdr *p, const struct source *s,
                      struct skerry_error *err)
{
    if (p->p_type == PT_LOAD)
        return add_segment(image, p, image->bias, s->len, s->layout, err);
    if (p->p_type == PT_INTERP)
        return take_interpreter(image, p, s->file, s->len, err);
    if (p->p_type == PT_GNU_STACK)
        image->executable_stack = !!(p->p_flags & PF_X);
    return 0;
}

static Elf64_Phdr header_at(const uint8_t *file, const Elf64_Ehdr *h, uint32_t i)
{
    Elf64_Phdr p;
    memcpy(&p, file + h->e_phoff + i * sizeof(p), sizeof(p));
    return p;
}

/* What is added to the addresses in a file, which may ask for an alignment. */
static int find_bias(struct image *image, const Elf64_Ehdr *h, const uint8_t *file,
                     uint64_t base, struct skerry_error *err)
{
    uint64_t most = PAGE_SIZE;
    if (h->e_type != ET_DYN)
        return 0;
    for (uint32_t i = 0; i < h->e_phnum; i++) {
        Elf64_Phdr p = header_at(file, h, i);
        if (p.p_type != PT_LOAD || p.p_align & (p.p_align - 1))
            continue;
        if (p.p_align > PIE_BASE)
            return skerry_refuse(
                err, ENOEXEC, STEP,
                "a segment is aligned to 0x%lx; expected 0x%lx at most",
                (unsigned long)p.p_align, PIE_BASE);
        most = p.p_align > most ? p.p_align : most;
    }
    image->bias = (base + most - 1) & ~(most - 1);
    return 0;
}

static int add_headers(struct image *image, const Elf64_Ehdr *h, const struct source *s,
                       struct skerry_error *err)
{
    int ret = 0;
    for (uint32_t i = 0; i < h->e_phnum && ret == 0; i++) {
        Elf64_Phdr p = header_at(s->file, h, i);
        ret = add_header(image, &p, s, err);
    }
    return ret;
}

int image_parse(struct image *image, const uint8_t *file, uint64_t len,
                const struct layout *l, uint64_t base, struct skerry_error *err)
{
    Elf64_Ehdr h;
    const struct source source = {file, len, l};
    memset(image, 0, sizeof(*image));
    image->end = l->program.begin;
    int ret = read_header(&h, file, len, err);
    if (ret == 0)
        ret = find_bias(image, &h, file, base, err);
    if (ret == 0)
        ret = add_headers(image, &h, &source, err);
    if (ret < 0)
        return ret;
    image->entry = image->start = h.e_entry + image->bias;
    find_headers(image, &h);
    return check_entry(image, err);
}

struct layout image_rest(const struct image *image, const struct layout *l)
{
    struct layout rest = *l;
    rest.program.begin = page_up(image->end);
    rest.far.begin = rest.far.end;
    return rest;
}

static void widen(uint8_t *base, const struct layout *l, struct region r, int access)
{
    paging_protect(base, l, r.begin, r.end - r.begin, access, 1);
}

void image_load(const struct image *image, const uint8_t *file, uint8_t *base,
                const struct layout *l)
{
    for (uint32_t i = 0; i < image->count; i++) {
        const struct segment *s = &image->segment[i];
        if (s->addr >= l->far.begin)
            continue;
        paging_protect(base, l, s->addr, s->mem_size, ACCESS_NONE, 0);
    }
    for (uint32_t i = 0; i < image->count; i++) {
        const struct segment *s = &image->segment[i];
        if (s->addr >= l->far.begin)
            continue;
        memcpy(base + s->addr, file + s->file_offset, s->file_size);
        paging_protect(base, l, s->addr, s->mem_size, s->access, 1);
    }
    if (image->executable_stack) {
        widen(base, l, l->main_stack, ACCESS_EXECUTE);
        widen(base, l, l->call_stack, ACCESS_EXECUTE);
    }
}
