/* mapping.c: see mapping.h. */
#include "mapping.h"

#include <errno.h>

#include "near.h"
#include "paging.h"
#include "sys_far.h"

int mapping_in_use(const struct machine *m, uint64_t addr, uint64_t len)
{
    if (far_holds(m, addr, len))
        return !space_is_free(&m->space, (struct region){addr, addr + len});
    return !arena_is_free(&m->process->arena, addr, len);
}

static long map_near(struct machine *m, uint64_t addr, uint64_t len, int access)
{
    if (near_take_at(m, addr, len) < 0)
        return -ENOMEM;
    int ret = near_set_access(m, addr, len, access);
    return ret < 0 ? ret : (long)addr;
}

long mapping_at(struct machine *m, uint64_t addr, uint64_t len, int access)
{
    return far_holds(m, addr, len) ? far_map(m, addr, len, access)
                                   : map_near(m, addr, len, access);
}

static long map_in_arena(struct machine *m, uint64_t len, int access)
{
    uint64_t addr = near_take(m, len);
    int ret = 0;
    if (!addr)
        return -ENOMEM;
    if (access != (ACCESS_READ | ACCESS_WRITE))
        ret = near_set_access(m, addr, len, access);
    if (ret < 0)
        near_unmap(m, addr, addr + len);
    return ret < 0 ? ret : (long)addr;
}

/* Reservations are far, where they cost nothing; so is what may find no memory when it
 * is touched. For the rest there is memory when the call returns: a program that gets
 * -ENOMEM in time can do something about it. */
long mapping_anywhere(struct machine *m, uint64_t len, int access, int reserves)
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

long mapping_protect(struct machine *m, uint64_t addr, uint64_t len, int access)
{
    if (far_holds(m, addr, len))
        return far_set_access(m, addr, len, access);
    return near_is_mapped(m, addr, len) ? near_set_access(m, addr, len, access)
                                        : -ENOMEM;
}

long mapping_remove(struct machine *m, uint64_t addr, uint64_t len)
{
    const struct region far = m->mem.layout.far;
    uint64_t end = addr + len, begin = addr > far.begin ? addr : far.begin;
    if (addr < far.begin)
        near_unmap(m, addr, end);
    return begin < end ? far_unmap(m, begin, end - begin) : 0;
}

uint64_t mapping_round(uint64_t len)
{
    return len > UINT64_MAX - PAGE_SIZE ? 0 : page_up(len);
}
