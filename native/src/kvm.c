/* kvm.c: see kvm.h. */
#include "kvm.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "x86.h"

static const struct {
    const char *name;
    int number;
    int least;
} required[] = {
    {"KVM_CAP_USER_MEMORY", KVM_CAP_USER_MEMORY, 1},
    {"KVM_CAP_SYNC_REGS", KVM_CAP_SYNC_REGS,
     KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS | KVM_SYNC_X86_EVENTS},
    {"KVM_CAP_DIRTY_LOG_RING", KVM_CAP_DIRTY_LOG_RING,
     DIRTY_RING_ENTRIES *(int)sizeof(struct kvm_dirty_gfn)},
    {"KVM_CAP_IMMEDIATE_EXIT", KVM_CAP_IMMEDIATE_EXIT, 1},
    {"KVM_CAP_XSAVE", KVM_CAP_XSAVE, 1},
    {"KVM_CAP_XCRS", KVM_CAP_XCRS, 1},
};

static void append(char *dst, size_t size, const char *name)
{
    size_t used = strlen(dst);
    if (used && used + 1 < size)
        dst[used++] = ' ';
    for (; *name && used + 1 < size; name++)
        dst[used++] = *name;
    dst[used] = 0;
}

int kvm_missing(const struct kvm *kvm, char *dst, size_t size)
{
    int missing = 0;
    dst[0] = 0;
    for (size_t i = 0; i < sizeof(required) / sizeof(*required); i++) {
        int have = ioctl(kvm->fd, KVM_CHECK_EXTENSION, required[i].number);
        if (have < required[i].least) {
            append(dst, size, required[i].name);
            missing++;
        }
    }
    return missing;
}

/* How far the XSAVE image of guests reaches, with feature (e->index) in it. */
static void measure_xsave(struct kvm *kvm, const struct kvm_cpuid_entry2 *e)
{
    int has = e->index >= 2 && e->index < 63 && XCR0_ALLOWED >> e->index & 1;
    if (has && kvm->xsave_size < e->ebx + e->eax)
        kvm->xsave_size = e->ebx + e->eax;
}

/* Guests see no PKU and no AMX: XCR0 does not have their state, so reset could not
 * vouch for it. (A software KVM shows ring 3 the machine's own CPUID; XCR0 still
 * holds.) */
static void hide_features(struct kvm *kvm)
{
    for (uint32_t i = 0; i < kvm->cpuid.head.nent; i++) {
        struct kvm_cpuid_entry2 *e = &kvm->cpuid.entries[i];
        if (e->function == 7 && e->index == 0) {
            kvm->has_smep = !!(e->ebx & 1u << 7);
            kvm->has_smap = !!(e->ebx & 1u << 20);
            kvm->has_umip = !!(e->ecx & 1u << 2);
            e->ecx &= ~(1u << 3 | 1u << 4);
            e->edx &= ~(1u << 22 | 1u << 24 | 1u << 25);
        }
        if (e->function == 0xd && e->index == 0)
            kvm->xcr0 = e->eax & XCR0_ALLOWED;
        if (e->function == 0xd)
            measure_xsave(kvm, e);
    }
}

static int kvm_setup(struct kvm *kvm, struct skerry_error *err)
{
    if (kvm->fd < 0)
        return skerry_fail(err, "open /dev/kvm");
    int version = ioctl(kvm->fd, KVM_GET_API_VERSION, 0);
    if (version != KVM_API_VERSION)
        return skerry_refuse(err, ENOSYS, "KVM_GET_API_VERSION",
                             "expected 12, found %d", version);
    int size = ioctl(kvm->fd, KVM_GET_VCPU_MMAP_SIZE, 0);
    if (size < 0)
        return skerry_fail(err, "KVM_GET_VCPU_MMAP_SIZE");
    kvm->run_size = (size_t)size;
    kvm->cpuid.head.nent = CPUID_ENTRIES;
    if (ioctl(kvm->fd, KVM_GET_SUPPORTED_CPUID, &kvm->cpuid) < 0)
        return skerry_fail(err, "KVM_GET_SUPPORTED_CPUID");
    kvm->xsave_size = XSAVE_LEAST;
    hide_features(kvm);
    hostvdso_find(&kvm->vdso);
    return 0;
}

struct kvm *kvm_get(struct skerry_error *err)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static struct kvm kvm;
    static int ready;
    pthread_mutex_lock(&lock);
    if (!ready) {
        kvm.fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
        ready = kvm_setup(&kvm, err) == 0;
        if (!ready && kvm.fd >= 0)
            close(kvm.fd);
    }
    pthread_mutex_unlock(&lock);
    return ready ? &kvm : NULL;
}

int skerry_open_kvm(struct skerry_error *err)
{
    return kvm_get(err) ? 0 : -ENODEV;
}
