/* sys_far.c: see sys_far.h. After each change KVM is told only where a page allows less
 * than before. */
#include "sys_far.h"

#include <errno.h>
#include <sys/mman.h>

#include "far.h"

/* Several machines share the page tables of a storage: they stay as they were frozen.
 */
static int is_fixed(const struct machine *m)
{
    return m->facts->is_storage && !m->booting;
}

static struct region range_of(uint64_t addr, uint64_t len)
{
    return (struct region){addr, addr + len};
}

int far_holds(const struct machine *m, uint64_t addr, uint64_t len)
{
    return region_holds(m->mem.layout.far, addr, len);
}

long far_map(struct machine *m, uint64_t addr, uint64_t len, int access)
{
    if (is_fixed(m) || space_map(&m->space, range_of(addr, len), access) < 0)
        return -ENOMEM;
    m->space.changed = 1;
    m->stale_tables |= far_clear(&m->mem, range_of(addr, len));
    return (long)addr;
}

long far_map_anywhere(struct machine *m, uint64_t len, int access)
{
    uint64_t align = len < LARGE_PAGE ? PAGE_SIZE : LARGE_PAGE;
    uint64_t addr = space_gap(&m->space, m->mem.layout.far, len, align);
    return addr ? far_map(m, addr, len, access) : -ENOMEM;
}

long far_unmap(struct machine *m, uint64_t addr, uint64_t len)
{
    if (space_is_free(&m->space, range_of(addr, len)))
        return 0;
    if (is_fixed(m) || space_unmap(&m->space, range_of(addr, len)) < 0)
        return -ENOMEM;
    m->space.changed = 1;
    m->stale_tables |= far_clear(&m->mem, range_of(addr, len));
    return 0;
}

long far_set_access(struct machine *m, uint64_t addr, uint64_t len, int access)
{
    struct region r = range_of(addr, len);
    if (is_fixed(m) || !space_is_mapped(&m->space, r) ||
        space_map(&m->space, r, access) < 0)
        return -ENOMEM;
    m->space.changed = 1;
    m->stale_tables |= far_protect(&m->mem, r, access);
    return 0;
}

/* Where (len) bytes are going to be; or -errno. */
static long new_place(struct machine *m, uint64_t len, const uint64_t *fixed)
{
    uint64_t to =
        fixed ? *fixed : space_gap(&m->space, m->mem.layout.far, len, PAGE_SIZE);
    return to ? (long)to : -ENOMEM;
}

/* With MREMAP_DONTUNMAP the range stays, with nothing behind it. */
static long move_to(struct machine *m, struct region from, uint64_t len, int access,
                    uint64_t flags, const uint64_t *fixed)
{
    long to = new_place(m, len, fixed);
    long ret = to < 0 ? to : far_map(m, (uint64_t)to, len, access);
    if (ret < 0)
        return ret;
    uint64_t old = from.end - from.begin, moved = old < len ? old : len;
    m->stale_tables |= far_move(&m->mem, from.begin, (uint64_t)to, moved) != 0;
    ret = flags & MREMAP_DONTUNMAP ? 0 : far_unmap(m, from.begin, old);
    return ret < 0 ? ret : to;
}

long far_resize(struct machine *m, uint64_t addr, uint64_t old, uint64_t len,
                uint64_t flags, const uint64_t *fixed)
{
    const struct far_range *f = space_find(&m->space, addr);
    if (!f || old > f->end - addr)
        return -EFAULT;
    if (is_fixed(m))
        return -ENOMEM;
    int access = f->access;
    if (fixed || flags & MREMAP_DONTUNMAP)
        return move_to(m, range_of(addr, old), len, access, flags, fixed);
    if (len <= old) {
        long ret = len < old ? far_unmap(m, addr + len, old - len) : 0;
        return ret < 0 ? ret : (long)addr;
    }
    struct region more = {addr + old, addr + len};
    if (far_holds(m, addr, len) && space_is_free(&m->space, more))
        return far_map(m, more.begin, len - old, access) < 0 ? -ENOMEM : (long)addr;
    if (!(flags & MREMAP_MAYMOVE))
        return -ENOMEM;
    return move_to(m, range_of(addr, old), len, access, flags, NULL);
}

long far_forget(struct machine *m, uint64_t addr, uint64_t len)
{
    if (is_fixed(m))
        return guest_zero(&m->mem, addr, len) < 0 ? -ENOMEM : 0;
    m->stale_tables |= far_clear(&m->mem, range_of(addr, len));
    return space_is_mapped(&m->space, range_of(addr, len)) ? 0 : -ENOMEM;
}

int far_fill(struct machine *m)
{
    int ret = 0;
    const struct far_range *f = space_next(&m->space, 0);
    for (; ret == 0 && f; f = space_next(&m->space, f->end))
        if (f->access)
            ret = far_back_all(&m->mem, f->begin, f->end - f->begin, f->access);
    return ret;
}
