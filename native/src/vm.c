/* vm.c: see vm.h. */
#include "vm.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vcpu.h"

#define RING_BYTES (DIRTY_RING_ENTRIES * sizeof(struct kvm_dirty_gfn))

static int set_slot(struct vm *vm, uint32_t slot, uint32_t flags, uint64_t addr,
                    uint64_t size, uint8_t *host, struct skerry_error *err)
{
    struct kvm_userspace_memory_region region = {
        .slot = slot,
        .flags = flags,
        .guest_phys_addr = addr,
        .memory_size = size,
        .userspace_addr = (uint64_t)(uintptr_t)host,
    };
    if (ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &region) < 0)
        return skerry_fail(err, "KVM_SET_USER_MEMORY_REGION");
    return 0;
}

/* The kernel keeps these pages up to date for all processes; nobody writes to them. */
static int set_clock(struct vm *vm, struct skerry_error *err)
{
    const struct hostvdso *host = &vm->kvm->vdso;
    if (!vm->kvm->has_clock)
        return 0;
    return set_slot(vm, 2, KVM_MEM_READONLY, CLOCK_SLOT_ADDR, host->data_size,
                    (uint8_t *)(uintptr_t)host->data, err);
}

static int set_memory(struct vm *vm, const struct guestmem *gm, int track,
                      struct skerry_error *err)
{
    const struct layout *l = &gm->layout;
    uint32_t flags = track ? KVM_MEM_LOG_DIRTY_PAGES : 0;
    int ret = set_slot(vm, 0, flags, 0, l->slot_size, gm->base, err);
    if (ret == 0 && gm->shm)
        ret = set_slot(vm, 1, 0, l->shm.begin, l->shm.end - l->shm.begin, gm->shm, err);
    return ret < 0 ? ret : set_clock(vm, err);
}

/* Must come before the vCPU is made (KVM API, 8.29). */
static int enable_ring(struct vm *vm, struct skerry_error *err)
{
    struct kvm_enable_cap cap = {.cap = KVM_CAP_DIRTY_LOG_RING, .args = {RING_BYTES}};
    if (ioctl(vm->fd, KVM_ENABLE_CAP, &cap) < 0)
        return skerry_fail(err, "KVM_CAP_DIRTY_LOG_RING");
    return 0;
}

static int map_vcpu(struct vm *vm, int track, struct skerry_error *err)
{
    const int rw = PROT_READ | PROT_WRITE;
    void *run = mmap(NULL, vm->kvm->run_size, rw, MAP_SHARED, vm->vcpu_fd, 0);
    if (run == MAP_FAILED)
        return skerry_fail(err, "map kvm_run");
    vm->run = run;
    if (!track)
        return 0;
    off_t offset = KVM_DIRTY_LOG_PAGE_OFFSET * (off_t)PAGE_SIZE;
    void *ring = mmap(NULL, RING_BYTES, rw, MAP_SHARED, vm->vcpu_fd, offset);
    if (ring == MAP_FAILED)
        return skerry_fail(err, "map dirty ring");
    vm->ring = ring;
    return 0;
}

static int open_vcpu(struct vm *vm, const struct guestmem *gm, int track,
                     struct skerry_error *err)
{
    vm->vcpu_fd = ioctl(vm->fd, KVM_CREATE_VCPU, 0);
    if (vm->vcpu_fd < 0)
        return skerry_fail(err, "KVM_CREATE_VCPU");
    int ret = map_vcpu(vm, track, err);
    return ret < 0 ? ret : vcpu_setup(vm, &gm->layout, err);
}

/* A signal, such as a late kick of the watchdog, makes KVM_CREATE_VM give up. */
static int create_vm(const struct kvm *kvm)
{
    int fd;
    do {
        fd = ioctl(kvm->fd, KVM_CREATE_VM, 0);
    } while (fd < 0 && errno == EINTR);
    return fd;
}

int vm_open(struct vm *vm, struct kvm *kvm, const struct guestmem *gm, int track,
            struct skerry_error *err)
{
    *vm = (struct vm){.kvm = kvm, .vcpu_fd = -1};
    vm->fd = create_vm(kvm);
    if (vm->fd < 0)
        return skerry_fail(err, "KVM_CREATE_VM");
    int ret = track ? enable_ring(vm, err) : 0;
    if (ret == 0)
        ret = set_memory(vm, gm, track, err);
    if (ret == 0)
        ret = open_vcpu(vm, gm, track, err);
    return ret;
}

void vm_close(struct vm *vm)
{
    if (vm->ring)
        munmap(vm->ring, RING_BYTES);
    if (vm->run)
        munmap(vm->run, vm->kvm->run_size);
    if (vm->vcpu_fd >= 0)
        close(vm->vcpu_fd);
    if (vm->fd >= 0)
        close(vm->fd);
    *vm = (struct vm){.fd = -1, .vcpu_fd = -1};
}

int vm_rearm_dirty(struct vm *vm)
{
    return ioctl(vm->fd, KVM_RESET_DIRTY_RINGS, 0) < 0 ? -errno : 0;
}

int vm_forget_tables(struct vm *vm, const struct guestmem *gm)
{
    uint32_t flags = vm->ring ? KVM_MEM_LOG_DIRTY_PAGES : 0;
    struct skerry_error err;
    int ret = set_slot(vm, 0, flags, 0, 0, gm->base, &err);
    if (ret == 0)
        ret = set_slot(vm, 0, flags, 0, gm->layout.slot_size, gm->base, &err);
    return ret == 0 && vm->ring ? vm_rearm_dirty(vm) : ret;
}

int vm_sregs_intact(const struct vm *vm)
{
    const struct kvm_sregs *now = &vm->run->s.regs.sregs, *then = &vm->sregs;
    return now->cs.selector == then->cs.selector && now->cs.l == then->cs.l &&
           now->ss.selector == then->ss.selector && now->cr0 == then->cr0 &&
           now->cr3 == then->cr3 && now->cr4 == then->cr4 && now->efer == then->efer;
}

void vm_complete_io(struct vm *vm)
{
    vm->run->immediate_exit = 1;
    ioctl(vm->vcpu_fd, KVM_RUN, 0);
    vm->run->immediate_exit = 0;
}
