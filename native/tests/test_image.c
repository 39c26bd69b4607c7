/* Program files: what is refused, with which reason, and how the rest is loaded. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include "check.h"
#include "image.h"
#include "paging.h"
#include "tiny.h"

#define MEMORY (12UL << 20)

static struct layout layout;
static struct image image;
static struct skerry_error error;

/* A copy of exactly (len) bytes, so that no look behind it goes unseen. */
static int parse(const void *file, size_t len)
{
    uint8_t *copy = malloc(len ? len : 1);
    memcpy(copy, file, len);
    memset(&error, 0, sizeof(error));
    CHECK_EQ(layout_make(&layout, MEMORY, 0), 0);
    int ret = image_parse(&image, copy, len, &layout, PIE_BASE, &error);
    free(copy);
    return ret;
}

static struct tiny good(void)
{
    return tiny_program("\x0f\x0b", 2);
}

static void check_refused(const struct tiny *t, const char *reason)
{
    CHECK_EQ(parse(t, sizeof(*t)), -ENOEXEC);
    if (!strstr(error.text, reason))
        check_fail(__FILE__, __LINE__, "\"%s\" does not say \"%s\"", error.text,
                   reason);
    CHECK_EQ(error.code, ENOEXEC);
    CHECK_TEXT(error.step, "load");
}

TEST(the_smallest_program_is_taken)
{
    struct tiny t = good();
    CHECK_EQ(parse(&t, sizeof(t)), 0);
    CHECK(image.count == 1 && image.entry == TINY_ENTRY);
    CHECK_EQ(image.headers_addr, TINY_ADDR + offsetof(struct tiny, segment));
    CHECK(image.header_count == 1 && image.header_size == sizeof(Elf64_Phdr));
    CHECK_EQ(image.end, TINY_ADDR + sizeof(t));
}

TEST(a_position_independent_program_is_moved)
{
    struct tiny t = good();
    t.header.e_type = ET_DYN;
    t.segment.p_vaddr = 0x1000;
    t.header.e_entry = 0x1000 + offsetof(struct tiny, code);
    CHECK_EQ(parse(&t, sizeof(t)), 0);
    CHECK_EQ(image.segment[0].addr, PIE_BASE + 0x1000);
    CHECK_EQ(image.entry, PIE_BASE + t.header.e_entry);
}

TEST(every_truncated_program_is_refused)
{
    struct tiny t = good();
    for (size_t len = 0; len < sizeof(t); len++)
        CHECK_EQ(parse(&t, len), -ENOEXEC);
    CHECK(strstr(error.text, "truncated") != NULL);
    CHECK_EQ(parse(&t, sizeof(t)), 0);
}

#define REFUSES(change, reason)                                                        \
    do {                                                                               \
        struct tiny t = good();                                                        \
        change;                                                                        \
        check_refused(&t, reason);                                                     \
    } while (0)

TEST(files_of_another_kind_are_refused)
{
    REFUSES(t.header.e_ident[0] = '#', "not an ELF file");
    REFUSES(t.header.e_ident[EI_CLASS] = ELFCLASS32, "not a 64-bit little-endian");
    REFUSES(t.header.e_ident[EI_DATA] = ELFDATA2MSB, "not a 64-bit little-endian");
    REFUSES(t.header.e_machine = EM_AARCH64, "machine 183; expected x86-64");
    REFUSES(t.header.e_type = ET_REL, "link an executable");
    REFUSES(t.header.e_type = ET_CORE, "is no program");
    REFUSES(t.header.e_phnum = 0, "no program headers");
    REFUSES(t.header.e_phentsize = 32, "no program headers");
}

TEST(headers_and_segments_that_lie_outside_the_file_are_refused)
{
    REFUSES(t.header.e_phoff = UINT64_MAX, "truncated: program headers");
    REFUSES(t.header.e_phoff = sizeof(t) - 8, "truncated: program headers");
    REFUSES(t.header.e_phnum = 500, "truncated: program headers");
    REFUSES(t.segment.p_offset = sizeof(t) + 1, "ends behind the file");
    REFUSES(t.segment.p_offset = UINT64_MAX, "ends behind the file");
    REFUSES(t.segment.p_offset = 8;
            t.segment.p_filesz = t.segment.p_memsz = -8UL, "ends behind the file");
    REFUSES(t.segment.p_filesz++; t.segment.p_memsz++, "ends behind the file");
    REFUSES(t.segment.p_filesz = t.segment.p_memsz = UINT64_MAX, "behind the file");
}

TEST(segments_that_lie_outside_the_programs_memory_are_refused)
{
    REFUSES(t.segment.p_memsz--, "more file than memory");
    REFUSES(t.segment.p_vaddr = PROGRAM_LOW - 1, "outside the program's memory");
    REFUSES(t.segment.p_vaddr = 0, "outside the program's memory");
    REFUSES(t.segment.p_vaddr = MEMORY - sizeof(t) + 1, "raise max_memory");
    REFUSES(t.segment.p_vaddr = UINT64_MAX, "outside the program's memory");
    REFUSES(t.segment.p_memsz = UINT64_MAX, "outside the program's memory");
    REFUSES(t.segment.p_memsz = -t.segment.p_vaddr + PROGRAM_LOW + 9, "outside");
}

TEST(an_entry_that_cannot_be_executed_is_refused)
{
    REFUSES(t.header.e_entry = 0, "entry 0x0 is not in executable memory");
    REFUSES(t.header.e_entry = TINY_ADDR - 1, "not in executable memory");
    REFUSES(t.header.e_entry = TINY_ADDR + sizeof(t), "not in executable memory");
    REFUSES(t.segment.p_flags = PF_R | PF_W, "not in executable memory");
    REFUSES(t.segment.p_type = PT_NOTE, "not in executable memory");
    REFUSES(t.segment.p_memsz = t.segment.p_filesz = 0, "not in executable memory");
}

/* A program and the path of its dynamic linker, (len) bytes long, where a second header
 * says. */
struct linked {
    Elf64_Ehdr header;
    Elf64_Phdr segment[2];
    char path[PATH_MAX + 2];
};

static struct linked linked_to(const char *path, uint64_t len)
{
    struct tiny t = good();
    struct linked l = {.header = t.header, .segment = {t.segment, t.segment}};
    l.header.e_phnum = 2;
    l.header.e_entry = TINY_ADDR;
    l.segment[1].p_type = PT_INTERP;
    l.segment[1].p_offset = offsetof(struct linked, path);
    l.segment[1].p_filesz = len;
    strcpy(l.path, path);
    return l;
}

static void check_path_refused(struct linked l, const char *reason)
{
    CHECK_EQ(parse(&l, sizeof(l)), -ENOEXEC);
    if (!strstr(error.text, reason))
        check_fail(__FILE__, __LINE__, "\"%s\" does not say \"%s\"", error.text,
                   reason);
}

TEST(the_path_of_a_dynamic_linker_is_one_whole_absolute_string)
{
    static char longest[PATH_MAX + 1];
    memset(longest, '/', PATH_MAX - 1);
    struct linked l = linked_to("/lib/ld.so", 11);
    CHECK_EQ(image_parse(&image, (uint8_t *)&l, sizeof(l), &layout, PIE_BASE, NULL), 0);
    CHECK_TEXT(image.interpreter, "/lib/ld.so");
    l = linked_to(longest, PATH_MAX);
    CHECK_EQ(parse(&l, sizeof(l)), 0);
    longest[PATH_MAX - 1] = '/';
    check_path_refused(linked_to(longest, PATH_MAX + 1), "no string of 1 to 4095");
    check_path_refused(linked_to("/lib/ld.so", 10), "no string of 1 to 4095");
    check_path_refused(linked_to("", 1), "no string of 1 to 4095");
    check_path_refused(linked_to("", 0), "no string of 1 to 4095");
    check_path_refused(linked_to("ld.so", 6), "'ld.so', is relative");
    check_path_refused(linked_to("/lib/ld.so", UINT64_MAX), "truncated: path");
    check_path_refused(linked_to("/lib/ld.so", sizeof(l)), "truncated: path");
}

TEST(a_position_independent_program_gets_the_alignment_it_asks_for)
{
    const uint64_t bases[] = {PIE_BASE, PIE_BASE + 0x1000};
    for (int i = 0; i < 2; i++) {
        struct tiny t = good();
        t.header.e_type = ET_DYN;
        t.segment.p_vaddr = 0;
        t.header.e_entry = offsetof(struct tiny, code);
        t.segment.p_align = LARGE_PAGE;
        CHECK_EQ(image_parse(&image, (uint8_t *)&t, sizeof(t), &layout, bases[i], NULL),
                 0);
        CHECK_EQ(image.segment[0].addr, PIE_BASE + (uint64_t)i * LARGE_PAGE);
        t.segment.p_align = 2 * PIE_BASE;
        check_refused(&t, "aligned to 0x800000; expected 0x400000 at most");
        t.segment.p_align = UINT64_MAX; /* no power of two: as Linux, not looked at */
        CHECK_EQ(parse(&t, sizeof(t)), 0);
    }
}

/* A program of many segments: 0x1000 bytes each, (apart) bytes from the last one. */
struct many {
    Elf64_Ehdr header;
    Elf64_Phdr segment[IMAGE_SEGMENTS + 1];
};

static struct many many_segments(uint16_t count, uint64_t apart)
{
    struct tiny t = good();
    struct many m = {.header = t.header};
    m.header.e_phnum = count;
    m.header.e_entry = TINY_ADDR;
    for (uint64_t i = 0; i < count; i++) {
        m.segment[i] = t.segment;
        m.segment[i].p_vaddr = TINY_ADDR + i * apart;
        m.segment[i].p_filesz = 0;
        m.segment[i].p_memsz = 0x1000;
    }
    return m;
}

TEST(overlapping_segments_are_refused)
{
    struct many m = many_segments(2, 0x1000);
    CHECK_EQ(parse(&m, sizeof(m)), 0);
    m = many_segments(2, 0xfff);
    CHECK_EQ(parse(&m, sizeof(m)), -ENOEXEC);
    CHECK_TEXT(error.text, "segments at 0x400000 and 0x400fff overlap");
    m = many_segments(3, 0);
    CHECK_EQ(parse(&m, sizeof(m)), -ENOEXEC);
}

TEST(the_number_of_segments_has_a_bound)
{
    struct many m = many_segments(IMAGE_SEGMENTS, 0x1000);
    CHECK_EQ(parse(&m, sizeof(m)), 0);
    m = many_segments(IMAGE_SEGMENTS + 1, 0x1000);
    CHECK_EQ(parse(&m, sizeof(m)), -ENOEXEC);
    CHECK_TEXT(error.text, "more than 32 segments");
}

static uint8_t *base;

static void begin_load(void)
{
    CHECK_EQ(layout_make(&layout, MEMORY, 0), 0);
    base = calloc(1, layout.slot_size);
    paging_build(base, &layout);
}

TEST(a_loaded_program_is_in_its_place_with_zeros_behind)
{
    struct tiny t = good();
    t.segment.p_memsz += 0x3000;
    begin_load();
    CHECK_EQ(parse(&t, sizeof(t)), 0);
    image_load(&image, (const uint8_t *)&t, base, &layout);
    CHECK(memcmp(base + TINY_ADDR, &t, sizeof(t)) == 0);
    for (size_t i = 0; i < 0x3000; i++)
        CHECK_EQ(base[TINY_ADDR + sizeof(t) + i], 0);
    CHECK_EQ(image.end, TINY_ADDR + sizeof(t) + 0x3000);
    free(base);
}

static int access_at(uint64_t addr)
{
    return paging_access(base, &layout, addr);
}

TEST(segments_have_the_access_that_they_ask_for)
{
    struct many m = many_segments(4, 0x2000);
    const uint32_t flags[] = {PF_R | PF_X, PF_R, PF_R | PF_W, 0};
    for (int i = 0; i < 4; i++)
        m.segment[i].p_flags = flags[i];
    begin_load();
    CHECK_EQ(parse(&m, sizeof(m)), 0);
    image_load(&image, (const uint8_t *)&m, base, &layout);
    CHECK_EQ(access_at(TINY_ADDR), ACCESS_READ | ACCESS_EXECUTE);
    CHECK_EQ(access_at(TINY_ADDR + 0x2000), ACCESS_READ);
    CHECK_EQ(access_at(TINY_ADDR + 0x4000), ACCESS_READ | ACCESS_WRITE);
    CHECK_EQ(access_at(TINY_ADDR + 0x6000), ACCESS_NONE);
    CHECK_EQ(access_at(TINY_ADDR + 0x1000), ACCESS_READ | ACCESS_WRITE);
    free(base);
}

TEST(a_page_of_two_segments_allows_what_either_asks_for)
{
    struct many m = many_segments(2, 0x1800);
    m.segment[0].p_memsz = 0x1800;
    m.segment[0].p_flags = PF_R | PF_X;
    m.segment[1].p_flags = PF_R | PF_W;
    begin_load();
    CHECK_EQ(parse(&m, sizeof(m)), 0);
    image_load(&image, (const uint8_t *)&m, base, &layout);
    CHECK_EQ(access_at(TINY_ADDR), ACCESS_READ | ACCESS_EXECUTE);
    CHECK_EQ(access_at(TINY_ADDR + 0x1000),
             ACCESS_READ | ACCESS_WRITE | ACCESS_EXECUTE);
    CHECK_EQ(access_at(TINY_ADDR + 0x2000), ACCESS_READ | ACCESS_WRITE);
    free(base);
}

TEST(only_a_program_that_asks_for_it_has_an_executable_stack)
{
    for (int asks = 0; asks < 2; asks++) {
        struct linked l = linked_to("/ld", 4);
        l.segment[1].p_type = PT_GNU_STACK;
        l.segment[1].p_flags = PF_R | PF_W | (asks ? PF_X : 0);
        begin_load();
        CHECK_EQ(image_parse(&image, (uint8_t *)&l, sizeof(l), &layout, PIE_BASE, NULL),
                 0);
        image_load(&image, (const uint8_t *)&l, base, &layout);
        int wanted = ACCESS_READ | ACCESS_WRITE | (asks ? ACCESS_EXECUTE : 0);
        CHECK_EQ(access_at(layout.main_stack.begin), wanted);
        CHECK_EQ(access_at(layout.call_stack.end - PAGE_SIZE), wanted);
        CHECK_EQ(access_at(layout.main_stack.end), ACCESS_NONE);
        free(base);
    }
}
