/* guestmem.c: see guestmem.h. */
#include "guestmem.h"

#include <errno.h>
#include <string.h>

#include "paging.h"

static int allowed(const struct guestmem *gm, uint64_t addr, uint64_t len, int access)
{
    uint64_t end = gm->layout.mapped_end;
    if (addr > end || len > end - addr)
        return 0;
    if (len == 0)
        return 1;
    for (uint64_t page = addr & ~(PAGE_SIZE - 1); page < addr + len; page += PAGE_SIZE)
        if ((paging_access(gm->base, &gm->layout, page) & access) != access)
            return 0;
    return 1;
}

/* An allowed range cannot span both slots: there is a hole between them. */
static uint8_t *host_pointer(const struct guestmem *gm, uint64_t addr)
{
    if (gm->shm && addr >= gm->layout.shm.begin)
        return gm->shm + (addr - gm->layout.shm.begin);
    return gm->base + addr;
}

const uint8_t *guest_view(const struct guestmem *gm, uint64_t addr, uint64_t len)
{
    return allowed(gm, addr, len, ACCESS_READ) ? host_pointer(gm, addr) : NULL;
}

int guest_writable(const struct guestmem *gm, uint64_t addr, uint64_t len)
{
    return allowed(gm, addr, len, ACCESS_READ | ACCESS_WRITE);
}

uint8_t *guest_window(struct guestmem *gm, uint64_t addr, uint64_t len)
{
    if (!guest_writable(gm, addr, len))
        return NULL;
    guest_note(gm, addr, len);
    return host_pointer(gm, addr);
}

int guest_read(const struct guestmem *gm, uint64_t addr, void *dst, uint64_t len)
{
    const uint8_t *src = guest_view(gm, addr, len);
    if (!src)
        return -EFAULT;
    memcpy(dst, src, len);
    return 0;
}

int guest_write(struct guestmem *gm, uint64_t addr, const void *src, uint64_t len)
{
    uint8_t *dst = guest_window(gm, addr, len);
    if (!dst)
        return -EFAULT;
    if (len)
        memcpy(dst, src, len);
    return 0;
}

int guest_zero(struct guestmem *gm, uint64_t addr, uint64_t len)
{
    uint8_t *dst = guest_window(gm, addr, len);
    if (!dst)
        return -EFAULT;
    memset(dst, 0, len);
    return 0;
}

/* Readable bytes from (addr) to the end of its page, at most (most). */
static uint64_t readable_run(const struct guestmem *gm, uint64_t addr, uint64_t most)
{
    uint64_t run = PAGE_SIZE - addr % PAGE_SIZE;
    if (run > most)
        run = most;
    return allowed(gm, addr, run, ACCESS_READ) ? run : 0;
}

long guest_string(const struct guestmem *gm, uint64_t addr, char *dst, size_t size)
{
    size_t used = 0;
    while (used < size) {
        uint64_t run = readable_run(gm, addr + used, size - used);
        if (!run)
            return -EFAULT;
        memcpy(dst + used, host_pointer(gm, addr + used), run);
        const char *nul = memchr(dst + used, 0, run);
        if (nul)
            return nul - dst;
        used += run;
    }
    return -ENAMETOOLONG;
}

int guest_executable(const struct guestmem *gm, uint64_t addr)
{
    return region_holds(gm->layout.program, addr, 1) &&
           paging_access(gm->base, &gm->layout, addr) & ACCESS_EXECUTE;
}

void guest_note(struct guestmem *gm, uint64_t addr, uint64_t len)
{
    if (!gm->dirty || addr >= gm->layout.slot_size || !len)
        return;
    for (uint64_t p = addr >> PAGE_SHIFT; p <= (addr + len - 1) >> PAGE_SHIFT; p++)
        dirty_note(gm->dirty, (uint32_t)p);
}
