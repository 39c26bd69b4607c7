/* guestmem.c: see guestmem.h. */
#include "guestmem.h"

#include <errno.h>
#include <string.h>

#include "bounce.h"
#include "far.h"
#include "paging.h"

static int is_far(const struct guestmem *gm, uint64_t addr)
{
    return addr >= gm->layout.far.begin;
}

static int allowed(const struct guestmem *gm, uint64_t addr, uint64_t len, int access)
{
    uint64_t end = gm->layout.mapped_end;
    if (is_far(gm, addr))
        return far_back_all(gm, addr, len, access) == 0;
    if (addr > end || len > end - addr)
        return 0;
    if (len == 0)
        return 1;
    for (uint64_t page = addr & ~(PAGE_SIZE - 1); page < addr + len; page += PAGE_SIZE)
        if ((paging_access(gm->base, &gm->layout, page) & access) != access)
            return 0;
    return 1;
}

/* What is behind an allowed address. A range cannot span both slots: there is a hole
 * between them. */
static uint8_t *host_pointer(const struct guestmem *gm, uint64_t addr)
{
    if (is_far(gm, addr))
        return gm->base + far_page(gm, addr, ACCESS_READ) + addr % PAGE_SIZE;
    if (gm->shm && addr >= gm->layout.shm.begin)
        return gm->shm + (addr - gm->layout.shm.begin);
    return gm->base + addr;
}

/* How many of the (len) allowed bytes at (addr) are in one piece for the host. */
static uint64_t one_piece(const struct guestmem *gm, uint64_t addr, uint64_t len)
{
    if (!is_far(gm, addr))
        return len;
    uint64_t run = PAGE_SIZE - addr % PAGE_SIZE;
    uint64_t next = far_page(gm, addr, ACCESS_READ) + PAGE_SIZE;
    for (; run < len && far_page(gm, addr + run, ACCESS_READ) == next;
         next += PAGE_SIZE)
        run += PAGE_SIZE;
    return run < len ? run : len;
}

static void note_run(const struct guestmem *gm, uint64_t addr, const uint8_t *at,
                     uint64_t len)
{
    guest_note(gm, is_far(gm, addr) ? (uint64_t)(at - gm->base) : addr, len);
}

/* A pointer to allowed bytes, or to a copy of them. */
static uint8_t *reach(const struct guestmem *gm, uint64_t addr, uint64_t len, int write)
{
    if (is_far(gm, addr) && len && one_piece(gm, addr, len) < len)
        return bounce_copy(gm, addr, len, write);
    uint8_t *at = len ? host_pointer(gm, addr) : gm->base;
    if (write && len)
        note_run(gm, addr, at, len);
    return at;
}

const uint8_t *guest_view(const struct guestmem *gm, uint64_t addr, uint64_t len)
{
    return allowed(gm, addr, len, ACCESS_READ) ? reach(gm, addr, len, 0) : NULL;
}

int guest_readable(const struct guestmem *gm, uint64_t addr, uint64_t len)
{
    return allowed(gm, addr, len, ACCESS_READ);
}

int guest_writable(const struct guestmem *gm, uint64_t addr, uint64_t len)
{
    return allowed(gm, addr, len, ACCESS_READ | ACCESS_WRITE);
}

uint8_t *guest_window(struct guestmem *gm, uint64_t addr, uint64_t len)
{
    return guest_writable(gm, addr, len) ? reach(gm, addr, len, 1) : NULL;
}

int guest_read(const struct guestmem *gm, uint64_t addr, void *dst, uint64_t len)
{
    if (!allowed(gm, addr, len, ACCESS_READ))
        return -EFAULT;
    for (uint64_t done = 0, run; done < len; done += run) {
        run = one_piece(gm, addr + done, len - done);
        memcpy((uint8_t *)dst + done, host_pointer(gm, addr + done), run);
    }
    return 0;
}

int guest_write(struct guestmem *gm, uint64_t addr, const void *src, uint64_t len)
{
    if (!guest_writable(gm, addr, len))
        return -EFAULT;
    for (uint64_t done = 0, run; done < len; done += run) {
        uint8_t *at = host_pointer(gm, addr + done);
        run = one_piece(gm, addr + done, len - done);
        note_run(gm, addr + done, at, run);
        memcpy(at, (const uint8_t *)src + done, run);
    }
    return 0;
}

int guest_zero(struct guestmem *gm, uint64_t addr, uint64_t len)
{
    if (!guest_writable(gm, addr, len))
        return -EFAULT;
    for (uint64_t done = 0, run; done < len; done += run) {
        uint8_t *at = host_pointer(gm, addr + done);
        run = one_piece(gm, addr + done, len - done);
        note_run(gm, addr + done, at, run);
        memset(at, 0, run);
    }
    return 0;
}

/* Page by page, from the end that is not written over first. */
int guest_move(struct guestmem *gm, uint64_t to, uint64_t from, uint64_t len)
{
    uint8_t page[PAGE_SIZE];
    if (!allowed(gm, from, len, ACCESS_READ) || !guest_writable(gm, to, len))
        return -EFAULT;
    for (uint64_t done = 0, run; done < len; done += run) {
        run = len - done < PAGE_SIZE ? len - done : PAGE_SIZE;
        uint64_t at = to < from ? done : len - done - run;
        int ret = guest_read(gm, from + at, page, run);
        if (ret == 0)
            ret = guest_write(gm, to + at, page, run);
        if (ret < 0)
            return ret;
    }
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
    if (is_far(gm, addr))
        return far_back(gm, addr, ACCESS_EXECUTE) == 0;
    return region_holds(gm->layout.program, addr, 1) &&
           paging_access(gm->base, &gm->layout, addr) & ACCESS_EXECUTE;
}

void guest_note(const struct guestmem *gm, uint64_t addr, uint64_t len)
{
    if (!gm->dirty || addr >= gm->layout.slot_size || !len)
        return;
    for (uint64_t p = addr >> PAGE_SHIFT; p <= (addr + len - 1) >> PAGE_SHIFT; p++)
        dirty_note(gm->dirty, (uint32_t)p);
}
