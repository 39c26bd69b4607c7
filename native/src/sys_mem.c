/* sys_mem.c: brk, mmap and their kin. The guest's page tables change only during
 * start-up: afterwards a KVM may not see it, so there a mapping is bookkeeping. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "paging.h"
#include "syscall.h"

#define PROT_KNOWN 0xfUL /* read, write, execute, PROT_SEM */
#define MADV_LAST 25UL   /* MADV_COLLAPSE */

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

static int access_of(uint64_t prot)
{
    return (prot & PROT_READ ? ACCESS_READ : 0) |
           (prot & PROT_WRITE ? ACCESS_WRITE : 0) |
           (prot & PROT_EXEC ? ACCESS_EXECUTE : 0);
}

/* Changes access during start-up, and makes the processor notice. */
static void protect(struct machine *m, uint64_t addr, uint64_t len, int access)
{
    struct kvm_sregs *s = &m->vm.run->s.regs.sregs;
    paging_protect(m->mem.base, &m->mem.layout, addr, len, access, 0);
    s->cr3 = paging_other_root(&m->mem.layout, s->cr3);
    vcpu_set_sregs(&m->vm);
}

/* Tells if the range is memory whose access a program may set. */
static int is_program(const struct machine *m, uint64_t addr, uint64_t len)
{
    const struct layout *l = &m->mem.layout;
    return addr % PAGE_SIZE == 0 && (region_holds(l->program, addr, len) ||
                                     region_holds(l->main_stack, addr, len) ||
                                     region_holds(l->call_stack, addr, len));
}

/* After the freeze an access that the page lacks cannot be given. */
static long check_access(const struct machine *m, uint64_t addr, uint64_t len,
                         int access)
{
    for (uint64_t page = addr; page < addr + len; page += PAGE_SIZE)
        if (access & ~paging_access(m->mem.base, &m->mem.layout, page))
            return -EACCES;
    return 0;
}

static long set_access(struct machine *m, uint64_t addr, uint64_t len, uint64_t prot)
{
    if (!m->booting)
        return check_access(m, addr, len, access_of(prot));
    protect(m, addr, len, access_of(prot));
    return 0;
}

/* The arena's free pages can be read and written. After the freeze, pages that cannot
 * be are not given back to it. */
static void release(struct machine *m, uint64_t addr, uint64_t len)
{
    if (m->booting)
        protect(m, addr, len, ACCESS_READ | ACCESS_WRITE);
    if (check_access(m, addr, len, ACCESS_READ | ACCESS_WRITE) == 0)
        arena_give(&m->process->arena, addr, len);
}

static uint64_t page_round(uint64_t len)
{
    return len > UINT64_MAX - PAGE_SIZE ? 0 : page_up(len);
}

static long map_at(struct machine *m, uint64_t addr, uint64_t len, uint64_t prot,
                   int replace)
{
    if (addr % PAGE_SIZE)
        return -EINVAL;
    if (!replace && !arena_is_free(&m->process->arena, addr, len))
        return -EEXIST;
    if (arena_take_at(&m->process->arena, addr, len) < 0)
        return -EINVAL;
    if (m->booting)
        protect(m, addr, len, ACCESS_READ | ACCESS_WRITE);
    if (guest_zero(&m->mem, addr, len) < 0)
        return -ENOMEM;
    long ret = set_access(m, addr, len, prot);
    return ret < 0 ? ret : (long)addr;
}

static long map_anywhere(struct machine *m, uint64_t len, uint64_t prot)
{
    uint64_t stale, addr = arena_take(&m->process->arena, len, &stale);
    if (!addr)
        return -ENOMEM;
    if (stale < addr + len && guest_zero(&m->mem, stale, addr + len - stale) < 0)
        return -ENOMEM;
    long ret = prot == (PROT_READ | PROT_WRITE) ? 0 : set_access(m, addr, len, prot);
    if (ret < 0)
        arena_give(&m->process->arena, addr, len);
    return ret < 0 ? ret : (long)addr;
}

static long map_memory(struct machine *m, const struct call *c, uint64_t len,
                       uint64_t prot)
{
    uint64_t flags = c->arg[3];
    if (flags & (MAP_FIXED | MAP_FIXED_NOREPLACE))
        return map_at(m, c->arg[0], len, prot, !(flags & MAP_FIXED_NOREPLACE));
    return map_anywhere(m, len, prot);
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
    long at = len ? map_memory(m, c, len, PROT_READ | PROT_WRITE) : -ENOMEM;
    if (at < 0)
        return at;
    long ret = file_copy(c, (uint64_t)at, (uint64_t)size < len ? (uint64_t)size : len);
    if (ret == 0)
        ret = set_access(m, (uint64_t)at, len, c->arg[2]);
    if (ret < 0)
        release(m, (uint64_t)at, len);
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
    return map_memory(c->m, c, len, c->arg[2]);
}

long sys_munmap(struct call *c)
{
    struct machine *m = c->m;
    uint64_t addr = c->arg[0], len = page_round(c->arg[1]);
    if (addr % PAGE_SIZE || !len)
        return -EINVAL;
    if (!region_holds(m->process->arena.whole, addr, len))
        return 0;
    release(m, addr, len);
    return 0;
}

long sys_mprotect(struct call *c)
{
    uint64_t len = page_round(c->arg[1]);
    if (c->arg[0] % PAGE_SIZE || c->arg[2] & ~PROT_KNOWN)
        return -EINVAL;
    if ((c->arg[1] && !len) || !is_program(c->m, c->arg[0], len))
        return -ENOMEM;
    return set_access(c->m, c->arg[0], len, c->arg[2]);
}

/* The ranges overlap when the program says that it has what it has not. */
static int move_bytes(struct machine *m, uint64_t to, uint64_t from, uint64_t len)
{
    const uint8_t *src = guest_view(&m->mem, from, len);
    uint8_t *dst = guest_window(&m->mem, to, len);
    if (!src || !dst)
        return -EFAULT;
    memmove(dst, src, len);
    return 0;
}

/* Grows by moving, as Linux may. */
long sys_mremap(struct call *c)
{
    struct machine *m = c->m;
    uint64_t addr = c->arg[0], old = page_round(c->arg[1]), len = page_round(c->arg[2]);
    if (addr % PAGE_SIZE || !len || c->arg[3] & ~(uint64_t)MREMAP_MAYMOVE)
        return -EINVAL;
    if (!old || !region_holds(m->process->arena.whole, addr, old))
        return -EFAULT;
    if (len <= old) {
        release(m, addr + len, old - len);
        return (long)addr;
    }
    if (!(c->arg[3] & MREMAP_MAYMOVE))
        return -ENOMEM;
    long moved = map_anywhere(m, len, PROT_READ | PROT_WRITE);
    if (moved < 0)
        return moved;
    if (move_bytes(m, (uint64_t)moved, addr, old) < 0) {
        release(m, (uint64_t)moved, len);
        return -EFAULT;
    }
    release(m, addr, old);
    return moved;
}

/* MADV_DONTNEED promises zeros; the rest is advice. */
long sys_madvise(struct call *c)
{
    if (c->arg[0] % PAGE_SIZE || c->arg[2] > MADV_LAST)
        return -EINVAL;
    if (c->arg[2] != MADV_DONTNEED)
        return 0;
    uint64_t len = page_round(c->arg[1]);
    return guest_zero(&c->m->mem, c->arg[0], len) < 0 ? -ENOMEM : 0;
}
