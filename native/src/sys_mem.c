/* sys_mem.c: brk, mmap and their kin. Mappings are made below max_memory where they can
 * be (near.c). What goes elsewhere, or is to be a reservation, is far: sys_far.c. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "mapping.h"
#include "near.h"
#include "paging.h"
#include "sys_far.h"
#include "syscall.h"

#define PROT_KNOWN 0xfUL /* read, write, execute, PROT_SEM */
#define MADV_LAST 25UL   /* MADV_COLLAPSE */
#define ADDRESS_END FAR_END
#define ADDRESS_MIN 0x10000UL /* vm.mmap_min_addr, as it usually is */

long sys_brk(struct call *c)
{
    struct process *p = c->m->process;
    uint64_t want = c->arg[0];
    if (want < p->heap.begin || want > p->heap.end)
        return (long)p->brk;
    uint64_t old_end = want < p->brk_high ? want : p->brk_high;
    if (want > p->brk && old_end > p->brk)
        guest_zero(&c->m->mem, p->brk, old_end - p->brk);
    if (want > p->brk_high)
        p->brk_high = want;
    p->brk = want;
    return (long)want;
}

/* What can be written or executed can be read: there are no entries without that. */
static int access_of(uint64_t prot)
{
    return (prot & (PROT_READ | PROT_WRITE | PROT_EXEC) ? ACCESS_READ : 0) |
           (prot & PROT_WRITE ? ACCESS_WRITE : 0) |
           (prot & PROT_EXEC ? ACCESS_EXECUTE : 0);
}

static long map_fixed(struct machine *m, uint64_t addr, uint64_t len, int access,
                      int replace)
{
    if (addr % PAGE_SIZE)
        return -EINVAL;
    if (addr > ADDRESS_END || len > ADDRESS_END - addr)
        return -ENOMEM;
    if (addr < ADDRESS_MIN)
        return -EPERM;
    if (!replace && mapping_in_use(m, addr, len))
        return -EEXIST;
    return mapping_at(m, addr, len, access);
}

static long map_memory(struct machine *m, const struct call *c, uint64_t len,
                       int access)
{
    uint64_t addr = c->arg[0], flags = c->arg[3];
    if (flags & (MAP_FIXED | MAP_FIXED_NOREPLACE))
        return map_fixed(m, addr, len, access, !(flags & MAP_FIXED_NOREPLACE));
    uint64_t hint = addr & ~(PAGE_SIZE - 1);
    if (hint && !mapping_in_use(m, hint, len)) {
        long ret = mapping_at(m, hint, len, access);
        if (ret >= 0)
            return ret;
    }
    return mapping_anywhere(m, len, access, !(flags & MAP_NORESERVE));
}

/* A copy of the file, so it may not be written back. */
static long map_file(struct call *c, uint64_t len)
{
    struct machine *m = c->m;
    long size = file_to_map(c);
    if (size < 0)
        return size;
    if (!c->arg[1] || !(c->arg[3] & (MAP_PRIVATE | MAP_SHARED)))
        return -EINVAL;
    if (c->arg[3] & MAP_SHARED && c->arg[2] & PROT_WRITE)
        return -ENODEV;
    const int rw = ACCESS_READ | ACCESS_WRITE;
    long at = len ? map_memory(m, c, len, rw) : -ENOMEM;
    if (at < 0)
        return at;
    long ret = file_copy(c, (uint64_t)at, (uint64_t)size < len ? (uint64_t)size : len);
    if (ret == 0)
        ret = mapping_protect(m, (uint64_t)at, len, access_of(c->arg[2]));
    if (ret < 0)
        mapping_remove(m, (uint64_t)at, len);
    return ret < 0 ? ret : at;
}

long sys_mmap(struct call *c)
{
    uint64_t len = mapping_round(c->arg[1]), flags = c->arg[3];
    if (!(flags & MAP_ANONYMOUS))
        return map_file(c, len);
    if (!c->arg[1] || !(flags & (MAP_PRIVATE | MAP_SHARED)))
        return -EINVAL;
    if (!len)
        return -ENOMEM;
    return map_memory(c->m, c, len, access_of(c->arg[2]));
}

long sys_munmap(struct call *c)
{
    uint64_t addr = c->arg[0], len = mapping_round(c->arg[1]);
    if (addr % PAGE_SIZE || !len || addr > ADDRESS_END || len > ADDRESS_END - addr)
        return -EINVAL;
    return mapping_remove(c->m, addr, len);
}

long sys_mprotect(struct call *c)
{
    uint64_t len = mapping_round(c->arg[1]);
    if (c->arg[0] % PAGE_SIZE || c->arg[2] & ~PROT_KNOWN)
        return -EINVAL;
    if (!c->arg[1])
        return 0;
    return len ? mapping_protect(c->m, c->arg[0], len, access_of(c->arg[2])) : -ENOMEM;
}

/* What can be read only may be of a file, whose bytes it keeps. */
static int may_forget(const struct machine *m, uint64_t page)
{
    int access = paging_access(m->mem.base, &m->mem.layout, page);
    return !access || access & ACCESS_WRITE;
}

/* Holes do not keep the rest from becoming zeros. */
static long forget_near(struct machine *m, uint64_t addr, uint64_t len)
{
    long ret = 0;
    for (uint64_t page = addr, stop; page < addr + len; page = stop) {
        int is_mapped = near_is_mapped(m, page, PAGE_SIZE);
        int may = is_mapped && may_forget(m, page);
        for (stop = page + PAGE_SIZE; may && stop < addr + len;)
            if (near_is_mapped(m, stop, PAGE_SIZE) && may_forget(m, stop))
                stop += PAGE_SIZE;
            else
                break;
        if (may)
            near_zero(m, page, stop - page);
        ret = is_mapped ? ret : -ENOMEM;
    }
    return ret;
}

/* MADV_DONTNEED promises zeros; the rest is advice. */
long sys_madvise(struct call *c)
{
    struct machine *m = c->m;
    const struct layout *l = &m->mem.layout;
    if (c->arg[0] % PAGE_SIZE || c->arg[2] > MADV_LAST)
        return -EINVAL;
    uint64_t len = mapping_round(c->arg[1]);
    if (c->arg[2] != MADV_DONTNEED || !c->arg[1])
        return 0;
    if (len && far_holds(m, c->arg[0], len))
        return far_forget(m, c->arg[0], len);
    if (!len || len > l->mapped_end || c->arg[0] > l->mapped_end - len)
        return -ENOMEM;
    return forget_near(m, c->arg[0], len);
}
