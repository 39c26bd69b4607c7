/* stack.c: see stack.h. x86-64 psABI 3.4.1. */
#include "stack.h"

#include <elf.h>
#include <errno.h>
#include <string.h>
#include <sys/random.h>

#define AUX_PAIRS 18
#define HWCAP2_FSGSBASE 2

struct cursor {
    struct guestmem *gm;
    uint64_t at; /* strings are written downwards from here */
    uint64_t floor;
};

/* Puts bytes on the stack; returns their address, or 0 when there is no room. */
static uint64_t put(struct cursor *c, const void *src, uint64_t len)
{
    if (c->at == 0 || len > c->at - c->floor)
        return c->at = 0;
    c->at -= len;
    return guest_write(c->gm, c->at, src, len) == 0 ? c->at : 0;
}

static void put_strings(struct cursor *c, const char *const *strings, uint32_t count,
                        uint64_t *addrs)
{
    for (uint32_t i = 0; i < count; i++)
        addrs[i] = put(c, strings[i], strlen(strings[i]) + 1);
}

static uint32_t put_aux(uint64_t (*aux)[2], const struct image *image, uint64_t random,
                        uint64_t name)
{
    const uint64_t pairs[AUX_PAIRS][2] = {
        {AT_SYSINFO_EHDR, VDSO_ADDR},
        {AT_PHDR, image->headers_addr},
        {AT_PHENT, image->header_size},
        {AT_PHNUM, image->header_count},
        {AT_PAGESZ, PAGE_SIZE},
        {AT_BASE, image->linker},
        {AT_FLAGS, 0},
        {AT_ENTRY, image->entry},
        {AT_UID, 0},
        {AT_EUID, 0},
        {AT_GID, 0},
        {AT_EGID, 0},
        {AT_SECURE, 0},
        {AT_CLKTCK, 100},
        {AT_HWCAP2, HWCAP2_FSGSBASE},
        {AT_RANDOM, random},
        {AT_EXECFN, name},
        {AT_NULL, 0},
    };
    memcpy(aux, pairs, sizeof(pairs));
    return AUX_PAIRS;
}

static uint64_t put_random(struct cursor *c)
{
    uint8_t bytes[16];
    if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
        return c->at = 0;
    return put(c, bytes, sizeof(bytes));
}

#define STACK_STRINGS 1024

int64_t stack_build(struct guestmem *gm, const struct image *image,
                    const struct skerry_boot_options *o)
{
    uint64_t vector[STACK_STRINGS + 3 + AUX_PAIRS * 2], aux[AUX_PAIRS][2];
    struct region stack = gm->layout.main_stack;
    struct cursor c = {gm, stack.end, stack.begin + (stack.end - stack.begin) / 2};
    if (o->argc > STACK_STRINGS || o->envc > STACK_STRINGS - o->argc)
        return -E2BIG;
    uint64_t random = put_random(&c), n = 0;
    vector[n++] = o->argc;
    put_strings(&c, o->argv, o->argc, vector + n);
    n += o->argc;
    vector[n++] = 0;
    put_strings(&c, o->envp, o->envc, vector + n);
    n += o->envc;
    vector[n++] = 0;
    uint32_t pairs = put_aux(aux, image, random, o->argc ? vector[1] : 0);
    memcpy(vector + n, aux, sizeof(aux));
    n += pairs * 2;
    c.at = c.at & ~15UL;
    if (n % 2)
        c.at -= c.at ? 8 : 0;
    uint64_t rsp = put(&c, vector, n * 8);
    return rsp ? (int64_t)rsp : -E2BIG;
}
