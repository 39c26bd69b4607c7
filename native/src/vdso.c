/* vdso.c: see vdso.h. ELF: System V ABI, chapters 4 and 5; versions of symbols: Linux
 * Standard Base, 10.7. Written at run time, by hand: what a compiler and a linker make
 * differs with them, and these bytes are at fixed places. */
#include "vdso.h"

#include <elf.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>

#include "paging.h"

/* Not __vdso_getrandom: all clones would have the same state of it, and so the same
 * numbers. getcpu is ours: a guest has one processor, whichever it runs on. */
static const struct function {
    const char *name;
    int number; /* of the system call */
} functions[] = {{"__vdso_clock_gettime", SYS_clock_gettime},
                 {"__vdso_gettimeofday", SYS_gettimeofday},
                 {"__vdso_time", SYS_time},
                 {"__vdso_clock_getres", SYS_clock_getres},
                 {"__vdso_getcpu", SYS_getcpu}};

#define FUNCTIONS (sizeof(functions) / sizeof(*functions))
#define SYMBOLS (FUNCTIONS + 1) /* the first one is no symbol */
#define SONAME "linux-vdso.so.1"
#define VERSION "LINUX_2.6"
#define VERSION_HASH 0x3ae75f6 /* of that, as ELF hashes names */
#define VERSION_INDEX 2        /* 1 is the file's own */
#define TEXT_INDEX 1           /* any section but none: there is no table of them */

struct definition {
    Elf64_Verdef head;
    Elf64_Verdaux name;
};

struct image {
    Elf64_Ehdr header;
    Elf64_Phdr load, dynamic;
    Elf64_Dyn entries[10];
    Elf64_Sym symbols[SYMBOLS];
    uint32_t hash[2 + 1 + SYMBOLS]; /* one bucket, a chain through all symbols */
    Elf64_Half versions[SYMBOLS];
    struct definition definitions[2];
    char strings[256];
};
_Static_assert(sizeof(struct image) <= VDSO_CODE_ADDR - VDSO_ADDR, "code is behind it");

#define AT(member) offsetof(struct image, member)

static const Elf64_Ehdr header = {.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3,
                                              ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
                                  .e_type = ET_DYN,
                                  .e_machine = EM_X86_64,
                                  .e_version = EV_CURRENT,
                                  .e_phoff = AT(load),
                                  .e_ehsize = sizeof(Elf64_Ehdr),
                                  .e_phentsize = sizeof(Elf64_Phdr),
                                  .e_phnum = 2};

static const Elf64_Phdr load = {.p_type = PT_LOAD,
                                .p_flags = PF_R | PF_X,
                                .p_filesz = PAGE_SIZE,
                                .p_memsz = PAGE_SIZE,
                                .p_align = PAGE_SIZE};

static const Elf64_Phdr dynamic = {.p_type = PT_DYNAMIC,
                                   .p_flags = PF_R,
                                   .p_offset = AT(entries),
                                   .p_vaddr = AT(entries),
                                   .p_paddr = AT(entries),
                                   .p_filesz = sizeof(((struct image *)0)->entries),
                                   .p_memsz = sizeof(((struct image *)0)->entries),
                                   .p_align = 8};

/* Adds a string; returns where it is. The first is the empty one. */
static uint32_t put_string(struct image *image, uint32_t *used, const char *text)
{
    uint32_t at = *used;
    *used += (uint32_t)strlen(text) + 1;
    memcpy(image->strings + at, text, strlen(text) + 1);
    return at;
}

static void put_definition(struct definition *d, uint16_t index, uint16_t flags,
                           uint32_t hash, uint32_t name)
{
    *d = (struct definition){.head = {.vd_version = VER_DEF_CURRENT,
                                      .vd_flags = flags,
                                      .vd_ndx = index,
                                      .vd_cnt = 1,
                                      .vd_hash = hash,
                                      .vd_aux = offsetof(struct definition, name)},
                             .name = {.vda_name = name}};
}

static void put_symbols(struct image *image, uint32_t *strings)
{
    uint32_t *chain = image->hash + 3;
    image->hash[0] = 1;
    image->hash[1] = SYMBOLS;
    image->hash[2] = 1;
    for (uint32_t i = 1; i < SYMBOLS; i++) {
        image->symbols[i] = (Elf64_Sym){
            .st_name = put_string(image, strings, functions[i - 1].name),
            .st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC),
            .st_shndx = TEXT_INDEX,
            .st_value = VDSO_CODE_ADDR - VDSO_ADDR + (i - 1) * VDSO_FUNCTION_SIZE,
            .st_size = VDSO_FUNCTION_SIZE};
        image->versions[i] = VERSION_INDEX;
        chain[i] = i + 1 < SYMBOLS ? i + 1 : 0;
    }
}

static void put_entries(struct image *image, uint32_t soname, uint32_t strings)
{
    const Elf64_Dyn entries[] = {
        {DT_SONAME, {soname}},       {DT_HASH, {AT(hash)}},
        {DT_STRTAB, {AT(strings)}},  {DT_SYMTAB, {AT(symbols)}},
        {DT_STRSZ, {strings}},       {DT_SYMENT, {sizeof(Elf64_Sym)}},
        {DT_VERSYM, {AT(versions)}}, {DT_VERDEF, {AT(definitions)}},
        {DT_VERDEFNUM, {2}},         {DT_NULL, {0}}};
    _Static_assert(sizeof(entries) == sizeof(image->entries), "all of them");
    memcpy(image->entries, entries, sizeof(entries));
}

static void build(struct image *image)
{
    uint32_t strings = 1;
    uint32_t soname = put_string(image, &strings, SONAME);
    uint32_t version = put_string(image, &strings, VERSION);
    image->header = header;
    image->load = load;
    image->dynamic = dynamic;
    put_definition(&image->definitions[0], 1, VER_FLG_BASE, 0, soname);
    image->definitions[0].head.vd_next = sizeof(struct definition);
    put_definition(&image->definitions[1], VERSION_INDEX, 0, VERSION_HASH, version);
    put_symbols(image, &strings);
    put_entries(image, soname, strings);
}

/* mov $number, %eax; syscall; ret */
static void put_call(uint8_t *at, int number)
{
    const uint8_t code[] = {
        0xb8, (uint8_t)number, (uint8_t)(number >> 8), 0, 0, 0x0f, 0x05, 0xc3};
    memcpy(at, code, sizeof(code));
}

/* jmp, from guest address (from) to (to) */
static void put_jump(uint8_t *at, uint64_t from, uint64_t to)
{
    int32_t distance = (int32_t)(to - from - 5);
    at[0] = 0xe9;
    memcpy(at + 1, &distance, sizeof(distance));
}

/* Processor 0 of node 0: int getcpu(unsigned *cpu, unsigned *node). */
static void put_getcpu(uint8_t *at)
{
    static const uint8_t code[] = {0x31, 0xc0,       /* xor %eax, %eax */
                                   0x48, 0x85, 0xff, /* test %rdi, %rdi */
                                   0x74, 0x02,       /* je 1f */
                                   0x89, 0x07,       /* mov %eax, (%rdi) */
                                   0x48, 0x85, 0xf6, /* 1: test %rsi, %rsi */
                                   0x74, 0x02,       /* je 2f */
                                   0x89, 0x06,       /* mov %eax, (%rsi) */
                                   0xc3};            /* 2: ret */
    _Static_assert(sizeof(code) <= VDSO_FUNCTION_SIZE, "one function");
    memcpy(at, code, sizeof(code));
}

static void put_function(uint8_t *base, uint64_t addr, const struct function *f,
                         const struct hostvdso *host)
{
    uint64_t at = host ? hostvdso_function(host, f->name) : 0;
    if (f->number == SYS_getcpu)
        put_getcpu(base + addr);
    else if (at)
        put_jump(base + addr, addr, HOST_VDSO_ADDR + at);
    else
        put_call(base + addr, f->number);
}

static void install_host(uint8_t *base, const struct layout *l,
                         const struct hostvdso *host)
{
    memcpy(base + HOST_VDSO_ADDR, host->code, host->code_size);
    paging_protect(base, l, HOST_VDSO_ADDR, host->code_size,
                   ACCESS_READ | ACCESS_EXECUTE, 0);
    paging_show(base, l, HOST_VDSO_ADDR - host->data_size, host->data_size,
                CLOCK_SLOT_ADDR);
}

void vdso_install(uint8_t *base, const struct layout *l, const struct hostvdso *host)
{
    build((struct image *)(void *)(base + VDSO_ADDR));
    for (uint64_t i = 0; i < FUNCTIONS; i++)
        put_function(base, VDSO_CODE_ADDR + i * VDSO_FUNCTION_SIZE, &functions[i],
                     host);
    paging_protect(base, l, VDSO_ADDR, PAGE_SIZE, ACCESS_READ | ACCESS_EXECUTE, 0);
    if (host)
        install_host(base, l, host);
}
