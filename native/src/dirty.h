/* dirty.h: the list of pages that differ from the frozen image.
 *
 * Two sources fill it: the vCPU's dirty ring (pages that the guest wrote; KVM reports a
 * page once, then leaves it writable) and dirty_note (pages that the host wrote). A
 * page stays on the list from request to request, because KVM will not report it again,
 * until dirty_forget. */
#ifndef SKERRY_DIRTY_H
#define SKERRY_DIRTY_H

#include <linux/kvm.h>
#include <stddef.h>
#include <stdint.h>

struct dirty {
    uint32_t *pages; /* page numbers, each once */
    uint32_t count, capacity;
    uint32_t kept;  /* of these, the first are from requests before this one */
    uint64_t *seen; /* one bit a page of slot 0 */
    uint32_t page_total;
    struct kvm_dirty_gfn *ring; /* of the vCPU, or NULL */
    uint32_t ring_next;
    int failed; /* out of memory: the list is not complete, the clone is lost */
};

/* Makes an empty list for (pages) pages. Returns 0 or -ENOMEM. */
int dirty_open(struct dirty *d, uint32_t pages);
void dirty_close(struct dirty *d);

/* Notes that page (page) was written. */
void dirty_note(struct dirty *d, uint32_t page);

/* Takes what the ring has reported into the list. */
void dirty_collect(struct dirty *d);

/* Bytes of the pages that this request was the first to write. Those on the list before
 * are not known to be written again, and not charged. */
uint64_t dirty_charge(const struct dirty *d);

/* Empties the list. The caller has made KVM report all pages anew. */
void dirty_forget(struct dirty *d);

#endif
