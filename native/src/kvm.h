/* kvm.h: /dev/kvm, opened once a process, and what it can do. */
#ifndef SKERRY_KVM_H
#define SKERRY_KVM_H

#include <linux/kvm.h>
#include <stddef.h>

#include "error.h"
#include "hostvdso.h"

/* KVM_GET_SUPPORTED_CPUID refuses a buffer that is too small: some KVMs return 75. */
#define CPUID_ENTRIES 256
/* Entries of a vCPU's dirty ring. KVM keeps up to 576 in reserve; 2048 are 32 KiB. */
#define DIRTY_RING_ENTRIES 2048

struct kvm {
    int fd;
    size_t run_size;     /* bytes of the kvm_run mapping */
    uint64_t xcr0;       /* XCR0 for guests */
    uint32_t xsave_size; /* bytes of an XSAVE image with these features */
    int ring0_stub;      /* syscall enters ring 0; set by the probe */
    uint8_t tss_type;    /* of the task register; set by the probe */
    struct hostvdso vdso;
    int has_clock; /* guests may read the pages of (vdso); set by the probe */
    int has_umip, has_smep, has_smap;
    struct {
        struct kvm_cpuid2 head;
        struct kvm_cpuid_entry2 entries[CPUID_ENTRIES];
    } cpuid;
};

/* The process's KVM, or NULL with (err). Never closed. Any thread. */
struct kvm *kvm_get(struct skerry_error *err);

/* Writes the names of required capabilities that are missing into (dst); returns how
 * many there are. */
int kvm_missing(const struct kvm *kvm, char *dst, size_t size);

#endif
