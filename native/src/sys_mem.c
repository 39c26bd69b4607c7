/* sys_mem.c: brk, mmap and their kin. Below max_memory all of a program's memory is
 * mapped all the time, and a mapping is bookkeeping unless it closes pages. What goes
 * elsewhere, or is to be a reservation, is far: sys_far.c. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

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

/* Tells if the range is memory whose access a program may set. */
static int is_program(const struct machine *m, uint64_t addr, uint64_t len)
{
    const struct layout *l = &m->mem.layout;
    return region_holds(l->program, addr, len) ||
           region_holds(l->main_stack, addr, len) ||
           region_holds(l->call_stack, addr, len);
}

/* The access that all of the range has is (access), or is more. */
static int has_access(const struct machine *m, uint64_t addr, uint64_t len, int access)
{
    for (uint64_t page = addr; page < addr + len; page += PAGE_SIZE)
        if (access & ~paging_access(m->mem.base, &m->mem.layout, page))
            return 0;
    return 1;
}

/* Changes entries, which are noted as any memory. KVM has to be told where one of them
 * allows less than before. */
static void change_access(struct machine *m, uint64_t addr, uint64_t len, int access)
{
    const struct layout *l = &m->mem.layout;
    for (uint64_t page = addr; page < addr + len; page += PAGE_SIZE) {
        int before = paging_access(m->mem.base, l, page);
        if (before == access)
            continue;
        paging_protect(m->mem.base, l, page, PAGE_SIZE, access, 0);
        guest_note(&m->mem, paging_entry(l, page), sizeof(uint64_t));
        m->space.changed = 1;
        m->stale_tables |= (before & ~access) != 0;
    }
}

/* Several machines share the page tables of a storage: from its freeze on, what a page
 * allows is as it is. */
static long set_access(struct machine *m, uint64_t addr, uint64_t len, int access)
{
    if (m->facts->is_storage && !m->booting)
        return has_access(m, addr, len, access) ? 0 : -EACCES;
    change_access(m, addr, len, access);
    return 0;
}

/* The arena's free pages can be read and written. Of a storage, pages that cannot be
 * are not given back to it after the freeze. */
static void release(struct machine *m, uint64_t addr, uint64_t len)
{
    const int rw = ACCESS_READ | ACCESS_WRITE;
    if (len && set_access(m, addr, len, rw) == 0)
        arena_give(&m->process->arena, addr, len);
}

static uint64_t page_round(uint64_t len)
{
    return len > UINT64_MAX - PAGE_SIZE ? 0 : page_up(len);
}

/* Tells if the range would replace something. */
static int in_use(const struct machine *m, uint64_t addr, uint64_t len)
{
    if (far_holds(m, addr, len))
        return !space_is_free(&m->space, (struct region){addr, addr + len});
    return !arena_is_free(&m->process->arena, addr, len);
}

/* Below the far addresses: zeros in the place of what is there. */
static long map_near(struct machine *m, uint64_t addr, uint64_t len, int access)
{
    const int rw = ACCESS_READ | ACCESS_WRITE;
    if (!region_holds(m->mem.layout.program, addr, len))
        return -ENOMEM;
    if (set_access(m, addr, len, rw) < 0 || guest_zero(&m->mem, addr, len) < 0)
        return -ENOMEM;
    arena_take_at(&m->process->arena, addr, len); /* if it is not image or heap */
    long ret = set_access(m, addr, len, access);
    return ret < 0 ? ret : (long)addr;
}

static long map_at(struct machine *m, uint64_t addr, uint64_t len, int access)
{
    return far_holds(m, addr, len) ? far_map(m, addr, len, access)
                                   : map_near(m, addr, len, access);
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
    if (!replace && in_use(m, addr, len))
        return -EEXIST;
    return map_at(m, addr, len, access);
}

/* In the arena, where all pages can be read and written. */
static long map_in_arena(struct machine *m, uint64_t len, int access)
{
    uint64_t stale, addr = arena_take(&m->process->arena, len, &stale);
    if (!addr)
        return -ENOMEM;
    if (stale < addr + len && guest_zero(&m->mem, stale, addr + len - stale) < 0)
        return -ENOMEM;
    long ret = 0;
    if (access != (ACCESS_READ | ACCESS_WRITE))
        ret = set_access(m, addr, len, access);
    if (ret < 0)
        arena_give(&m->process->arena, addr, len);
    return ret < 0 ? ret : (long)addr;
}

/* Reservations are far, where they cost nothing; so is what may find no memory when it
 * is touched. For the rest there is memory when the call returns: a program that gets
 * -ENOMEM in time can do something about it. */
static long map_anywhere(struct machine *m, uint64_t len, int access, int reserves)
{
    long ret = -ENOMEM;
    if (!access)
        ret = far_map_anywhere(m, len, access);
    if (ret < 0)
        ret = map_in_arena(m, len, access);
    if (ret == -ENOMEM && (!reserves || arena_room(&m->process->arena) >= len))
        ret = far_map_anywhere(m, len, access);
    return ret;
}

static long map_memory(struct machine *m, const struct call *c, uint64_t len,
                       int access)
{
    uint64_t addr = c->arg[0], flags = c->arg[3];
    if (flags & (MAP_FIXED | MAP_FIXED_NOREPLACE))
        return map_fixed(m, addr, len, access, !(flags & MAP_FIXED_NOREPLACE));
    uint64_t hint = addr & ~(PAGE_SIZE - 1);
    if (hint && !in_use(m, hint, len)) {
        long ret = map_at(m, hint, len, access);
        if (ret >= 0)
            return ret;
    }
    return map_anywhere(m, len, access, !(flags & MAP_NORESERVE));
}

/* Gives another access to what is mapped, wherever that is. */
static long protect(struct machine *m, uint64_t addr, uint64_t len, int access)
{
    if (far_holds(m, addr, len))
        return far_set_access(m, addr, len, access);
    return is_program(m, addr, len) ? set_access(m, addr, len, access) : -ENOMEM;
}

/* What is below the far addresses: mappings go back, other memory of the program is
 * closed. The rest is not there, as far as it knows. */
static void unmap_near(struct machine *m, uint64_t begin, uint64_t end)
{
    const struct region near = m->mem.layout.program, mapped = m->process->arena.whole;
    begin = begin > near.begin ? begin : near.begin;
    end = end < near.end ? end : near.end;
    if (begin < mapped.begin && begin < end) {
        uint64_t stop = end < mapped.begin ? end : mapped.begin;
        set_access(m, begin, stop - begin, ACCESS_NONE);
        begin = stop;
    }
    if (begin < end)
        release(m, begin, end - begin);
}

static long unmap(struct machine *m, uint64_t addr, uint64_t len)
{
    const struct region far = m->mem.layout.far;
    uint64_t end = addr + len, begin = addr > far.begin ? addr : far.begin;
    if (addr < far.begin)
        unmap_near(m, addr, end);
    return begin < end ? far_unmap(m, begin, end - begin) : 0;
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
        ret = protect(m, (uint64_t)at, len, access_of(c->arg[2]));
    if (ret < 0)
        unmap(m, (uint64_t)at, len);
    return ret < 0 ? ret : at;
}

long sys_mmap(struct call *c)
{
    uint64_t len = page_round(c->arg[1]), flags = c->arg[3];
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
    uint64_t addr = c->arg[0], len = page_round(c->arg[1]);
    if (addr % PAGE_SIZE || !len || addr > ADDRESS_END || len > ADDRESS_END - addr)
        return -EINVAL;
    return unmap(c->m, addr, len);
}

long sys_mprotect(struct call *c)
{
    uint64_t len = page_round(c->arg[1]);
    if (c->arg[0] % PAGE_SIZE || c->arg[2] & ~PROT_KNOWN)
        return -EINVAL;
    if (!c->arg[1])
        return 0;
    return len ? protect(c->m, c->arg[0], len, access_of(c->arg[2])) : -ENOMEM;
}

/* Grows by moving, as Linux may. */
static long resize_near(struct machine *m, uint64_t addr, uint64_t old, uint64_t len,
                        int may_move)
{
    const int rw = ACCESS_READ | ACCESS_WRITE;
    if (!region_holds(m->process->arena.whole, addr, old))
        return -EFAULT;
    if (len <= old) {
        release(m, addr + len, old - len);
        return (long)addr;
    }
    long moved = may_move ? map_anywhere(m, len, rw, 1) : -ENOMEM;
    if (moved < 0)
        return moved;
    if (guest_move(&m->mem, (uint64_t)moved, addr, old) < 0) {
        unmap(m, (uint64_t)moved, len);
        return -EFAULT;
    }
    release(m, addr, old);
    return moved;
}

long sys_mremap(struct call *c)
{
    const uint64_t known = MREMAP_MAYMOVE | MREMAP_FIXED;
    uint64_t addr = c->arg[0], old = page_round(c->arg[1]), len = page_round(c->arg[2]);
    uint64_t flags = c->arg[3];
    if (addr % PAGE_SIZE || !len || flags & ~known || flags == MREMAP_FIXED)
        return -EINVAL;
    if (!old)
        return -EFAULT;
    const uint64_t *fixed = flags & MREMAP_FIXED ? &c->arg[4] : NULL;
    if (far_holds(c->m, addr, old))
        return far_resize(c->m, addr, old, len, flags & MREMAP_MAYMOVE, fixed);
    return fixed ? -EINVAL : resize_near(c->m, addr, old, len, flags & MREMAP_MAYMOVE);
}

/* MADV_DONTNEED promises zeros; the rest is advice. */
long sys_madvise(struct call *c)
{
    struct machine *m = c->m;
    if (c->arg[0] % PAGE_SIZE || c->arg[2] > MADV_LAST)
        return -EINVAL;
    uint64_t len = page_round(c->arg[1]);
    if (c->arg[2] != MADV_DONTNEED || !c->arg[1])
        return 0;
    if (len && far_holds(m, c->arg[0], len))
        return far_forget(m, c->arg[0], len);
    return !len || guest_zero(&m->mem, c->arg[0], len) < 0 ? -ENOMEM : 0;
}
