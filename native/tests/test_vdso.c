/* The vDSO that a program finds, read as C libraries and Go read it: by its dynamic
 * section, hash table and versions. */
#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/syscall.h>

#include "bare.h"
#include "check.h"
#include "paging.h"
#include "vdso.h"
#include "x86.h"

static struct layout l;
static uint8_t *base;
static struct hostvdso host;

static void begin(int with_host)
{
    hostvdso_find(&host);
    CHECK_EQ(layout_make(&l, MAX_MEMORY_MIN, 0), 0);
    base = calloc(1, l.slot_size);
    paging_build(base, &l);
    vdso_install(base, &l, with_host ? &host : NULL);
}

static const void *at(uint64_t offset)
{
    CHECK(offset < VDSO_CODE_ADDR - VDSO_ADDR);
    return base + VDSO_ADDR + offset;
}

/* What the dynamic section says of (tag). */
static uint64_t entry(int64_t tag)
{
    const Elf64_Ehdr *e = at(0);
    const Elf64_Phdr *p = at(e->e_phoff);
    CHECK(memcmp(e->e_ident, ELFMAG, SELFMAG) == 0 && e->e_phnum == 2);
    CHECK(p[0].p_type == PT_LOAD && p[0].p_vaddr == 0 && p[0].p_offset == 0);
    CHECK(p[1].p_type == PT_DYNAMIC);
    for (const Elf64_Dyn *d = at(p[1].p_offset); d->d_tag != DT_NULL; d++)
        if (d->d_tag == tag)
            return d->d_un.d_val;
    check_fail(__FILE__, __LINE__, "no entry %lld", (long long)tag);
}

static unsigned long elf_hash(const char *name)
{
    unsigned long h = 0, high;
    for (; *name; name++) {
        h = (h << 4) + (unsigned char)*name;
        high = h & 0xf0000000;
        h = (h ^ high >> 24) & ~high;
    }
    return h;
}

static void check_version(uint16_t version)
{
    const Elf64_Verdef *d = at(entry(DT_VERDEF));
    const char *strings = at(entry(DT_STRTAB));
    CHECK_EQ(entry(DT_VERDEFNUM), 2);
    while (d->vd_ndx != version || d->vd_flags & VER_FLG_BASE) {
        CHECK(d->vd_next);
        d = (const void *)((const uint8_t *)d + d->vd_next);
    }
    const Elf64_Verdaux *aux = (const void *)((const uint8_t *)d + d->vd_aux);
    CHECK_TEXT(strings + aux->vda_name, "LINUX_2.6");
    CHECK_EQ(d->vd_hash, elf_hash("LINUX_2.6"));
}

/* Where function (name) is in the guest, or 0. */
static uint64_t find(const char *name)
{
    const uint32_t *hash = at(entry(DT_HASH));
    const Elf64_Sym *symbols = at(entry(DT_SYMTAB));
    const Elf64_Half *versions = at(entry(DT_VERSYM));
    const char *strings = at(entry(DT_STRTAB));
    for (uint32_t i = hash[2 + elf_hash(name) % hash[0]]; i;
         i = hash[2 + hash[0] + i]) {
        CHECK(i < hash[1] && symbols[i].st_name < entry(DT_STRSZ));
        if (strcmp(strings + symbols[i].st_name, name) != 0)
            continue;
        CHECK_EQ(symbols[i].st_info, ELF64_ST_INFO(STB_GLOBAL, STT_FUNC));
        CHECK(symbols[i].st_shndx != SHN_UNDEF);
        check_version(versions[i]);
        return VDSO_ADDR + symbols[i].st_value;
    }
    return 0;
}

static const struct {
    const char *name;
    int number;
} functions[] = {{"__vdso_clock_gettime", SYS_clock_gettime},
                 {"__vdso_gettimeofday", SYS_gettimeofday},
                 {"__vdso_time", SYS_time},
                 {"__vdso_clock_getres", SYS_clock_getres}};

TEST(a_program_finds_the_functions_of_its_vdso)
{
    begin(0);
    const char *strings = at(entry(DT_STRTAB));
    CHECK_TEXT(strings + entry(DT_SONAME), "linux-vdso.so.1");
    for (size_t i = 0; i < sizeof(functions) / sizeof(*functions); i++)
        CHECK(find(functions[i].name) >= VDSO_CODE_ADDR);
    CHECK(find("__vdso_getcpu") >= VDSO_CODE_ADDR);
    CHECK_EQ(find("__vdso_clock_gettime"), VDSO_CLOCK_GETTIME);
    CHECK_EQ(find("__vdso_getrandom"), 0); /* clones would all have its state */
    CHECK_EQ(((const uint32_t *)at(entry(DT_HASH)))[1], 6);
    free(base);
}

TEST(functions_of_the_vdso_lead_to_the_kernels)
{
    begin(1);
    CHECK(host.code == (const uint8_t *)getauxval(AT_SYSINFO_EHDR));
    CHECK(memcmp(base + HOST_VDSO_ADDR, host.code, host.code_size) == 0);
    for (size_t i = 0; i < sizeof(functions) / sizeof(*functions); i++) {
        uint64_t addr = find(functions[i].name);
        int32_t distance;
        memcpy(&distance, base + addr + 1, sizeof(distance));
        CHECK_EQ(base[addr], 0xe9);
        CHECK_EQ(addr + 5 + (uint64_t)distance - HOST_VDSO_ADDR,
                 hostvdso_function(&host, functions[i].name));
    }
    free(base);
}

TEST(functions_of_the_vdso_make_system_calls_where_the_kernels_cannot_be_used)
{
    begin(0);
    for (size_t i = 0; i < sizeof(functions) / sizeof(*functions); i++) {
        const uint8_t *code = base + find(functions[i].name);
        int number;
        memcpy(&number, code + 1, sizeof(number));
        CHECK(code[0] == 0xb8 && number == functions[i].number);
        CHECK(memcmp(code + 5, "\x0f\x05\xc3", 3) == 0);
    }
    CHECK_EQ(paging_access(base, &l, HOST_VDSO_ADDR), 0);
    free(base);
}

TEST(functions_of_the_vdso_are_at_the_same_place_with_any_kernel)
{
    uint64_t places[4];
    begin(1);
    for (size_t i = 0; i < 4; i++)
        places[i] = find(functions[i].name);
    free(base);
    begin(0);
    for (size_t i = 0; i < 4; i++)
        CHECK_EQ(find(functions[i].name), places[i]);
    free(base);
}

static uint64_t leaf(uint64_t addr)
{
    uint64_t entry;
    memcpy(&entry, base + l.leaf_tables + addr / PAGE_SIZE * 8, sizeof(entry));
    return entry;
}

TEST(a_program_only_reads_the_clocks_pages_and_the_host_does_not_for_it)
{
    begin(1);
    struct guestmem mem = {.base = base, .layout = l};
    uint8_t byte;
    for (uint64_t i = 1; i <= host.data_size / PAGE_SIZE; i++) {
        uint64_t addr = HOST_VDSO_ADDR - i * PAGE_SIZE, entry = leaf(addr);
        CHECK_EQ(entry & PTE_ADDRESS, CLOCK_SLOT_ADDR + host.data_size - i * PAGE_SIZE);
        CHECK(entry & PTE_NO_EXECUTE && entry & PTE_USER && !(entry & PTE_WRITE));
        CHECK_EQ(guest_read(&mem, addr, &byte, 1), -EFAULT);
    }
    CHECK_EQ(leaf(HOST_VDSO_ADDR - host.data_size - PAGE_SIZE), 0);
    CHECK_EQ(guest_read(&mem, VDSO_ADDR, &byte, 1), 0);
    CHECK_EQ(guest_write(&mem, VDSO_ADDR, &byte, 1), -EFAULT);
    CHECK_EQ(guest_write(&mem, HOST_VDSO_ADDR, &byte, 1), -EFAULT);
    CHECK(!guest_executable(&mem, VDSO_CLOCK_GETTIME));
    free(base);
}

TEST(a_kernels_vdso_without_a_table_of_symbols_is_not_used)
{
    hostvdso_find(&host);
    uint8_t *copy = malloc(host.code_size);
    struct hostvdso stripped = {.code = copy, .code_size = host.code_size};
    memcpy(copy, host.code, host.code_size);
    CHECK(hostvdso_function(&stripped, "__vdso_time"));
    CHECK_EQ(hostvdso_function(&stripped, "__vdso_tim"), 0);
    ((Elf64_Ehdr *)(void *)copy)->e_shoff = 0;
    CHECK_EQ(hostvdso_function(&stripped, "__vdso_time"), 0);
    ((Elf64_Ehdr *)(void *)copy)->e_shoff = host.code_size - 64;
    CHECK_EQ(hostvdso_function(&stripped, "__vdso_time"), 0);
    CHECK_EQ(hostvdso_function(&(struct hostvdso){0}, "__vdso_time"), 0);
    free(copy);
}
