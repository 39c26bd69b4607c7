/* sys_remap.c: mremap. Pages behind far addresses move; all else is copied. */
#include <errno.h>
#include <sys/mman.h>

#include "mapping.h"
#include "near.h"
#include "paging.h"
#include "sys_far.h"
#include "syscall.h"

/* What mremap is asked for. */
struct remap {
    uint64_t addr, old, len;
    uint64_t flags;
    uint64_t to; /* with MREMAP_FIXED; a hint with MREMAP_DONTUNMAP */
};

static int access_at(const struct machine *m, uint64_t addr)
{
    const struct far_range *f = space_find(&m->space, addr);
    return f ? f->access : paging_access(m->mem.base, &m->mem.layout, addr);
}

/* Where there is to be memory for all of it, which can be written to. */
static long new_place(struct machine *m, const struct remap *r)
{
    const int rw = ACCESS_READ | ACCESS_WRITE;
    if (r->flags & MREMAP_FIXED)
        return mapping_at(m, r->to, r->len, rw);
    return mapping_anywhere(m, r->len, rw, 1);
}

/* What has no access is copied as well: it is read as the host may read it. */
static int copy(struct machine *m, const struct remap *r, uint64_t to, int access)
{
    uint64_t len = r->old < r->len ? r->old : r->len;
    if (!access && mapping_protect(m, r->addr, r->old, ACCESS_READ) < 0)
        return -ENOMEM;
    if (guest_move(&m->mem, to, r->addr, len) < 0)
        return -ENOMEM;
    return (int)mapping_protect(m, to, r->len, access);
}

static long leave(struct machine *m, const struct remap *r, int access)
{
    if (!(r->flags & MREMAP_DONTUNMAP))
        return mapping_remove(m, r->addr, r->old);
    long ret = mapping_at(m, r->addr, r->old, access);
    return ret < 0 ? ret : 0;
}

static long move(struct machine *m, const struct remap *r)
{
    int access = access_at(m, r->addr);
    long to = r->flags & MREMAP_MAYMOVE ? new_place(m, r) : -ENOMEM;
    if (to < 0)
        return to;
    int ret = copy(m, r, (uint64_t)to, access);
    if (ret < 0) {
        mapping_remove(m, (uint64_t)to, r->len);
        return ret;
    }
    long left = leave(m, r, access);
    return left < 0 ? left : to;
}

/* Grows by moving, as Linux may. Stacks stay where they are. */
static long resize_near(struct machine *m, const struct remap *r)
{
    if (!region_holds(m->mem.layout.program, r->addr, r->old) ||
        !near_is_mapped(m, r->addr, r->old))
        return -EFAULT;
    if (r->flags & (MREMAP_FIXED | MREMAP_DONTUNMAP) || r->len > r->old)
        return move(m, r);
    if (r->len < r->old)
        near_unmap(m, r->addr + r->len, r->addr + r->old);
    return (long)r->addr;
}

static int is_wrong(const struct remap *r)
{
    const uint64_t known = MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP;
    if (r->addr % PAGE_SIZE || !r->len || r->flags & ~known)
        return 1;
    if (r->flags & ~(uint64_t)MREMAP_MAYMOVE && !(r->flags & MREMAP_MAYMOVE))
        return 1;
    if (r->flags & MREMAP_DONTUNMAP && r->old != r->len)
        return 1;
    if (!(r->flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)))
        return 0;
    return r->to % PAGE_SIZE || r->to > FAR_END || r->len > FAR_END - r->to ||
           (r->to < r->addr + r->old && r->addr < r->to + r->len);
}

long sys_mremap(struct call *c)
{
    struct machine *m = c->m;
    const struct remap r = {.addr = c->arg[0],
                            .old = mapping_round(c->arg[1]),
                            .len = mapping_round(c->arg[2]),
                            .flags = c->arg[3],
                            .to = c->arg[4]};
    if (is_wrong(&r))
        return -EINVAL;
    if (!r.old)
        return -EFAULT;
    if (!far_holds(m, r.addr, r.old))
        return resize_near(m, &r);
    const struct far_range *f = space_find(&m->space, r.addr);
    if (!f || r.old > f->end - r.addr)
        return -EFAULT;
    if (r.flags & MREMAP_FIXED && !far_holds(m, r.to, r.len))
        return move(m, &r);
    const uint64_t *fixed = r.flags & MREMAP_FIXED ? &r.to : NULL;
    return far_resize(m, r.addr, r.old, r.len, r.flags, fixed);
}
