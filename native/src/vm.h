/* vm.h: one KVM virtual machine with its memory slots and its one vCPU. */
#ifndef SKERRY_VM_H
#define SKERRY_VM_H

#include <linux/kvm.h>

#include "guestmem.h"
#include "kvm.h"

struct vm {
    struct kvm *kvm;
    int fd, vcpu_fd;
    struct kvm_run *run;
    struct kvm_dirty_gfn *ring; /* or NULL */
    struct kvm_sregs sregs;     /* what a healthy vCPU has between calls */
};

/* Makes a VM on the memory of (gm), its vCPU in ring 3 with paging on. With (track) the
 * vCPU reports dirty pages of slot 0. (vm) may be given to vm_close whatever comes
 * back: 0 or -errno. */
int vm_open(struct vm *vm, struct kvm *kvm, const struct guestmem *gm, int track,
            struct skerry_error *err);
void vm_close(struct vm *vm);

/* Makes KVM forget what it knows of page tables, and report every page again: slot 0 is
 * deleted and added anew. The caller has taken what was reported. */
int vm_forget_tables(struct vm *vm, const struct guestmem *gm);

/* Makes KVM report every page again (KVM_RESET_DIRTY_RINGS). */
int vm_rearm_dirty(struct vm *vm);

/* Ends the input or output that the vCPU has exited for, and no more: KVM does that
 * when it is entered again, and then sets registers (KVM API, 5, KVM_EXIT_IO). */
void vm_complete_io(struct vm *vm);

/* Tells if the vCPU's privileged registers and code and stack selectors are as vm_open
 * left them, from the copy that the last exit brought. */
int vm_sregs_intact(const struct vm *vm);

#endif
