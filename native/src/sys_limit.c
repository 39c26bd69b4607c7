/* sys_limit.c: calls that a program may make and that change nothing: limits are
 * configured, memory is never taken away, and the clock is the host's. */
#include <errno.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "near.h"
#include "syscall.h"

/* As prlimit64 for the program itself, which takes a limit that is so already. */
long sys_getrlimit(struct call *c)
{
    struct call all = {c->m, {0, c->arg[0], 0, c->arg[1]}, 0, 0, 0};
    return c->arg[1] ? sys_prlimit64(&all) : -EFAULT;
}

long sys_setrlimit(struct call *c)
{
    struct call all = {c->m, {0, c->arg[0], c->arg[1], 0}, 0, 0, 0};
    return c->arg[1] ? sys_prlimit64(&all) : -EFAULT;
}

long sys_clock_settime(struct call *c)
{
    struct timespec t;
    if (c->arg[0] != CLOCK_REALTIME)
        return -EINVAL;
    if (guest_read(&c->m->mem, c->arg[1], &t, sizeof(t)) < 0)
        return -EFAULT;
    return t.tv_sec < 0 || (uint64_t)t.tv_nsec >= 1000000000UL ? -EINVAL : -EPERM;
}

/* Tells if all of [begin, begin + len) is there for the program; what is far, and has
 * not been touched, gets no memory by that. */
static int is_there(const struct machine *m, uint64_t begin, uint64_t len)
{
    if (region_holds(m->mem.layout.far, begin, len))
        return space_is_mapped(&m->space, (struct region){begin, begin + len});
    return near_is_mapped(m, begin, len) || guest_view(&m->mem, begin, len) != NULL;
}

/* The same, and it can be used in some way. */
static int is_usable(const struct machine *m, uint64_t begin, uint64_t len)
{
    if (!region_holds(m->mem.layout.far, begin, len))
        return guest_view(&m->mem, begin, len) != NULL && is_there(m, begin, len);
    const struct far_range *f;
    for (uint64_t at = begin; at < begin + len; at = f->end)
        if (!(f = space_find(&m->space, at)) || !f->access)
            return 0;
    return 1;
}

/* Has (check) look at the pages that (c) names. */
static long check_pages(struct call *c,
                        int (*check)(const struct machine *, uint64_t, uint64_t))
{
    uint64_t begin = c->arg[0] & ~(PAGE_SIZE - 1), len = c->arg[1];
    if (!len)
        return 0;
    if (len > UINT64_MAX - c->arg[0])
        return -EINVAL;
    return check(c->m, begin, c->arg[0] + len - begin) ? 0 : -ENOMEM;
}

/* All memory stays; there has to be some that could. */
long sys_mlock(struct call *c)
{
    return check_pages(c, is_usable);
}

long sys_munlock(struct call *c)
{
    return check_pages(c, is_there);
}

long sys_mlock2(struct call *c)
{
    return (uint32_t)c->arg[2] & ~(uint32_t)MLOCK_ONFAULT ? -EINVAL : sys_mlock(c);
}

long sys_mlockall(struct call *c)
{
    uint32_t flags = (uint32_t)c->arg[0],
             known = MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT;
    return !flags || flags & ~known || flags == MCL_ONFAULT ? -EINVAL : 0;
}

/* No mapping is shared with a file. */
long sys_msync(struct call *c)
{
    uint32_t flags = (uint32_t)c->arg[2], both = MS_ASYNC | MS_SYNC;
    if (flags & ~(both | MS_INVALIDATE) || (flags & both) == both ||
        c->arg[0] % PAGE_SIZE)
        return -EINVAL;
    struct call range = {c->m, {c->arg[0], c->arg[1]}, 0, 0, 0};
    return sys_munlock(&range) < 0 ? -ENOMEM : 0;
}
