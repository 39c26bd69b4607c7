/* bare.h: a machine without a vCPU: memory, registers, and what the host knows of its
 * program. Enough for everything between two KVM_RUNs. */
#ifndef BARE_H
#define BARE_H

#include "machine.h"
#include "snapshot.h"

#define BARE_SPACE (1UL << 40) /* bytes that it may map at far addresses */

struct bare {
    struct machine machine;
    struct process process;
    struct program_facts facts;
    struct program_counters counters;
    struct request request;
    struct skerry_snapshot frozen; /* what machine_reset goes back to */
    struct skerry_shm *shm;
    struct kvm kvm; /* not open */
};

/* Makes one with (max_memory) bytes and (shm) bytes of shared memory, its page tables
 * and stubs in place, ready to serve (b->request). Aborts when it cannot. */
void bare_open(struct bare *b, uint64_t max_memory, uint64_t shm);
void bare_close(struct bare *b);

/* Pages that differ from the frozen image without being on the dirty list. */
uint64_t bare_forgotten(const struct bare *b);

#endif
