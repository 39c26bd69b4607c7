/* guestmem.h: THE door to guest memory. The guest is a stranger: an address from it
 * goes through here, or it is not used.
 *
 * A guest pointer is allowed what the page tables allow ring 3: nobody reads or writes
 * through the host what he could not read or write himself. Ranges may lie in slot 0 or
 * in shared memory; both are contiguous for the host. Far ranges get their memory here
 * as if the guest had touched them; where that is not in one piece for the host, it is
 * handed a copy (bounce.h). Writes note their pages, because KVM does not see them. */
#ifndef SKERRY_GUESTMEM_H
#define SKERRY_GUESTMEM_H

#include <stddef.h>

#include "dirty.h"
#include "layout.h"

struct space;
struct arena;
struct bounce;

struct guestmem {
    uint8_t *base; /* slot 0 */
    uint8_t *shm;  /* slot 1, or NULL */
    struct layout layout;
    struct dirty *dirty;   /* or NULL: nothing is put back */
    struct space *space;   /* far ranges; or NULL: none gets memory any more */
    struct arena *frames;  /* where that comes from */
    struct bounce *bounce; /* or NULL: no copies */
};

/* A guest's buffer; the same layout as struct virtbuffer. */
struct guest_buffer {
    uint64_t addr, len;
};

/* Host pointer to (len) bytes at guest address (addr) that ring 3 may read, or NULL,
 * also where they would have to be copied and are too many (BOUNCE_MAX). Shared memory
 * behind it can change at any time: copy before checking. */
const uint8_t *guest_view(const struct guestmem *gm, uint64_t addr, uint64_t len);

/* Host pointer to (len) bytes that ring 3 may write, noted as written; or NULL. What a
 * call writes there is in guest memory when it ends, if not at once. */
uint8_t *guest_window(struct guestmem *gm, uint64_t addr, uint64_t len);

/* Tells if ring 3 may read, or write, (len) bytes at (addr). */
int guest_readable(const struct guestmem *gm, uint64_t addr, uint64_t len);
int guest_writable(const struct guestmem *gm, uint64_t addr, uint64_t len);

/* Copies between guest and host. Return 0, or -EFAULT with nothing copied. */
int guest_read(const struct guestmem *gm, uint64_t addr, void *dst, uint64_t len);
int guest_write(struct guestmem *gm, uint64_t addr, const void *src, uint64_t len);
int guest_zero(struct guestmem *gm, uint64_t addr, uint64_t len);

/* Copies the NUL-terminated string at (addr) into (dst). Returns its length, -EFAULT,
 * or -ENAMETOOLONG when it does not fit into (size) bytes with its NUL. */
long guest_string(const struct guestmem *gm, uint64_t addr, char *dst, size_t size);

/* Copies (len) bytes from one guest address to another; they may overlap. 0 or -EFAULT.
 */
int guest_move(struct guestmem *gm, uint64_t to, uint64_t from, uint64_t len);

/* Tells if the instruction at (addr) is the program's own, not one of our stubs that
 * ring 3 may execute too. */
int guest_executable(const struct guestmem *gm, uint64_t addr);

/* Notes pages of the host's own writes to slot 0 that do not come from a guest pointer.
 */
void guest_note(const struct guestmem *gm, uint64_t addr, uint64_t len);

#endif
