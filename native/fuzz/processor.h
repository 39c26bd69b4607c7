/* processor.h: a vCPU that the fuzzer is.
 *
 * What a machine asks of KVM is answered here: memory slots, registers, dirty rings,
 * and KVM_RUN, which takes a program's next step from (processor_step) instead of from
 * instructions. It walks the page tables as a processor does, and holds the machine to
 * what KVM would refuse. So all of the core runs as it is served, on a host without
 * KVM, and the same input does the same again. */
#ifndef SKERRY_FUZZ_PROCESSOR_H
#define SKERRY_FUZZ_PROCESSOR_H

#include <linux/kvm.h>
#include <stddef.h>
#include <stdint.h>

struct slot {
    uint64_t begin, size;
    uint8_t *host;
    int tracked;
};

struct processor {
    int vm, vcpu; /* descriptors; 0: not in use */
    struct kvm_run *run;
    struct kvm_dirty_gfn *ring;
    uint32_t ring_next, ring_harvested;
    uint8_t *reported; /* of each page of slot 0: it is in the ring, or has been */
    struct slot slot[3];
    struct kvm_regs regs;
    struct kvm_sregs sregs;
    uint8_t xsave[4096];
    uint64_t fault; /* where processor_store could not */
};

/* What the program does until it leaves the guest: fills in (p->run) and returns 0, or
 * -EINTR for a kick. */
int processor_step(struct processor *p);

/* Ring 3 writes (len) bytes. 0; or -EFAULT, and (p->fault) says where. */
int processor_store(struct processor *p, uint64_t addr, const void *src, size_t len);

/* It has written to so many pages that it cannot go on: leave. */
int processor_ring_full(const struct processor *p);

/* It does `out` of (size) bytes to (port). */
int processor_out(struct processor *p, uint16_t port, uint8_t size);

/* Exception (vector): as the stubs tell it. */
int processor_raise(struct processor *p, unsigned vector, uint64_t error, uint64_t cr2);

/* All entries of the page tables are as they may be. */
void processor_check_tables(struct processor *p);

/* The one that ran last. */
struct processor *processor_last(void);

/* Beside that: time stands still but for these. */
extern uint64_t processor_now;  /* ns of CLOCK_MONOTONIC */
extern uint64_t processor_kick; /* when the watchdog would come */

#endif
