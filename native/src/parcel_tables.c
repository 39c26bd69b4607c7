/* parcel_tables.c: the memory of a frozen machine that another process has handed over
 * (parcel_check.h). The host walks its page tables, and ring 0 of a guest could change
 * them: so both are to be as this process would have made them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "paging.h"
#include "parcel_check.h"
#include "stubs.h"

#define ENTRIES 512
#define POINTER_SHIFT 30 /* the second of four levels: an entry for each GB */

struct tables {
    const uint8_t *base;
    const struct layout *l;
    uint64_t far_end; /* where the used tables of far addresses end */
    uint8_t *seen;    /* of each of these: it is somewhere in the tree */
};

static const uint64_t *table(const struct tables *t, uint64_t at)
{
    return (const uint64_t *)(const void *)(t->base + at);
}

/* --- Addresses that are those of memory --- */

static int is_programs(const struct layout *l, uint64_t addr)
{
    return addr == KVM_API_EXCHANGE_ADDRESS ||
           region_holds(l->program, addr, PAGE_SIZE) ||
           region_holds(l->main_stack, addr, PAGE_SIZE) ||
           region_holds(l->call_stack, addr, PAGE_SIZE) ||
           region_holds(l->inbox, addr, PAGE_SIZE) ||
           region_holds(l->shm, addr, PAGE_SIZE);
}

/* The pages that the kernel keeps for its vDSO, in a slot of their own. */
static int is_clock(uint64_t entry, uint64_t addr)
{
    uint64_t target = paging_target(entry);
    return addr < HOST_VDSO_ADDR && addr >= HOST_VDSO_ADDR - CLOCK_PAGES_MAX &&
           target >= CLOCK_SLOT_ADDR && target - CLOCK_SLOT_ADDR < CLOCK_PAGES_MAX &&
           entry == paging_leaf(target, ACCESS_READ);
}

/* Ring 3 has its own memory, and of ours reads and calls what is made for it. */
static int leaf_is_sound(const struct layout *l, uint64_t entry, uint64_t addr)
{
    int access = paging_leaf_access(entry);
    if (!entry || is_clock(entry, addr))
        return 1;
    if (entry != paging_leaf(addr, access))
        return 0;
    if (is_programs(l, addr) || access & ACCESS_SUPERVISOR)
        return 1;
    return addr < KVM_API_EXCHANGE_ADDRESS && !(access & ACCESS_WRITE) &&
           (addr >= TRAMPOLINE_ADDR || addr == SYSCALL_STUB_ADDR);
}

/* Entries [0, count) of the table at (at) lead to the tables from (first) on. */
static int leads_to(const struct tables *t, uint64_t at, uint64_t first, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++)
        if (table(t, at)[i] != paging_link(first + i * PAGE_SIZE))
            return 0;
    return 1;
}

static int near_is_sound(const struct tables *t, uint64_t directories)
{
    const struct layout *l = t->l;
    uint64_t pointers = l->tables + PAGE_SIZE, directory = pointers + PAGE_SIZE;
    uint64_t leaves = (l->mapped_end + LARGE_PAGE - 1) / LARGE_PAGE;
    if (!leads_to(t, l->tables, pointers, 1) ||
        !leads_to(t, pointers, directory, directories) ||
        !leads_to(t, directory, l->leaf_tables, leaves))
        return 0;
    for (uint64_t i = leaves; i < directories * ENTRIES; i++)
        if (table(t, directory)[i])
            return 0;
    for (uint64_t i = 0; i < leaves * ENTRIES; i++)
        if (!leaf_is_sound(l, table(t, l->leaf_tables)[i], i << PAGE_SHIFT))
            return 0;
    return 1;
}

/* --- Far addresses --- */

/* Tells if there is a table at (at) that has not been met before: so a walk ends. */
static int meet(const struct tables *t, uint64_t at)
{
    uint64_t begin = t->l->far_tables.begin;
    if (at % PAGE_SIZE || at < begin || at >= t->far_end)
        return 0;
    uint8_t *seen = &t->seen[(at - begin) >> PAGE_SHIFT];
    return !(*seen)++;
}

/* Memory that nobody may use now keeps its address in the entry (far.c). */
static int far_leaf_is_sound(const struct layout *l, uint64_t entry)
{
    int access = paging_leaf_access(entry);
    uint64_t page = paging_target(entry);
    return region_holds(l->program, page, PAGE_SIZE) && !(access & ACCESS_SUPERVISOR) &&
           entry == (access ? paging_leaf(page, access) : page);
}

/* Entries [from, 512) of the table at (at), each of which is for 1 << (shift) bytes. */
static int far_is_sound(const struct tables *t, uint64_t at, int shift, uint64_t from)
{
    for (uint64_t i = from; i < ENTRIES; i++) {
        uint64_t entry = table(t, at)[i], below = paging_target(entry);
        if (!entry)
            continue;
        if (shift == PAGE_SHIFT ? !far_leaf_is_sound(t->l, entry)
                                : entry != paging_link(below) || !meet(t, below) ||
                                      !far_is_sound(t, below, shift - 9, 0))
            return 0;
    }
    return 1;
}

static int free_are_sound(const struct tables *t, uint64_t at)
{
    for (; at; at = *table(t, at))
        if (!meet(t, at))
            return 0;
    return 1;
}

/* --- All of it --- */

static int tables_are_sound(const struct tables *t, uint64_t free_table)
{
    const struct layout *l = t->l;
    uint64_t directories =
        (l->mapped_end + (1UL << POINTER_SHIFT) - 1) >> POINTER_SHIFT;
    return near_is_sound(t, directories) &&
           far_is_sound(t, l->tables, POINTER_SHIFT + 9, 1) &&
           far_is_sound(t, l->tables + PAGE_SIZE, POINTER_SHIFT, directories) &&
           free_are_sound(t, free_table);
}

/* Tells if what a guest has of ours in its first pages is that. */
static int stubs_are_sound(const struct kvm *kvm, const uint8_t *base, uint8_t *scratch)
{
    stubs_install(scratch, kvm->ring0_stub);
    return memcmp(base + GDT_ADDR, scratch + GDT_ADDR, XSAVE_ADDR - GDT_ADDR) == 0;
}

int parcel_check_memory(const struct skerry_snapshot *s, const struct kvm *kvm,
                        const uint8_t *base, struct skerry_error *err)
{
    const struct layout *l = &s->layout;
    struct tables t = {.base = base, .l = l, .far_end = s->space.next_table};
    uint8_t *scratch = calloc(1, XSAVE_ADDR);
    t.seen = calloc(1, 1 + ((t.far_end - l->far_tables.begin) >> PAGE_SHIFT));
    int ret = scratch && t.seen ? 0 : skerry_fail(err, "frozen machine");
    if (ret == 0 && !stubs_are_sound(kvm, base, scratch))
        ret = skerry_refuse(err, EINVAL, "frozen machine", "broken: its ring 0");
    if (ret == 0 && !tables_are_sound(&t, s->space.free_table))
        ret = skerry_refuse(err, EINVAL, "frozen machine", "broken: its page tables");
    free(scratch);
    free(t.seen);
    return ret;
}
