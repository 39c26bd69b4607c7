/* hostvdso.c: see hostvdso.h. */
#include "hostvdso.h"

#include <elf.h>
#include <stdio.h>
#include <string.h>

#include "layout.h"

static const uint8_t *address(unsigned long at)
{
    return (const uint8_t *)at; /* NOLINT: the kernel says where it is */
}

/* A line of proc_pid_maps(5). The data may be several mappings that touch. */
static void take_mapping(struct hostvdso *v, unsigned long begin, unsigned long end,
                         const char *name)
{
    if (strncmp(name, "[vvar", 5) == 0) {
        if (!v->data || v->data + v->data_size != address(begin))
            v->data = address(begin);
        v->data_size = (uint64_t)(address(end) - v->data);
    } else if (strcmp(name, "[vdso]") == 0) {
        v->code = address(begin);
        v->code_size = end - begin;
    }
}

static void read_mappings(struct hostvdso *v)
{
    char line[512], name[64];
    unsigned long begin, end;
    FILE *file = fopen("/proc/self/maps", "re");
    while (file && fgets(line, sizeof(line), file))
        if (sscanf(line, "%lx-%lx %*s %*s %*s %*s %63s", &begin, &end, name) == 3)
            take_mapping(v, begin, end, name);
    if (file)
        fclose(file);
}

/* FNV-1a: it tells kernels apart, nobody makes one up. */
static uint64_t identify(const struct hostvdso *v)
{
    uint64_t id = 0xcbf29ce484222325UL ^ v->data_size;
    for (uint64_t i = 0; i < v->code_size; i++)
        id = (id ^ v->code[i]) * 0x100000001b3UL;
    return id;
}

void hostvdso_find(struct hostvdso *v)
{
    *v = (struct hostvdso){0};
    read_mappings(v);
    if (!v->code || !v->data_size || v->data + v->data_size != v->code ||
        v->code_size > HOST_VDSO_MAX || v->data_size > CLOCK_PAGES_MAX)
        *v = (struct hostvdso){0};
    else
        v->id = identify(v);
}

static const Elf64_Ehdr *header(const struct hostvdso *v)
{
    return (const void *)v->code;
}

/* Section headers, or NULL when the image has been stripped of them. */
static const Elf64_Shdr *sections(const struct hostvdso *v)
{
    uint64_t at = header(v)->e_shoff;
    uint64_t end = at + header(v)->e_shnum * sizeof(Elf64_Shdr);
    return at && end <= v->code_size ? (const void *)(v->code + at) : NULL;
}

/* The one with the symbols that others may use, or NULL. */
static const Elf64_Shdr *symbol_section(const struct hostvdso *v)
{
    const Elf64_Shdr *s = v->code ? sections(v) : NULL;
    for (int left = s ? header(v)->e_shnum : 0; left; left--, s++)
        if (s->sh_type == SHT_DYNSYM)
            return s;
    return NULL;
}

uint64_t hostvdso_function(const struct hostvdso *v, const char *name)
{
    const Elf64_Shdr *symbols = symbol_section(v);
    if (!symbols)
        return 0;
    const Elf64_Sym *s = (const void *)(v->code + symbols->sh_offset);
    const uint8_t *names = v->code + sections(v)[symbols->sh_link].sh_offset;
    for (uint64_t left = symbols->sh_size / sizeof(*s); left; left--, s++)
        if (s->st_shndx != SHN_UNDEF &&
            strcmp((const char *)names + s->st_name, name) == 0)
            return s->st_value;
    return 0;
}
